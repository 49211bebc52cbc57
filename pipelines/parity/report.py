"""Runs the comparison, and says in a table and in JSON what came of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from augment.parity import parity_class
from pipelines.parity.examples import Row, samples
from pipelines.parity.ways import WAYS, Case, Images, Launch, NotPossible, available, host
from pipelines.progress import Bar


class Cell(NamedTuple):
    """How the samples of one recipe, made in one way, differ from the reference."""

    levels: int | None = None
    """the largest difference; None where there is nothing to compare"""
    pixels: float = 0.0
    """the part of pixels that differ in any channel"""
    problem: str = ""
    """why there is nothing to compare"""
    failed: bool = False
    """whether that is a fault, and not a limit that is known"""

    def __str__(self) -> str:
        if self.levels is None:
            return self.problem
        return f"{self.levels} in {self.pixels:.1e}" if self.levels else "0"


Table = Mapping[str, Mapping[str, Cell]]
"""Cells by row and way."""


def compare(rows: Sequence[Row], *, count: int, seed: int, launch: Launch) -> Table:
    """Computes about `count` samples of each row in each way, saying how far it is."""
    ways = available()
    made = {channels: samples(count, channels) for channels in {row.recipe.channels for row in rows}}
    table: dict[str, dict[str, Cell]] = {}
    with Bar("parity", "ways", len(rows) * len(ways)) as bar:
        for row in rows:
            case = Case(row.recipe, seed, made[row.recipe.channels], launch)
            reference = host(case)
            cells = table.setdefault(row.label, {})
            for way in ways:
                bar.name(f"{row.label}, {way}")
                cells[way] = _cell(functools.partial(WAYS[way], case), reference)
                bar.update()
    return table


def _cell(compute: functools.partial[Images], reference: Images) -> Cell:
    try:
        return measured(compute(), reference)
    except NotPossible as limit:
        return Cell(problem=str(limit))
    except Exception as error:  # noqa: BLE001 (whatever it is, it belongs into the table)
        first = next(iter(str(error).splitlines()), "")
        return Cell(problem=f"{type(error).__name__}: {first}", failed=True)


def measured(images: Images, reference: Images) -> Cell:
    """Compares images one by one."""
    largest = differing = total = 0
    for image, expected in zip(images, reference, strict=True):
        if image is None or expected is None:
            continue
        if image.shape != expected.shape or image.dtype != expected.dtype:
            was = f"{image.dtype} {list(image.shape)} instead of {expected.dtype} {list(expected.shape)}"
            return Cell(problem=was, failed=True)
        difference = np.abs(image.astype(np.int32) - expected).max(axis=-1)
        largest = max(largest, int(difference.max()))
        differing += int(np.count_nonzero(difference))
        total += difference.size
    return Cell(largest, differing / total)


def agrees(table: Table) -> bool:
    """Whether everything is equal to the bit, and nothing failed."""
    return not any(cell.failed or cell.levels for _, _, cell in _cells(table))


def _cells(table: Table) -> Iterator[tuple[str, str, Cell]]:
    for name, cells in table.items():
        for way, cell in cells.items():
            yield name, way, cell


def as_text(table: Table) -> str:
    """The table, aligned, and below it what failed."""
    lines = [["", *next(iter(table.values()))]]
    for name, cells in table.items():
        lines.append([name, *("failed" if cell.failed else str(cell) for cell in cells.values())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    said = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    said += [f"{name}, {way}: {cell.problem}" for name, way, cell in _cells(table) if cell.failed]
    return "".join(line + "\n" for line in said)


def as_json(table: Table, rows: Sequence[Row], *, count: int, seed: int) -> dict[str, Any]:
    """The same with everything that it depends on, for programs."""
    return {
        "parity_class": parity_class(),
        "seed": seed,
        "samples": len(samples(count)),
        "equal": agrees(table),
        "rows": [
            {
                "kind": row.kind,
                "name": row.name,
                "recipe": row.recipe.canonical(),
                "ways": {
                    way: {"problem": cell.problem}
                    if cell.levels is None
                    else {"levels": cell.levels, "pixels": cell.pixels}
                    for way, cell in table[row.label].items()
                },
            }
            for row in rows
        ],
    }
