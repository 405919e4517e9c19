"""Clips, a small model that was taught one answer, and benchmarks laid out as their own files."""

import json
import shutil
from pathlib import Path

import torch

from videostr import cli
from videostr.data import Sample
from videostr.data.prompts import PROMPTS
from videostr.data.world import WorldConfig, write_world
from videostr.model import GroupedPolicy, load_policy, pack_groups
from videostr.model.tiny import TinyConfig, write_tiny_policy
from videostr.training.prompter import Prompter, model_frames
from videostr.video import FramePolicy, SkippedVideos

ANSWER = "<think>there</think><time>[1, 4]</time>"
SMALL = TinyConfig(
    hidden=32,
    layers=1,
    heads=2,
    kv_heads=1,
    mlp=64,
    vision_hidden=16,
    vision_layers=1,
    vision_heads=2,
    vision_mlp=16,
)
FRAMES = FramePolicy(num_frames=4, min_pixels=56 * 56, max_pixels=56 * 56)
FAST = ("frames.num_frames=4", "frames.min_pixels=3136", "frames.max_pixels=3136", "frames.total_pixels=null")
FAST += ("decoding.max_new_tokens=48", "resamples=200")


def make_clips(folder: Path, count: int) -> list[Sample]:
    config = WorldConfig(side=48, min_duration=5, max_duration=6)
    return list(write_world(folder, clips=count, seed=0, config=config, name="clip"))[:count]


def teach(folder: Path, clips: list[Sample], answer: str, steps: int = 120) -> Path:
    """A model folder that answers `answer` whatever it is asked and shown: 1 to 2 seconds of training."""
    write_tiny_policy(folder, [*PROMPTS.values(), *(clip.query for clip in clips), answer], SMALL, seed=0)
    policy = load_policy(folder)
    target = torch.tensor([*policy.tokenizer(answer)["input_ids"], policy.eos_ids[0]])
    frames = model_frames(policy, FRAMES)
    prompts = []
    for clip, name in zip(clips, ("tvg_r1", "time_r1", "question", "question_first"), strict=False):
        prompts.append(Prompter(policy, name, False, frames, None, SkippedVideos())(clip))
    packed = pack_groups(prompts, [[target]] * len(prompts))
    grouped, optimiser = GroupedPolicy(policy), torch.optim.AdamW(policy.model.parameters(), lr=3e-3)
    for _ in range(steps):
        logprob_NL, _ = grouped(packed, entropy=False)
        loss = -logprob_NL[packed.mask_NL].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    policy.model.save_pretrained(folder)
    return folder


