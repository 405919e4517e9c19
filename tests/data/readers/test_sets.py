"""Every reader on a file in the set's own format, written here from the documented structure, faults included."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videostr.data import read_samples
from videostr.data.readers import READERS, SourceError, convert
from videostr.data.readers.base import BadEntry
from videostr.data.readers.charades_sta import parse_line
from videostr.data.readers.time_r1 import parse_answer


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return str(path)


def lines(*records):
    return "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records)


def run(tmp_path, name, source, **options):
    """(samples, report) of a conversion, the files' path cut off."""
    out = tmp_path / "out.jsonl"
    report = convert(name, [source], out, videos=[tmp_path / "videos"], **options)
    return read_samples(out) if report["written"] else [], report


def test_charades_sta(tmp_path):
    touch(tmp_path / "videos", "AO8RW.mp4", "3MSZA.mkv")
    text = lines(
        "AO8RW 0.0 6.9##a person is putting a book on a shelf.",
        "3MSZA 24.3 30.4##person turn a light on.",
        "3MSZA 24.3##person turn a light on.",
        "3MSZA 20.0 10.0##reversed.",
        "3MSZA 24.3 x##number.",
        "NOPE1 1 2##no video.",
        "AO8RW 2 3##",
        "AO8RW 40 50##after the end.",
    )
    samples, report = run(
        tmp_path, "charades_sta", put(tmp_path / "charades_sta_test.txt", text), durations={"AO8RW": 33.67}
    )
    first, second = samples
    assert first.id == "charades_sta:charades_sta_test:AO8RW:1" and first.source == "charades_sta"
    assert first.query == "a person is putting a book on a shelf." and first.spans == ((0.0, 6.9),)
    assert (first.duration, second.duration) == (33.67, None) and second.video.endswith("videos/3MSZA.mkv")
    assert report["rejected"] == {
        "malformed": 2,
        "reversed": 1,
        "missing_video": 1,
        "empty_query": 1,
        "outside_video": 1,
    }
    assert report["notes"] == {"no_duration": 1}
    rejected = [json.loads(line) for line in open(report["files"]["rejected"])]
    assert [(r["line"], r["reason"]) for r in rejected][:3] == [(3, "malformed"), (4, "reversed"), (5, "malformed")]
    assert [json.loads(line) for line in open(report["files"]["missing"])] == [{"video": "NOPE1", "samples": 1}]


def test_activitynet_captions(tmp_path):
    touch(tmp_path / "videos", "v_a.mp4", "v_b.mp4")
    source = put(
        tmp_path / "val_1.json",
        {
            "v_a": {"duration": 82.73, "timestamps": [[0.83, 19.86], [17.37, 60.81]], "sentences": [" One. ", "Two."]},
            "v_b": {"duration": 10.0, "timestamps": [[0, 5]], "sentences": ["Three.", "Four."]},
            "v_c": 7,
        },
    )
    samples, report = run(tmp_path, "activitynet_captions", source)
    assert [(s.id, s.query, s.spans) for s in samples] == [
        ("activitynet_captions:val_1:v_a:0", "One.", ((0.83, 19.86),)),
        ("activitynet_captions:val_1:v_a:1", "Two.", ((17.37, 60.81),)),
    ]
    assert report["rejected"] == {"malformed": 2} and samples[0].duration == 82.73
    # Time-R1's JSON form of Charades-STA is the same structure.
    assert run(tmp_path, "charades_sta", source)[1]["written"] == 2


def test_qvhighlights(tmp_path):
    vid = "bP5KfdFJzC4_660.0_810.0"
    touch(tmp_path / "videos", f"{vid}.mp4")
    record = {
        "qid": 8737,
        "query": "A family is playing basketball together on a green court outside.",
        "duration": 126,
        "vid": vid,
        "relevant_windows": [[0, 16], [40, 44]],
        "relevant_clip_ids": [0, 1],
        "saliency_scores": [[4, 1, 1], [4, 1, 1]],
    }
    test = {key: record[key] for key in ("qid", "query", "duration", "vid")}
    source = put(tmp_path / "highlight_val_release.jsonl", lines(record, record, test | {"qid": 1}, "{", [1]))
    (sample,), report = run(tmp_path, "qvhighlights", source)
    assert sample.id == "qvhighlights:8737" and sample.spans == ((0.0, 16.0), (40.0, 44.0)) and sample.duration == 126
    assert sample.meta == {"qid": 8737}
    assert report["rejected"] == {"malformed": 2, "duplicate_id": 1, "no_label": 1}


