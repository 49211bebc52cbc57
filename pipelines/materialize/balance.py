"""Who of a class is the last to get one copy more, where classes are balanced to the image.

That is the `more`-th of its sources by the hash of their ids. Hashes are spread evenly, so it is known
beforehand about where that one lies, and only those near it are collected: a few thousand of a million.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam

from pipelines import plan
from pipelines.format.copies import ClassCopies, RankOf, ranks
from pipelines.format.request import Request
from pipelines.materialize.grouping import PackSources
from pipelines.packets import things_of
from pipelines.sources import Folder, Found, Listing
from pipelines.sources.found import Place

DEVIATIONS = 16
"""How far off the expected place is searched; it is further off once in 10**50 classes."""


class Near(NamedTuple):
    """The sources of a class that come before the searched place, as a number, and those at it."""

    before: int = 0
    at: tuple[RankOf, ...] = ()


class LastOnes(beam.PTransform):
    """What was found to the last one of each class that gets one copy more, by split and class.

    Args:
        request: which balances classes.
        counted: what was found, in numbers.
        waiting: where on the machine of all workers packets wait; empty: nowhere.
    """

    def __init__(self, request: Request, counted: beam.pvalue.AsSingleton, waiting: str = "") -> None:
        super().__init__()
        self.request, self.counted, self.waiting = request, counted, waiting

    def expand(self, found: beam.PCollection[Found | Folder]) -> beam.PCollection[tuple[Place, RankOf]]:
        return (
            found
            | "Pack" >> beam.ParDo(PackSources(self.waiting))
            | "Near" >> beam.ParDo(FindNear(self.request), self.counted)
            | "Collect" >> beam.CombinePerKey(collect)
            | "Last" >> beam.FlatMap(last_one, self.request, self.counted)
        )


@beam.typehints.with_output_types(tuple[Place, Near])
class FindNear(beam.DoFn):
    """Sources to what of a packet lies before and near the searched place of their class."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def start_bundle(self) -> None:
        self._wanted: dict[Place, ClassCopies] | None = None

    def process(self, packet: bytes, counted: Listing) -> Iterator[tuple[Place, Near]]:
        if self._wanted is None:
            self._wanted = plan.parted(self.request, counted)
        ids: dict[Place, list[str]] = {}
        for source in things_of([packet]):
            if (source.split, source.label) in self._wanted:
                ids.setdefault((source.split, source.label), []).append(source.id)
        for place in ids:
            yield place, near(self._wanted[place], ids[place])


def near(wanted: ClassCopies, ids: list[str]) -> Near:
    low, high = searched(wanted)
    rank = ranks(ids).tolist()
    at = tuple((r, source) for r, source in zip(rank, ids, strict=True) if low <= r < high)
    return Near(sum(r < low for r in rank), at)


def searched(wanted: ClassCopies) -> tuple[int, int]:
    """Between which ranks the last one that gets one copy more lies."""
    part = wanted.more / wanted.sources
    width = DEVIATIONS * (math.sqrt(part * (1 - part) / wanted.sources) + DEVIATIONS / wanted.sources)
    return max(0, int((part - width) * 2**64)), min(1 << 64, int((part + width) * 2**64))


def collect(parts: Iterable[Near]) -> Near:
    """All parts of one class."""
    before, at = 0, list[RankOf]()
    for part in parts:
        before += part.before
        at += part.at
    return Near(before, tuple(at))


def last_one(
    collected: tuple[Place, Near], request: Request, counted: Listing
) -> Iterator[tuple[Place, RankOf]]:
    """Raises RuntimeError if it lies elsewhere than hashes of names do."""
    place, found = collected
    number = plan.parted(request, counted)[place].more - 1 - found.before
    if not 0 <= number < len(found.at):
        raise RuntimeError(f"class {place[1]!r}: its names are made for their hashes to lie unevenly")
    yield place, sorted(found.at)[number]
