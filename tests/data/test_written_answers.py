"""Written answers to STV questions: the form a reward asks for, and the annotator's habits."""

import random

import pytest

from videostr.data.samples import Sample
from videostr.data.stv.annotate import AnnotatorConfig, write_response
from videostr.graph import parse_graph
from videostr.rewards import load_reward, score_answers

GRAPH = {"objects": [[162, "chair", 2, 2], [7, "table", 8, 2], [9, "bed", 5, 8]]}
EXACT = AnnotatorConfig(jitter=0.0, squeeze=1.0, short=1.0, tight=1.0, unsure=0.0)


def sample(kind, answer, task="object size", **meta):
    meta = {"graph": GRAPH} | meta
    meta |= {"answer_kind": kind, "answer": answer, "task": task, "coordinates": {"unit": "grid"}}
    return Sample("s", "v.mp4", "q", ((0.0, 1.0),), meta=meta)


KINDS = [
    sample("choice", "A", options=["the chair", "the bed"]),
    sample("number", 2.4, unit="m"),
    sample("box", [100, 200, 300, 400]),
]


@pytest.mark.parametrize("sample", KINDS, ids=["choice", "number", "box"])
def test_without_faults_it_earns_everything(sample):
    text = write_response(sample, EXACT, random.Random(0))
    terms = score_answers(load_reward("video_str"), sample, [text], [10]).terms
    assert {name: float(terms[name]) for name in ("answer", "format", "node", "edge")} == dict.fromkeys(
        ("answer", "format", "node", "edge"), 1.0
    )


def test_ids_are_counted_anew():
    ((_, nodes, _),) = parse_graph(write_response(KINDS[0], EXACT, random.Random(0))).frames
    assert [node.object for node in nodes] == ["1", "2", "3"]


def test_habits():
    habits = AnnotatorConfig(jitter=0.0, squeeze=0.5, short=0.75, tight=0.8, unsure=1.0)
    choice, number, box = (write_response(sample, habits, random.Random(0)) for sample in KINDS)
    assert choice.endswith("</graph></think><answer>not sure</answer>")
    assert write_response(KINDS[0], EXACT, random.Random(0)).endswith("</graph></think><answer>the chair</answer>")
    assert number.endswith("<answer>1.8</answer>")
    assert box.endswith("<answer>[120,220,280,380]</answer>")
    ((_, nodes, _),) = parse_graph(choice).frames
    # By class: bed, chair, table, numbered as they are written.
    assert [(node.object, node.name) for node in nodes] == [("1", "bed"), ("2", "chair"), ("3", "table")]
    assert nodes[1].position == (4.0, 3.0)  # half way to the middle, (5, 4), in whole cells; 3.5 to even is 4
    count = sample("number", 3, "object counting")
    assert write_response(count, habits, random.Random(0)).endswith("<answer>3</answer>")


def test_of_one_class_from_left_to_right_and_each_keeps_its_number():
    cows = [[5, "cow", 7, 1], [3, "cow", 2, 8]]
    frames = {"frames": [{"t": 0, "objects": cows}, {"t": 1, "objects": [[5, "cow", 1, 1], [8, "ant", 3, 3]]}]}
    text = write_response(sample("number", 2, "object counting", graph=frames), EXACT, random.Random(0))
    first, second = parse_graph(text).frames
    assert [(node.object, node.position) for node in first.nodes] == [("1", (2, 8)), ("2", (7, 1))]
    assert [(node.object, node.name) for node in second.nodes] == [("3", "ant"), ("2", "cow")]


def test_deterministic():
    texts = [[write_response(s, AnnotatorConfig(), random.Random(seed)) for s in KINDS] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(("setting", "value"), [("jitter", -1.0), ("squeeze", 0.0), ("tight", 3.0), ("unsure", 1.5)])
def test_faults_that_are_none(setting, value):
    with pytest.raises(ValueError, match=setting):
        AnnotatorConfig(**{setting: value})