def test_didemo(tmp_path):
    touch(tmp_path / "videos", "12090392@N02_13482799053_87ef417396.mp4")
    record = {
        "annotation_id": 7,
        "description": "a dog runs",
        "video": "12090392@N02_13482799053_87ef417396.mov",
        "times": [[1, 1], [1, 2], [2, 2], [1, 1]],
        "num_segments": 6,
    }
    last = record | {"annotation_id": 8, "description": "last part", "times": [[5, 5]]}
    bad = record | {"annotation_id": 9, "times": [["1", 2]]}
    source = put(tmp_path / "val_data.json", [record, last, bad, record | {"annotation_id": 10, "times": []}])
    durations = {"12090392@N02_13482799053_87ef417396": 28.2}
    (first, second), report = run(tmp_path, "didemo", source, durations=durations)
    assert first.spans == ((6.0, 12.0),)  # mean of 1,1,2,1 is 1.25 x 5 s; mean of 1,2,2,1 is 1.5, + 1, x 5 s
    assert first.meta["annotators"] == [[5.0, 10.0], [5.0, 15.0], [10.0, 15.0], [5.0, 10.0]]
    assert second.spans == ((25.0, 28.2),) and second.duration == 28.2
    assert report["rejected"] == {"malformed": 1, "no_label": 1}


def test_tacos_in_both_forms(tmp_path):
    touch(tmp_path / "videos", "s13-d21-cam-002.mp4")
    line = {"qid": 3, "vid": "s13-d21", "duration": 100.0, "query": "She cuts.", "relevant_windows": [[1.5, 9.0]]}
    source = put(tmp_path / "train.jsonl", lines(line, "{", line | {"qid": 4, "relevant_windows": [[9.0, 1.5]]}))
    (sample,), report = run(tmp_path, "tacos", source)
    assert report["rejected"] == {"malformed": 1, "reversed": 1}
    assert sample.id == "tacos:train:3" and sample.spans == ((1.5, 9.0),)
    video = {"timestamps": [[58, 294]], "sentences": ["She cuts."], "fps": 29.4, "num_frames": 2940}
    source = put(tmp_path / "test.json", {"s13-d21.avi": video, "s1.avi": video | {"fps": 0}})
    (sample,), report = run(tmp_path, "tacos", source)
    assert sample.spans == ((58 / 29.4, 10.0),) and sample.duration == pytest.approx(100.0)
    assert sample.video.endswith("s13-d21-cam-002.mp4") and report["rejected"] == {"malformed": 1}


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_queryd(tmp_path, capsys):
    touch(tmp_path / "videos", "abcdefghijk.mp4")
    captions = {"video-abcdefghijk": [["A", "man", "walks."], ["He", "sits."]], "video-x": [["a"]]}
    times = {"video-abcdefghijk": [[1.0, 3.5], [4.0, 6.0]], "video-x": []}
    for name, value in (("raw_captions", captions), ("times_captions", times)):
        (tmp_path / f"{name}_combined_filtered-v2.pkl").write_bytes(pickle.dumps(value))
    source = put(tmp_path / "train_list.txt", "video-abcdefghijk\nvideo-x\nvideo-y\n")
    samples, report = run(tmp_path, "queryd", source)
    assert [(s.query, s.spans) for s in samples] == [("A man walks.", ((1.0, 3.5),)), ("He sits.", ((4.0, 6.0),))]
    assert report["rejected"] == {"malformed": 2}
    (tmp_path / "times_captions_combined_filtered-v2.pkl").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(SourceError, match="builtins.print"):
        run(tmp_path, "queryd", source)
    assert "run" not in capsys.readouterr().out
    (tmp_path / "times_captions_combined_filtered-v2.pkl").unlink()
    with pytest.raises(SourceError, match="needs times_captions"):
        run(tmp_path, "queryd", source)


