"""The table of costs in docs/dataflow.md follows from the formulas in it."""

from __future__ import annotations

import re
from pathlib import Path

DOC = (Path(__file__).parents[1] / "docs" / "dataflow.md").read_text(encoding="utf-8")
COPIES, STORED = 4, 18e3
SHARD = {1e6: 128 * 2**20, 1e9: 256 * 2**20}


def costs(images: float) -> dict[str, float]:
    """Dollars by the table's rows."""
    hours = images / 200 / 3600
    shards = images * COPIES * STORED / SHARD[images]
    once = {
        "cores": hours * 0.056,
        "memory": hours * 4 * 0.003557,
        "disks": hours / 2 * 25 * 0.000054,
        "shuffle": images * 0.4e3 / 1e9 * 0.011,
        "reading": images * 0.0004 / 1000,
        "listing": images / 1000 * 0.005 / 1000,
        "writing": 2 * shards * 0.005 / 1000,
    }
    kept = images * COPIES * STORED / 1e9 * 0.02
    return {**once, "**once**": sum(once.values()), "keeping it, a month": kept}


def test_every_figure_is_that_of_its_formula():
    rows = {
        name.strip(): [float(cell.strip(" *$").replace(",", "")) for cell in cells.split("|")]
        for name, cells in re.findall(r"^\| ([^|]+) \|[^|]*\| ([^|]*\$[^|]*\|[^|]*) \|$", DOC, re.MULTILINE)
    }
    for column, images in enumerate(SHARD):
        for name, dollars in costs(images).items():
            shown = rows[name][column]
            assert abs(shown - dollars) <= (0.0051 if shown < 100 else 0.51), (name, shown, dollars)
    assert "| core hours | N / 200 / 3600 | 1.39 | 1,389 |" in DOC
