"""Candidates -> the ones to keep: without duplicates, balanced, as evenly over tasks and sources as there are."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from videostr.data.stv.balance import Shares, fill, level
from videostr.data.stv.store import Table

LEFT_OUT = {
    "trivial_group": "one constant answers all questions of its kind (the length of cars)",
    "unbalanced": "its answer is more common than others: kept out so that guessing does not pay",
    "not_needed": "more than were asked for",
}


def select(table: Table, count: int) -> tuple[np.ndarray, Counter]:
    """(rows to keep, rising; how many were left out and why).

    count: of both splits together. Every (split, task) gets the same number as far as there are enough, and within it
    every (source, family). Which ones: by the candidates' priorities, random numbers that do not depend on the order.
    """
    left: Counter[str] = Counter()
    if not len(table):
        return np.zeros(0, np.int64), left
    columns = table.columns()
    order = np.lexsort((np.arange(len(table)), columns["priority"]))
    by_stratum: dict[int, list[int]] = defaultdict(list)
    for row, stratum in zip(order.tolist(), columns["stratum"][order].tolist(), strict=True):
        by_stratum[stratum].append(row)
    kept: dict[tuple, list[list[int]]] = defaultdict(list)  # (split, task, source, family) -> rows by group
    for stratum in sorted(by_stratum, key=lambda number: table.strata[number]):
        split, source, task, family, kind, _ = table.strata[stratum]
        rows = by_stratum[stratum]
        if kind == "number":
            rows = _numbers(columns["value"], rows, left)
        elif kind == "choice":
            rows = _choices(table, columns["key"], rows, left)
        if rows:
            kept[split, task, source, family].append(rows)
    cells = sorted(kept)
    sizes = {cell: sum(map(len, kept[cell])) for cell in cells}
    tasks = sorted({cell[1] for cell in cells})
    wanted = dict(
        zip(tasks, fill([sum(sizes[c] for c in cells if c[1] == task) for task in tasks], count), strict=True)
    )
    rows: list[int] = []
    for task in tasks:
        mine = [cell for cell in cells if cell[1] == task]
        have = sum(sizes[cell] for cell in mine)
        kinds = sorted({cell[2:] for cell in mine})
        share = fill([sum(sizes[c] for c in mine if c[2:] == kind) for kind in kinds], min(wanted[task], have))
        for kind, quota in zip(kinds, share, strict=True):
            both = [cell for cell in mine if cell[2:] == kind]
            groups = [group for cell in both for group in kept[cell]]
            rows += _thin(columns, groups, quota)
            left["not_needed"] += sum(map(len, groups)) - quota
    return np.array(sorted(rows), np.int64), left


def _numbers(value: np.ndarray, rows: list[int], left: Counter) -> list[int]:
    counts = Counter(value[rows].tolist())
    most = level(counts)
    if most is None:
        left["trivial_group"] += len(rows)
        return []
    taken: Counter[float] = Counter()
    kept = []
    for row in rows:
        taken[value[row]] += 1
        if taken[value[row]] <= most:
            kept.append(row)
    left["unbalanced"] += len(rows) - len(kept)
    return kept


def _choices(table: Table, key: np.ndarray, rows: list[int], left: Counter) -> list[int]:
    """Goes over the rows until none is accepted any more: what has to wait for its key to be offered gets its turn."""
    shares, kept, waiting = Shares(), [], rows
    for _ in range(8):
        refused = []
        for row in waiting:
            keys = table.option_keys(row)
            (kept if shares.accept(int(key[row]), keys) else refused).append(row)
        if len(refused) == len(waiting):
            break
        waiting = refused
    left["unbalanced"] += len(rows) - len(kept)
    return kept


def _thin(columns: dict[str, np.ndarray], groups: list[list[int]], count: int) -> list[int]:
    """`count` rows, the same share of every answer of every group."""
    share = count / sum(map(len, groups))
    kept, owed = [], 0.5  # what rounding owes goes on to the next answer
    for rows in groups:
        by_answer: dict[tuple, list[int]] = defaultdict(list)
        for row in rows:
            by_answer[columns["value"][row], columns["key"][row]].append(row)
        for answer in sorted(by_answer):
            owed += len(by_answer[answer]) * share
            take = min(int(owed), len(by_answer[answer]))
            owed -= take
            kept += by_answer[answer][:take]
    return kept
