"""What the small model's warm-up asks of it: the right word at the right token, and nothing of an answer."""

import random
from dataclasses import replace

import pytest
import torch

from videostr.data.prompts import PROMPTS
from videostr.data.samples import Sample
from videostr.data.world import COLOURS, Scene, Thing, WorldConfig, draw_scene_plan, encode_scene
from videostr.model import load_policy
from videostr.model.tiny import TinyConfig, write_tiny_policy
from videostr.recipe.config import PromptConfig
from videostr.recipe.grounding import warmup
from videostr.recipe.grounding.config import GroundingWarmupConfig
from videostr.recipe.warmup import pack_lessons
from videostr.training.prompter import Prompter, model_frames
from videostr.video import SkippedVideos, load_video

THINGS = (
    Thing("circle", "green", "colour", 3.0, 4.0, 0.5, 0.5, 0.3, other="blue"),
    Thing("square", "red", "visible", 1.5, 3.0, 0.5, 0.2, 0.3),
)
SCENE = Scene(5.0, 8, 64, 120, THINGS)


@pytest.fixture(scope="module")
def prompter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warmup") / "model"
    texts = [PROMPTS["plain"], *(f" {word} square circle is on screen" for word in (*COLOURS, "no"))]
    write_tiny_policy(folder, texts, TinyConfig(hidden=32, layers=1, mlp=32, vision_hidden=32, vision_layers=1), 0)
    policy = load_policy(str(folder))
    return Prompter(policy, "plain", True, model_frames(policy, PromptConfig().frames), None, SkippedVideos())


def decoded(prompter, packed):
    """(the token at which a word is asked for, the word) of every target, in order."""
    text = prompter.policy.tokenizer.decode
    at = [text([i]) for i in packed.input_ids_T[packed.predictor_R].tolist()]
    return list(zip(at, (text([i]) for i in packed.target_R.tolist()), strict=True))


def test_a_sentence_is_answered_at_every_pair_and_once_more_afterwards(prompter):
    lesson = warmup.lesson_about(prompter, SCENE, THINGS[1], random.Random(0))
    packed = pack_lessons(prompter.policy, [[lesson]])
    pairs, told = decoded(prompter, packed)[:5], decoded(prompter, packed)[5:]
    assert pairs == [("<|vision_end|>", word) for word in (" no", " red", " red", " no", " no")]
    # Every word of the narration is predicted by the one before it, the first by the end of the prompt.
    assert "".join(word for _, word in told) == "0 no 1 red 2 red 3 no 4 no<|im_end|>"
    assert [at for at, _ in told[1:]] == [word for _, word in told[:-1]]


def test_without_a_sentence_a_pair_says_what_is_seen_from_top_to_bottom(prompter):
    packed = pack_lessons(prompter.policy, [[warmup.lesson_about(prompter, SCENE, None, random.Random(0))]])
    seen = [("no", "green"), ("red", "green"), ("red", "green"), ("no", "blue"), ("no", "green")]
    # The square is the upper one, but what is not there has no place: its word comes last.
    expected = [(upper, lower) if upper != "no" else (lower, "no") for upper, lower in seen]
    assert decoded(prompter, packed) == [
        (at, f" {word}")
        for pair in expected
        for at, word in zip(("<|video_pad|>", "<|vision_end|>"), pair, strict=True)
    ]


def test_lessons_do_not_mix_in_a_row(prompter):
    lessons = [warmup.lesson_about(prompter, SCENE, asked, random.Random(0)) for asked in (THINGS[0], None, THINGS[1])]
    packed = pack_lessons(prompter.policy, [[lesson] for lesson in lessons])
    alone = [decoded(prompter, pack_lessons(prompter.policy, [[lesson]])) for lesson in lessons]
    assert decoded(prompter, packed) == sum(alone, [])
    assert packed.mask_NL.all() and packed.target_NL.tolist() == [packed.target_R.tolist()]


def test_the_prompt_is_that_of_the_later_stages(prompter):
    """So the model meets in SFT what it has seen, and no word of a lesson is in the text."""
    rng = random.Random(3)
    scene = draw_scene_plan(rng, WorldConfig())
    thing = scene.things[0]
    lesson = warmup.lesson_about(prompter, scene, thing, random.Random(5))
    video = warmup.see(scene, prompter.frames)
    query = thing.phrase(random.Random(5))
    sample = Sample(id="a", video="a.mp4", query=query, spans=((thing.start, thing.end),))
    asked = replace(prompter, store=Given(video))(sample)
    assert torch.equal(lesson.prompt.input_ids_P, asked.input_ids_P)
    assert torch.equal(lesson.prompt.position_ids_3P, asked.position_ids_3P)


class Given:
    """A store that holds one video."""

    def __init__(self, video):
        self.video = video

    def load(self, path, frames):
        return self.video


@pytest.mark.parametrize("rule", ["transformers_qwen2_vl", "qwen_vl_utils"])
def test_the_drawn_clip_is_the_encoded_one(prompter, tmp_path, rule):
    """What the warm-up draws is what the later stages read from the file, but for the codec's noise."""
    frames = replace(prompter.frames, rule=rule)
    scene = draw_scene_plan(random.Random(1), WorldConfig())
    late = replace(scene, things=tuple(replace(t, start=t.start + 0.5, end=t.end + 0.5) for t in scene.things))
    encode_scene(scene, tmp_path / "a.mp4")
    read = load_video(tmp_path / "a.mp4", frames)
    drawn = warmup.see(scene, frames)
    assert drawn.grid_thw.tolist() == read.grid_thw.tolist()
    assert list(drawn.timestamps) == pytest.approx(list(read.timestamps))
    assert (drawn.pixel_values - read.pixel_values).abs().mean() < 0.02
    assert (warmup.see(late, frames).pixel_values - read.pixel_values).abs().mean() > 0.02


@pytest.mark.parametrize("name,value", [("steps", 0), ("batch_size", 0), ("captions", 1.5), ("captions", -0.1)])
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"warmup.{name}"):
        GroundingWarmupConfig(**{name: value})