def test_hirest(tmp_path):
    touch(tmp_path / "videos", "CAB-4KfX8x0.mp4")
    step = {"index": 0, "heading": "Flip and twist ribbon", "absolute_bounds": [43, 60]}
    whole = {"relevant": True, "clip": False, "v_duration": 53.92, "bounds": [0, 0], "steps": []}
    part = {"relevant": True, "clip": True, "v_duration": 354.97, "bounds": [43, 290], "steps": [step]}
    source = put(
        tmp_path / "all_data_train.json",
        {"Make an Egg and Cheese Sandwich": {"kMh-nG8axWI.mp4": whole, "CAB-4KfX8x0.mp4": part}, "b": {"x.mp4": {}}},
    )
    moment, heading = run(tmp_path, "hirest", source)[0]
    assert moment.query == "Make an Egg and Cheese Sandwich" and moment.spans == ((43.0, 290.0),)
    assert heading.query == "Flip and twist ribbon" and heading.spans == ((43.0, 60.0),)
    assert heading.meta == {"task": "step", "goal": moment.query} and moment.duration == 354.97
    assert run(tmp_path, "hirest", source)[1]["rejected"] == {"whole_video": 1, "malformed": 1}


def test_internvid_vtime(tmp_path):
    touch(tmp_path / "videos", "K8Kj7XUdQuQ.mp4")
    record = {"vid": "K8Kj7XUdQuQ", "duration": 29.6, "query": "a woman walks", "span": [0.0, 3.7]}
    source = put(tmp_path / "anno_internvid_vtime_query_gpt4o_mini.jsonl", lines(record, record | {"span": 3}))
    (sample,), report = run(tmp_path, "internvid_vtime", source)
    assert sample.spans == ((0.0, 3.7),) and report["rejected"] == {"malformed": 1}


def test_nextgqa(tmp_path):
    touch(tmp_path / "videos", "1164/4882821564.mp4", "0/4882821564.mp4")
    put(
        tmp_path / "val.csv",
        "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
        '4882821564,2697,640,480,"why did the boy, smiling, sit",unwrap it,1,CW,share,approach,unwrap it,play,gesture\n'
        "4882821564,2697,640,480,what then,unwrap it,9,CW,share,approach,unwrap it,play,gesture\n"
        "7,2697,640,480,what then,unwrap it,9,CW,share,approach,unwrap it,play,gesture\n"
        "4882821564,2697,640\n",
    )
    put(tmp_path / "gsub_val.json", {"4882821564": {"duration": 89, "location": {"1": [[5.5, 9], [20, 22.5]]}}})
    put(tmp_path / "map_vid_vidorID.json", {"4882821564": "1164/4882821564"})
    (sample,), report = run(tmp_path, "nextgqa", str(tmp_path / "val.csv"))
    assert sample.query == "Why did the boy, smiling, sit?" and sample.spans == ((5.5, 9.0), (20.0, 22.5))
    assert sample.video.endswith("videos/1164/4882821564.mp4") and sample.meta["answer"] == "unwrap it"
    assert sample.meta["options"] == ["share", "approach", "unwrap it", "play", "gesture"]
    assert report["rejected"] == {"no_label": 2, "malformed": 1} and report["videos"]["ambiguous"] == 1


