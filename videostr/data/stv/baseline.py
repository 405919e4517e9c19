"""What can be scored without seeing the video: the best constant letter, number and box, and the options' words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from string import ascii_uppercase
from typing import Any

import numpy as np

from videostr.data.stv.balance import constant_scores

ENOUGH = 500  # questions: with fewer, two points are within chance
LIMIT = 0.02


class Blind:
    """Counts first (`see`), then scores (`guess` the same metas again), then `table`.

    letter: the share of the most common letter, the best in hindsight. words: each option is scored by how often
    options of its class or direction were right in the other half of the questions; the best one is chosen. number:
    the mean relative accuracy of the best constant in hindsight, for each source, family and class; its chance is that
    of the best constant where every answer that occurs is equally frequent. box: IoU of the mean box.
    """

    def __init__(self) -> None:
        self.letters: dict[tuple, Counter] = defaultdict(Counter)
        self.right: tuple[Counter, Counter] = Counter(), Counter()
        self.offered: tuple[Counter, Counter] = Counter(), Counter()
        self.numbers: dict[tuple, Counter] = defaultdict(Counter)
        self.boxes: dict[tuple, np.ndarray] = defaultdict(lambda: np.zeros(5))
        self.words: dict[tuple, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        self.overlap: dict[tuple, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.seen = self.guessed = 0

    def see(self, source: str, meta: dict[str, Any]) -> None:
        fold, self.seen = self.seen % 2, self.seen + 1
        row = (source, meta["task"], meta["family"])
        if meta["answer_kind"] == "choice":
            self.letters[(*row, len(meta["options"]))][meta["answer"]] += 1
            keys = meta["option_keys"]
            self.right[fold][row, keys[ascii_uppercase.index(meta["answer"])]] += 1
            for key in keys:
                self.offered[fold][row, key] += 1
        elif meta["answer_kind"] == "number":
            self.numbers[(*row, meta.get("group"))][float(meta["answer"])] += 1
        else:
            self.boxes[row] += np.array([*meta["answer"], 1.0])

    def guess(self, source: str, meta: dict[str, Any]) -> None:
        fold, self.guessed = self.guessed % 2, self.guessed + 1
        row = (source, meta["task"], meta["family"])
        if meta["answer_kind"] == "choice":
            keys = meta["option_keys"]
            right, offered = self.right[1 - fold], self.offered[1 - fold]
            scores = [right[row, key] / max(offered[row, key], 1) for key in keys]
            best = [at for at, score in enumerate(scores) if score == max(scores)]
            total = self.words[row]
            total[0] += (ascii_uppercase.index(meta["answer"]) in best) / len(best)
            total[1] += 1 / len(keys)
            total[2] += 1
        elif meta["answer_kind"] == "box":
            mean = self.boxes[row][:4] / self.boxes[row][4]
            self.overlap[row][0] += _iou(mean, meta["answer"])
            self.overlap[row][1] += 1

    def table(self) -> list[dict[str, Any]]:
        """One row a prior, source, task and family: n, score, chance, excess, verdict ("chance", "above" or "few")."""
        rows = []
        letters: dict[tuple, list] = defaultdict(list)
        for (*row, options), counts in self.letters.items():
            letters[tuple(row)].append((sum(counts.values()), max(counts.values()), options))
        for row, parts in letters.items():
            n = sum(part[0] for part in parts)
            chance = sum(part[0] / part[2] for part in parts) / n
            rows.append(_line("letter", row, n, sum(part[1] for part in parts) / n, chance))
        rows += [_line("words", row, int(n), hit / n, chance / n) for row, (hit, chance, n) in self.words.items()]
        numbers: dict[tuple, np.ndarray] = defaultdict(lambda: np.zeros(3))
        for (*row, _), counts in self.numbers.items():
            values, weights = np.array(list(counts)), np.array(list(counts.values()), np.float64)
            n, ones = weights.sum(), np.ones(len(values))
            scores = constant_scores(values, weights)[0], constant_scores(values, ones)[0]
            numbers[tuple(row)] += np.array([n * scores[0], n * scores[1], n])
        for row, (score, chance, n) in numbers.items():
            rows.append(_line("number", row, int(n), score / n, chance / n))
        for row, (score, n) in self.overlap.items():
            rows.append(_line("box", row, int(n), score / n, None))
        return sorted(rows, key=lambda r: (r["prior"], r["source"], r["task"], r["family"]))


def measure(metas: Iterable[tuple[str, dict]], again: Iterable[tuple[str, dict]]) -> list[dict[str, Any]]:
    """The table of samples that can be gone over twice: (source, meta)."""
    blind = Blind()
    for source, meta in metas:
        blind.see(source, meta)
    for source, meta in again:
        blind.guess(source, meta)
    return blind.table()


def overall(table: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Letters, words and numbers over everything: score, chance, excess."""
    out = {}
    for prior in ("letter", "words", "number"):
        rows = [row for row in table if row["prior"] == prior]
        n = sum(row["n"] for row in rows)
        if n:
            score, chance = (sum(row[name] * row["n"] for row in rows) / n for name in ("score", "chance"))
            out[prior] = {
                "n": n,
                "score": round(score, 4),
                "chance": round(chance, 4),
                "excess": round(score - chance, 4),
            }
    return out


def to_text(table: list[dict[str, Any]]) -> str:
    """The table for people, and a last line that says whether anything is above chance."""
    lines = [f"  {'blind by':<9}{'source':<9}{'task':<21}{'family':<28}{'n':>8}{'score':>8}{'chance':>8}"]
    for row in table:
        chance = "" if row["chance"] is None else f"{row['chance']:8.3f}"
        mark = {"above": "  above chance", "few": "  too few to say"}.get(row["verdict"], "")
        lines.append(
            f"  {row['prior']:<9}{row['source']:<9}{row['task']:<21}{row['family']:<28}{row['n']:>8,}"
            f"{row['score']:8.3f}{chance}{mark}"
        )
    for prior, total in overall(table).items():
        lines.append(
            f"  all, by {prior:<7} {total['n']:>9,} questions: {total['score']:.3f}, chance {total['chance']:.3f}, "
            f"{100 * total['excess']:+.1f} points"
        )
    return "\n".join(lines)


def _line(prior: str, row: tuple, n: int, score: float, chance: float | None) -> dict[str, Any]:
    line = dict(zip(("source", "task", "family"), row, strict=True), prior=prior, n=n, score=round(score, 4))
    excess = 0.0 if chance is None else score - chance
    verdict = "chance" if excess <= LIMIT else "few" if n < ENOUGH else "above"
    return line | {
        "chance": None if chance is None else round(chance, 4),
        "excess": round(excess, 4),
        "verdict": verdict,
    }


def _iou(a, b) -> float:
    width, height = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(width * height / (sum(area) - width * height))