def copy_clip(clip: Sample, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(clip.video, target)


def run(benchmark: str, model: Path, data, videos: Path, out: Path, *more: str) -> dict:
    """`videostr eval` in this process; returns summary.json."""
    command = ["eval", benchmark, "--model", str(model), "--data", str(data), "--videos", str(videos)]
    command += ["--out", str(out), *more, "--set", *FAST]
    assert cli.main(command) == 0
    return json.loads((out / "summary.json").read_text())


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def charades(folder: Path, clips: list[Sample]) -> Path:
    """Charades-STA as it is published: Charades_v1/ID.mp4, lines `ID START END##SENTENCE`, lengths in a CSV."""
    lines, table = [], ["id,subject,scene,quality,length"]
    for number, clip in enumerate(clips):
        name = f"C{number:04d}"
        copy_clip(clip, folder / "Charades_v1" / f"{name}.mp4")
        (start, end), *_ = clip.spans
        lines.append(f"{name} {start} {end}##{clip.query}")
        table.append(f"{name},S,Kitchen,7,{clip.duration}")
    (folder / "Charades_v1_test.csv").write_text("\n".join(table) + "\n")
    path = folder / "charades_sta_test.txt"
    path.write_text("".join(line + "\n" for line in lines))
    return path


def qvhighlights(folder: Path, clips: list[Sample]) -> Path:
    """QVHighlights: JSON lines, videos/{youtube id}_{start}_{end}.mp4, several windows, saliency beside them."""
    records = []
    for number, clip in enumerate(clips):
        vid = f"abcDEF-_{number:03d}_60.0_210.0"
        copy_clip(clip, folder / "videos" / f"{vid}.mp4")
        (start, end), *_ = clip.spans
        windows = [[start, end]] + ([[0.0, 0.5]] if number % 2 and start > 0.5 else [])
        record = {"qid": 9000 + number, "query": clip.query, "duration": clip.duration, "vid": vid}
        record |= {"relevant_clip_ids": [0, 1], "saliency_scores": [[2, 3, 4], [1, 1, 2]], "relevant_windows": windows}
        records.append(record)
    path = folder / "highlight_val_release.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def sti_bench(folder: Path, clips: list[Sample]) -> Path:
    """STI-Bench: qa.parquet with an object of candidates, video/NAME.mp4 of three kinds of scene."""
    import pyarrow
    import pyarrow.parquet

    names = ("scene0011_00.mp4", "camera_front_7.mp4", "123456.mp4", "other.mp4", "scene0012_00.mp4", "gone.mp4")
    rows_ = []
    for number, (clip, name) in enumerate(zip(clips, names, strict=True)):
        if name != "gone.mp4":
            copy_clip(clip, folder / "video" / name)
        options = {"A": "1.5 m", "B": "2.5 m", "C": "3.5 m", "D": "4.5 m", "E": None if number == 0 else "9 m"}
        row = {"Video": name, "ID": number, "Source": "ScanNet", "Scene": None, "Question": f"How far is it, {number}?"}
        row |= {"Task": ("Dimensional Measurement", "Displacement & Path Length")[number % 2], "Candidates": options}
        row |= {"Answer": "C" if number < 4 else "B", "time_start": 0.0, "time_end": 4.0 + number}
        rows_.append(row)
    rows_.append(dict(rows_[0], ID=99, Answer="Z"))
    path = folder / "qa.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows_), path)
    return path


def vsi_bench(folder: Path, clips: list[Sample]) -> Path:
    """VSI-Bench: test.parquet, dataset/scene_name.mp4, options null for numbers; answers are text."""
    import pyarrow
    import pyarrow.parquet

    for number, clip in enumerate(clips[:3]):
        copy_clip(clip, folder / "videos" / ("scannet", "arkitscenes", "scannetpp")[number] / f"scene{number:04d}.mp4")
    kinds = [
        ("object_rel_direction_easy", ["A. left", "B. right"], "A"),
        ("object_rel_direction_medium", ["A. left", "B. right", "C. back"], "C"),
        ("object_rel_direction_hard", ["A. front-left", "B. front-right", "C. back-left", "D. back-right"], "B"),
        ("object_rel_distance", ["A. table", "B. chair", "C. door", "D. sofa"], "C"),
        ("route_planning", ["A. Turn Left", "B. Turn Right", "C. Turn Back"], "C"),
        ("obj_appearance_order", ["A. a, b", "B. b, a", "C. a, c", "D. c, a"], "D"),
        ("object_counting", None, "3"),
        ("object_abs_distance", None, "2.9"),
        ("object_size_estimation", None, "60"),
        ("room_size_estimation", None, "3.3"),
    ]
    rows_ = []
    for number, (kind, options, truth) in enumerate(kinds):
        dataset = ("scannet", "arkitscenes", "scannetpp")[number % 3]
        row = {"id": number, "dataset": dataset, "scene_name": f"scene{number % 3:04d}", "question_type": kind}
        rows_.append(row | {"question": f"Question {number}?", "ground_truth": truth, "options": options})
    rows_.append(dict(rows_[0], id=77, scene_name="scene9999"))  # its video is missing
    rows_.append(dict(rows_[0], id=78, question_type="smell"))
    path = folder / "test.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows_), path)
    return path


def v_star(folder: Path, clips: list[Sample]) -> Path:
    """V-STaR: one JSON list, videos/ID.mp4, boxes in both of the forms there are, one item broken."""
    items = []
    for number, clip in enumerate(clips[:4]):
        copy_clip(clip, folder / "videos" / "sub" / f"vid{number}.mp4")
        box = {"xmin": 6, "ymin": 6, "xmax": 30, "ymax": 30}
        seconds = (1, 2, 3)
        boxes = [{"timestamp": s, "frame_index": 8 * s, **box, "is_special": False} for s in seconds]
        if number == 1:
            boxes = [{f"{s}_{8 * s}": box for s in seconds}]
        item = {"vid": f"vid{number}", "domain": "Sports", "fps": 8, "width": 48, "height": 48, "frame_count": 44}
        item |= {"question": "What moves?", "chain": "<think>…<think>", "object": "square", "answer": "a red square"}
        item |= {"temporal_question": "When does it move?", "timestamps": [1.0, 4.0 + number]}
        item |= {"spatial_question": "Where is it?", "spatial_question_2": "Where is what moves?", "bboxes": boxes}
        items.append(item)
    items.append(dict(items[0], vid="gone"))
    items.append(dict(items[0], bboxes=[]))
    path = folder / "V_STaR_test.json"
    path.write_text(json.dumps(items))
    return path