def test_rextime_in_both_forms(tmp_path):
    touch(tmp_path / "videos", "v_7tlXgKBTD_0.mp4")
    record = {
        "qid": "anet_val1993",
        "vid": "v_7tlXgKBTD_0",
        "duration": 51.97,
        "question": "Why does she lay back?",
        "answer": "From <s0> to <e0>, <option>",
        "source": "ActivityNet_val_2",
        "category": "means_end",
        "options": ["a", "b", "c", "d"],
        "span": [14, 51],
        "ans": "D",
    }
    test = {key: value for key, value in record.items() if key not in ("span", "ans")}
    source = put(tmp_path / "rextime_val.json", json.dumps([record, test | {"qid": "t"}], indent=4))
    (sample,), report = run(tmp_path, "rextime", source)
    assert sample.id == "rextime:anet_val1993" and sample.spans == ((14.0, 51.0),) and sample.meta["ans"] == "D"
    assert sample.meta["options"] == record["options"] and report["rejected"] == {"no_label": 1}
    line = {"qid": "anet_val1993", "query": "Why does she lay back?", "duration": 51.97, "vid": "v_7tlXgKBTD_0"}
    line |= {"relevant_windows": [[14, 51]], "ans": "D"}
    (other,), report = run(tmp_path, "rextime", put(tmp_path / "rextime_val.jsonl", lines(line, {"qid": "x"})))
    assert (other.id, other.query, other.spans) == (sample.id, sample.query, sample.spans) and other.meta["ans"] == "D"
    assert report["rejected"] == {"malformed": 1}


def test_tvgbench_and_the_time_r1_samples(tmp_path):
    cut = "boq5GLv8cCE_00:01:52:000_00:02:47:800.mp4"
    touch(tmp_path / "videos", "KWZSA.mp4", "ego.mp4", cut)
    plain = {
        "path": "./dataset/timer1/videos/tvgbench_data/KWZSA.mp4",
        "question": "a person was sitting at a table.",
        "answer": "13.4-28.1",
        "start": None,
        "end": None,
        "duration": 30.12,
        "question_type": "video temporal grounding",
        "source": "./dataset/x/Charades_sta_test.json",
        "dataset_name": "charades",
        "qsemtype": "Human Pose",
        "bins": {"videolen": 1},
    }
    ego = plain | {"path": "a/ego.mp4", "answer": "9.91-16.15", "start": 44.63, "end": 208.84, "duration": 164.21}
    source = put(tmp_path / "tvgbench.json", [plain, ego, ego | {"answer": "128.61-128.61"}, ego | {"answer": "1"}])
    (first, second), report = run(tmp_path, "tvgbench", source)
    assert first.spans == ((13.4, 28.1),) and first.duration == 30.12 and first.meta["dataset_name"] == "charades"
    assert second.spans == ((44.63 + 9.91, 44.63 + 16.15),) and second.duration is None
    assert second.meta["segment"] == [44.63, 208.84]
    assert report["rejected"] == {"empty_interval": 1, "malformed": 1}
    assert run(tmp_path, "tvgbench", source, segments="cut")[0][1].spans == ((9.91, 16.15),)

    record = {
        "video": f"./dataset/DATASET/internvid_vtime/videos/{cut}",
        "duration": 55.8,
        "timestamp": [28.5, 44.5],
        "sentence": "two table tennis players",
        "qid": "my|internvid-vtime|boq5GLv8cCE|two",
        "video_start": 112.0,
        "video_end": 167.8,
        "difficulty": 34.8,
        "pred": [0.0, 44.0],
    }
    source = put(tmp_path / "train_2k5.json", json.dumps([record, record | {"video_start": "x"}]))
    (sample,), report = run(tmp_path, "time_r1", source)
    assert sample.spans == ((28.5, 44.5),) and sample.duration == 55.8 and sample.meta["difficulty"] == 34.8
    assert report["rejected"] == {"malformed": 1}


def test_timelens(tmp_path):
    touch(tmp_path / "videos", "charades/AO8RW.mp4", "didemo/b.mp4")
    source = put(
        tmp_path / "charades-timelens.json",
        {"AO8RW": {"duration": 33.7, "spans": [[0.0, 4.0]], "queries": ["A man sits"]}, "x": {"duration": 1}},
    )
    (sample,), report = run(tmp_path, "timelens_bench", source)
    assert sample.spans == ((0.0, 4.0),) and sample.meta == {"subset": "charades-timelens"}
    assert report["rejected"] == {"malformed": 1}
    record = {"source": "didemo", "video_path": "didemo/b.mp4", "duration": 30.0}
    record["events"] = [{"query": "A", "span": [[1.0, 2.0], [5.0, 6.0]]}, {"query": "B", "span": [3.0, 4.0]}]
    source = put(tmp_path / "timelens-100k.jsonl", lines(record, "[", record | {"events": 7}))
    samples, report = run(tmp_path, "timelens_100k", source)
    assert report["rejected"] == {"malformed": 2}
    assert [s.spans for s in samples] == [((1.0, 2.0), (5.0, 6.0)), ((3.0, 4.0),)]


