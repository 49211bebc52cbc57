"""The samples of a dataset: how many meet a filter, and those of one page.

The samples table is read file by file and column by column; memory holds what is asked of one file, and for
each filter of late how many of every file's samples meet it, so that any page is found at once.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augment.augmenter import NOT_AUGMENTED
from pipelines.audit.statistics import SamplesReader
from pipelines.format.layout import Shard, shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.targets import TABLE
from pipelines.look.query import Choices, Condition, Filter
from pipelines.plan import group_of, places

A_PAGE = 60
"""Samples of a page."""
_KEPT = 32
"""Filters whose numbers of matches are kept."""


class Sample(NamedTuple):
    """One row of the samples table."""

    shard: Shard
    record: int
    values: dict[str, Any]
    """by column"""

    @property
    def source(self) -> str:
        return self.values["source"]

    @property
    def label(self) -> str:
        return self.values["class"]

    @property
    def name(self) -> str:
        """Which copy it is."""
        return "original" if self.shard.copy == NOT_AUGMENTED else f"copy {self.shard.copy}"


class Page(NamedTuple):
    """Some of the samples that meet a filter."""

    samples: list[Sample]
    number: int
    """of the page, from 1: the nearest one to what was asked for"""
    pages: int
    total: int
    """samples that meet the filter"""


class Samples:
    """The samples table of a finished dataset. Used by several threads at once."""

    def __init__(self, directory: str, manifest: Manifest, choices: Choices) -> None:
        self._manifest, self._choices = manifest, choices
        self._reader = SamplesReader(directory, manifest)
        beside = manifest.targets.columns if manifest.targets else ()
        self.columns: tuple[str, ...] = (
            *("record", "source", "class", "source_sha256", "source_height", "source_width"),
            *(TABLE + name for name in beside),
            *choices.columns,
        )
        """that are read of the samples of a page"""
        self.shards: list[Shard] = []
        records = []
        for split in manifest.splits:
            for tier in manifest.tiers(split):
                for number, copy in itertools.product(range(tier.groups), tier.copies):
                    shard = Shard(split, copy, number, tier.groups)
                    self.shards.append(shard)
                    records.append(manifest.files[shard_file(manifest.request.name, *shard)].records or 0)
        self._records = np.array(records, np.int64)
        self._counts: OrderedDict[Filter, np.ndarray] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    @property
    def unread(self) -> list[str]:
        """The samples files that could not be read so far: their samples are not among those found."""
        return self._reader.unread

    def page(self, wanted: Filter, number: int) -> Page:
        """One page of what meets a filter."""
        with self._one_at_a_time:  # of two who ask for the same, one counts
            counts = self._counted(wanted)
            ends = np.cumsum(counts)
            total = int(ends[-1]) if len(ends) else 0
            pages = max(-(-total // A_PAGE), 1)
            number = min(max(number, 1), pages)
            start, samples = (number - 1) * A_PAGE, list[Sample]()
            for at in range(int(np.searchsorted(ends, start, "right")), len(ends)):
                left = A_PAGE - len(samples)
                if left <= 0:
                    break
                skipped = max(start - int(ends[at] - counts[at]), 0)
                if counts[at]:
                    shard = self.shards[at]
                    samples += self._met(shard, self._choices.conditions(wanted, shard), skipped, left)
            return Page(samples, number, pages, total)

    def shards_of(self, source: str) -> list[Shard]:
        """Where the copies of a source are, whatever is in them; none of what is no source."""
        [place] = places(self._manifest.request.seed, [source]).tolist()
        found: list[Shard] = []
        for split in self._manifest.splits:
            for tier in self._manifest.tiers(split):
                shards = [Shard(split, c, group_of(place, tier.groups), tier.groups) for c in tier.copies]
                rows = self._reader.read(split, tier.first, shards[0].number, ["source"])
                if rows is not None and pc.any(pc.equal(rows["source"], source)).as_py():
                    found += shards
        return found

    def of_source(self, source: str, shards: list[Shard]) -> list[Sample]:
        """A source's samples in some shards."""
        same = Condition(("source",), lambda rows: pc.equal(rows["source"], source).to_numpy())
        return [sample for shard in shards for sample in self._met(shard, [same], 0, 1)]

    def _counted(self, wanted: Filter) -> np.ndarray:
        """int64 [shards]: how many samples of each meet a filter."""
        known = self._counts.get(wanted)
        if known is None:
            known = np.array([self._count(wanted, at) for at in range(len(self.shards))], np.int64)
            self._counts[wanted] = known
            while len(self._counts) > _KEPT:
                self._counts.popitem(last=False)
        self._counts.move_to_end(wanted)
        return known

    def _count(self, wanted: Filter, at: int) -> int:
        shard = self.shards[at]
        if not self._choices.fits(wanted, shard):
            return 0
        conditions = self._choices.conditions(wanted, shard)
        if not conditions:
            return int(self._records[at])
        columns = dict.fromkeys(name for condition in conditions for name in condition.columns)
        rows = self._read(shard, tuple(columns))
        return 0 if rows is None else int(np.count_nonzero(_mask(rows, conditions)))

    def _met(self, shard: Shard, conditions: list[Condition], skipped: int, most: int) -> list[Sample]:
        """Of a shard's samples that meet all conditions, the next ones after some."""
        rows = self._read(shard, self.columns)
        if rows is None:
            return []
        found = rows.take(pa.array(np.flatnonzero(_mask(rows, conditions))[skipped : skipped + most]))
        return [Sample(shard, row["record"], row) for row in found.to_pylist()]

    def _read(self, shard: Shard, columns: tuple[str, ...]) -> pa.Table | None:
        return self._reader.read(shard.split, shard.copy, shard.number, columns)


def _mask(rows: pa.Table, conditions: list[Condition]) -> np.ndarray:
    """bool [rows]: which meet all of them."""
    return np.logical_and.reduce([np.ones(len(rows), bool), *(one.holds(rows) for one in conditions)])
