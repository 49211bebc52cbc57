"""The rows of the table: who stands beside whom, what is aimed at, and whether it is met."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.contestants import Taken
from benchmarks.measure import aligned

Results = dict[str, list[Taken]]
"""By the contestant, one a round."""


class Beside(NamedTuple):
    """Those whom ours stands beside."""

    whom: tuple[str, ...]
    """the fastest of these"""
    aim: float | None
    """what ours is to be by theirs at least, or at most; None if they are only shown"""


class Row(NamedTuple):
    """One thing that is compared."""

    name: str
    ours: str
    beside: tuple[Beside, ...] = ()
    figure: str = "rate"
    """which of `Taken`"""
    at_most: bool = False
    """whether less is better; else the aim is the least"""
    differ: bool = False
    """whether ours is compared by what it has more, and not by how many times as much"""
    own_aim: float | None = None
    """what the figure itself is to be"""

    def without_aims(self) -> Row:
        """For runs that are too short to meet any."""
        return self._replace(beside=tuple(one._replace(aim=None) for one in self.beside), own_aim=None)


_RECODE = tuple(f"recode, {library}" for library in ("TensorFlow", "OpenCV", "simplejpeg", "Pillow"))


def _presets() -> Iterator[Row]:
    for recipe, recoding, albumentations in (("flowers", 0.85, 1.0), ("convnet", None, 1.2)):
        beside = (
            Beside(_RECODE, recoding),
            Beside((f"Albumentations, {recipe}",), albumentations),
            Beside((f"tf.data loop, {recipe}",), 1.5),
            Beside((f"Beam as written first, {recipe}",), 12),
        )
        yield Row(recipe, f"job, {recipe}", beside)


READING = "reading"
"""The row whose figures `benchmarks.feeding` takes: from shards to batches, in each storage."""

ROWS = [
    *_presets(),
    Row("raw", "job, raw", (Beside(("job, flowers",), 1.0),)),
    Row("png", "job, PNG", (Beside(("job, flowers",), 0.6),)),
    Row("cifar10", "job, cifar10", (Beside(("tf.data loop, cifar10",), 2.0),)),
    Row("large", "job, large", (Beside(("recode, large, OpenCV",), None),)),
    Row("large", "job, large, reduced", (Beside(("job, large",), 2.5),)),
    *(
        Row("audit", f"audit, {recipe}", (Beside((f"job, {recipe}",), 0.6),))
        for recipe in ("flowers", "convnet")
    ),
    Row("start", "job, 24 images", (Beside(("import apache_beam",), 1.5),), "seconds", at_most=True),
    Row(
        "memory",
        "job, flowers",
        (Beside(("import Beam, NumPy, OpenCV",), 150e6),),
        "largest",
        at_most=True,
        differ=True,
    ),
    Row("flat", "job, cifar10", figure="growth", at_most=True, own_aim=1.1),
    *(
        Row(name, ours, tuple(Beside((one,), 1.0) for one in beside), "whole")
        for name, ours, beside in (
            ("processes", "job, 2 processes", ["job, 1 process"]),
            ("processes", "job, 4 processes", ["job, 1 process"]),
            ("processes", "job, flowers", ["job, 1 process", "job, 2 processes", "job, 4 processes"]),
        )
    ),
]
NAMES = [*dict.fromkeys(row.name for row in ROWS), READING]


def contestants(rows: Sequence[Row]) -> list[str]:
    """All who stand in rows, once."""
    everyone = [name for row in rows for name in (row.ours, *(one for b in row.beside for one in b.whom))]
    return list(dict.fromkeys(everyone))


def reading_rows(results: Results) -> list[Row]:
    """What `benchmarks.feeding` measured, as contestants `<storage>, <name>`, in rows."""
    rows = []
    for name in results:
        storage, _, who = name.partition(", ")
        if who in ("numpy", "arm shards"):  # for any loop, and `augshard train`'s
            others = [one for one in results if one.startswith(f"{storage}, TF")]
            beside = tuple(Beside((one,), _reading_aim(one)) for one in others)
            rows.append(Row(READING, name, beside))
    return rows


def _reading_aim(name: str) -> float:
    return 1.3 if "TFDS" in name else 1.0


def table(rows: Sequence[Row], results: Results) -> str:
    """Medians, with the least and the most of the rounds; ratios are those within a round."""
    lines = [("row", "", "", "from", "to", "CPU", "ours is", "from", "to", "aim", "")]
    for row in rows:
        lines.append((row.name, *_figures(row, row.ours, results), "", "", "", *_verdict(row, results)))
        for beside in row.beside:
            best = max(beside.whom, key=lambda name: _median(results[name], row.figure))
            for name in beside.whom:
                aim = beside.aim if name == best else None
                lines.append(("", *_figures(row, name, results), *_comparison(row, name, aim, results)))
    return aligned(lines, left=2)


def document(rows: Sequence[Row], results: Results) -> list[dict[str, object]]:
    """The same, with every figure."""
    return [
        {
            "row": row.name,
            "figure": row.figure,
            "ours": row.ours,
            "beside": [beside._asdict() for beside in row.beside],
            "rounds": {name: [one._asdict() for one in results[name]] for name in contestants([row])},
        }
        for row in rows
    ]


_UNITS = {
    "rate": "{:,.0f}/s",
    "whole": "{:,.0f}/s",
    "seconds": "{:.2f} s",
    "largest": "{:,.0f} MB",
    "growth": "{:.2f}x",
}


def _shown(figure: str, value: float) -> str:
    return _UNITS[figure].format(value / 1e6 if figure == "largest" else value)


def _values(measured: Sequence[Taken], figure: str) -> list[float]:
    return [getattr(one, figure) for one in measured]


def _median(measured: Sequence[Taken], figure: str) -> float:
    return statistics.median(_values(measured, figure))


def _figures(row: Row, name: str, results: Results) -> tuple[str, ...]:
    values = _values(results[name], row.figure)
    cpu = _median(results[name], "cpu")
    timed = row.figure == "rate" and not math.isnan(cpu)
    spread = (_shown(row.figure, of(values)) for of in (statistics.median, min, max))
    return name, *spread, f"{cpu * 1e3:.3f} ms" if timed else ""


def _comparison(row: Row, name: str, aim: float | None, results: Results) -> tuple[str, ...]:
    """Ours by theirs: median, least, most; the aim, and whether the median meets it."""
    pairs = zip(_values(results[row.ours], row.figure), _values(results[name], row.figure), strict=True)
    if row.differ:
        values, form = [(a - b) / 1e6 for a, b in pairs], "{:+,.0f} MB"
        aim = aim and aim / 1e6
    else:
        values, form = [a / b for a, b in pairs], "{:.2f}x"
    spread = (form.format(of(values)) for of in (statistics.median, min, max))
    return *spread, *_aimed(row, aim, form, statistics.median(values))


def _verdict(row: Row, results: Results) -> tuple[str, str]:
    return _aimed(row, row.own_aim, "{:.2f}x", _median(results[row.ours], row.figure))


def _aimed(row: Row, aim: float | None, form: str, value: float) -> tuple[str, str]:
    if aim is None:
        return "", ""
    met = value <= aim if row.at_most else value >= aim
    return f"{'<=' if row.at_most else '>='} {form.format(aim)}", "met" if met else "NOT MET"