def test_tvg_r1(tmp_path):
    touch(tmp_path / "videos", "tacos/s1.mp4")
    record = {"dataset": "tacos", "problem": "When? ", "choices": "", "video": "./data/tacos/s1.mp4"}
    record |= {"video_length": 100.0, "gt_frame": [3.0, 9.5], "ground_truth": "x"}
    asked = record | {"choices": ["(A) yes", "(B) no"]}
    frames = record | {"images": ["f/1.jpg"]}
    source = put(tmp_path / "TVG_RL.json", [record, asked, frames, record | {"gt_frame": None}])
    (first, second), report = run(tmp_path, "tvg_r1", source)
    assert first.query == "When?" and first.spans == ((3.0, 9.5),) and first.duration == 100
    assert second.query == "When? (A) yes (B) no" and second.meta == {"dataset": "tacos", "ground_truth": "x"}
    assert report["rejected"] == {"no_video_file": 1, "no_label": 1}


def test_videomind(tmp_path):
    touch(tmp_path / "videos", "a.mp4")
    record = {"video_path": "data/qvhighlights/videos/a.mp4", "duration": 150, "query": "q", "span": [[2, 8]]}
    record["pred"] = [[2.1, 7.9]]
    source = put(tmp_path / "verifying_qvhighlights_2b.json", [record, record | {"span": None}, {"query": "q"}, 7])
    (sample,), report = run(tmp_path, "videomind", source)
    assert report["rejected"] == {"no_label": 1, "malformed": 2}
    assert sample.spans == ((2.0, 8.0),) and sample.meta == {"pred": [[2.1, 7.9]]}


def test_fields_named_by_the_user(tmp_path):
    touch(tmp_path / "videos", "a.mp4")
    record = {"clip": "a.mp4", "text": "q", "t0": 1, "t1": 2, "cot": "<think>x</think><time>[1, 2]</time>", "n": 5}
    source = put(tmp_path / "own.json", [record, record | {"cot": 7, "n": 6}])
    fields = {"video": "clip", "query": "text", "start": "t0", "end": "t1", "response": "cot", "id": "n"}
    (sample,), report = run(tmp_path, "fields", source, fields=fields)
    assert sample.id == "fields:5" and sample.response == record["cot"] and sample.spans == ((1.0, 2.0),)
    assert report["rejected"] == {"bad_text": 1}
    for wrong, says in (({"video": "clip"}, "missing query, start, end"), (fields | {"x": "y"}, "unknown x")):
        with pytest.raises(SourceError, match=says):
            run(tmp_path, "fields", source, fields=wrong)
    with pytest.raises(ValueError, match="only the reader 'fields'"):
        run(tmp_path, "videomind", source, fields=fields)


@given(st.text() | st.from_regex(r"\w+ [0-9.]+ [0-9.e+-]+##.*", fullmatch=True))
def test_any_charades_line(text):
    try:
        video, start, end, sentence = parse_line(text)
    except BadEntry:
        return
    assert text.endswith(f"##{sentence}") and video in text and isinstance(start, float) and isinstance(end, float)


NUMBERS = st.floats(0, 1e4).map(lambda x: round(x, 3))


@given(st.from_regex(r"[A-Z0-9]{5}", fullmatch=True), NUMBERS, NUMBERS, st.text(st.characters(codec="utf-8")))
def test_charades_round_trip(video, start, end, sentence):
    assert parse_line(f"{video} {start} {end}##{sentence}") == (video, start, end, sentence)


@given(st.text())
def test_any_answer(text):
    try:
        assert len(parse_answer(text)) == 2
    except BadEntry as error:
        assert error.reason == "malformed"


def test_every_reader_says_where_its_format_was_seen():
    assert all(reader.seen and reader.files and reader.name == name for name, reader in READERS.items())
    assert len(READERS) == 24
