"""What the samples table tells of a dataset as a whole, read file by file.

Memory holds one group's rows, a tally of each parameter, and eight bytes a source, by
which the same content under two names is found, with the names of those.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from augment.augmenter import NOT_AUGMENTED
from augment.recipe import Recipe
from pipelines import storage
from pipelines.audit.distributions import Fit, promised
from pipelines.audit.findings import Audit, Finding
from pipelines.format.bounds import LINE_BYTES
from pipelines.format.inside import path_in
from pipelines.format.layout import REJECTS, samples_file
from pipelines.format.manifest import Manifest
from pipelines.format.samples import schema
from pipelines.format.stored import read_rows
from pipelines.format.targets import is_parameter
from pipelines.progress import Bar

SHOWN = 200
"""Rejects that are kept with their names; more are only counted."""


class DuplicateSource(NamedTuple):
    """One of several sources with the same bytes."""

    split: str
    label: str
    source: str


@dataclasses.dataclass
class Duplicates:
    """Sources with the same bytes as another."""

    across: int = 0
    """contents that are in more than one split"""
    within: int = 0
    """contents that are more than once in one split, and in no other"""
    labels: int = 0
    """contents, of both kinds, that are in more than one class"""
    groups: list[tuple[DuplicateSource, ...]] = dataclasses.field(default_factory=list)
    """their sources"""


@dataclasses.dataclass
class Variety:
    """How many different images the copies of a split are."""

    sources: int = 0
    copies: int = 0
    distinct: int = 0
    """copies that differ from all others of their source"""
    repeated: int = 0
    """sources of which at least two copies are equal"""


@dataclasses.dataclass
class Statistics:
    """What the samples table and the rejects tell."""

    records: dict[str, Counter[str]]
    """rows by split and class, in all copies"""
    fits: list[Fit]
    """of each drawn parameter"""
    variety: dict[str, Variety]
    """of each split that has copies"""
    duplicates: Duplicates
    rejects: Counter[str]
    """by reason"""
    rejected: list[tuple[str, str, str]]
    """source, reason and detail of SHOWN of them"""
    unread: list[str]
    """samples files that could not be read: nothing here counts their rows"""

    def as_json(self) -> dict[str, Any]:
        """All but the bins and the names, which the samples table and rejects.jsonl have."""
        return {
            "records": self.records,
            "parameters": [
                {**{k: _plain(v) for k, v in vars(fit).items() if k != "bins"}, "biased": fit.biased}
                for fit in self.fits
            ],
            "variety": {split: vars(variety) for split, variety in self.variety.items()},
            "duplicates": {k: v for k, v in vars(self.duplicates).items() if k != "groups"},
            "rejects": self.rejects,
            "unread": self.unread,
        }


def _plain(value: Any) -> Any:
    """As JSON has it, which knows neither infinity nor what is no number: a forged row may hold them."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class SamplesReader:
    """Reads the samples table of a dataset that may be damaged."""

    def __init__(self, directory: str, manifest: Manifest) -> None:
        self._directory, self._manifest = directory, manifest
        self._schema = schema(manifest.request.parsed_recipe(), manifest.targets)
        self.parameters = [name for name in self._schema.names if is_parameter(name)]
        """the columns of drawn parameters"""
        self.unread: list[str] = []
        """files that could not be read"""

    def groups(self) -> Iterator[tuple[str, int]]:
        """Each split with the number of each group of its first copy, which has the sources of the others."""
        for split in self._manifest.splits:
            for group in range(self._manifest.tiers(split)[0].groups):
                yield split, group

    def read(self, split: str, copy: int, group: int, columns: Sequence[str]) -> pa.Table | None:
        """The rows of one shard; None if they cannot be read."""
        with contextlib.suppress(OSError, ValueError):  # the check of the structure says what is wrong
            rows = read_rows(self._directory, self._manifest, split, copy, group, columns)
            if all(rows.schema.field(column) == self._schema.field(column) for column in columns):
                return rows
        name = samples_file(split, copy, group, self._manifest.groups(split, copy))
        if name not in self.unread:
            self.unread.append(name)
        return None


def statistics(audit: Audit, manifest: Manifest) -> Statistics:
    """Reads the samples table and the rejects of a dataset whose manifest could be read.

    Adds to the audit's findings a `leak` for each content that is in more than one split, and a
    `bias` for each parameter whose draws are not distributed as the recipe promises.
    """
    reader = SamplesReader(audit.directory, manifest)
    recipe = manifest.request.parsed_recipe()
    tallies = [tally for labels, one in recipe.distinct() for tally in promised(one, labels)]
    columns = [*_COLUMNS, *recipe.columns()]
    records = {split: Counter[str]() for split in manifest.splits}
    variety = {split: Variety() for split, counts in manifest.splits.items() if counts.augmented}
    contents: list[np.ndarray] = []
    groups = [(s, tier, n) for s in manifest.splits for tier in manifest.tiers(s) for n in range(tier.groups)]
    for split, tier, group in Bar("statistics", "groups", len(groups)).over(groups):
        copies, first = tier.copies, manifest.copies(split)[0]
        augmented: list[pa.Table] = []
        for copy in copies:
            rows = reader.read(split, copy, group, columns)
            if rows is None:
                continue
            labels = rows.group_by("class").aggregate([([], "count_all")]).to_pydict()
            records[split].update(dict(zip(labels["class"], labels["count_all"], strict=True)))
            if copy == first:
                contents.append(prefixes(rows["source_sha256"]))
            if copy != NOT_AUGMENTED:
                augmented.append(rows.select(["source", "pixels_blake3"]))
                of = _by_classes(rows, recipe)
                for tally in tallies:
                    tally.add(of[tally.classes][tally.name].drop_null().to_numpy())
        if augmented:
            _compare(pa.concat_tables(augmented), variety[split], again=copies[0] > 0)
    fits = [fit for tally in tallies if (fit := tally.fit(len(tallies)))]
    duplicates = _duplicates(reader, manifest, contents)
    for fit in fits:
        if fit.biased:
            audit.findings.add(_bias(fit))
    reasons, rejected = _rejects(audit.directory)
    for places in duplicates.groups:
        if len({place.split for place in places}) > 1:
            audit.findings.add(_leak(places))
    return Statistics(records, fits, variety, duplicates, reasons, rejected, reader.unread)


def _by_classes(rows: pa.Table, recipe: Recipe) -> dict[tuple[str, ...], pa.Table]:
    """The rows of the classes that have each recipe of their own; of all others, those of no class."""
    if not recipe.recipe_for:
        return {(): rows}
    named = {label: tuple(labels) for labels, _ in recipe.distinct() for label in labels}
    whose = [named.get(label, ()) for label in rows["class"].to_pylist()]
    return {its: rows.filter(pa.array([one == its for one in whose])) for its in {(), *named.values()}}


_COLUMNS = ("source", "class", "source_sha256", "pixels_blake3")


def prefixes(digests: pa.ChunkedArray) -> np.ndarray:
    """uint64 [n]: the first 8 bytes of SHA-256 digests in hexadecimal; what is none counts as 0."""
    texts = (digest[:16] for digest in digests.to_pylist())
    return np.array([int(text, 16) if _HEX.fullmatch(text) else 0 for text in texts], np.uint64)


_HEX = re.compile("[0-9a-f]{16}")


def _compare(copies: pa.Table, variety: Variety, *, again: bool) -> None:
    """Counts the different images of each source of one group, whose sources may have been counted before."""
    each = copies.group_by("source").aggregate(
        [("pixels_blake3", "count_distinct"), ("pixels_blake3", "count")]
    )
    distinct, count = (each[f"pixels_blake3_{what}"].to_numpy() for what in ("count_distinct", "count"))
    variety.sources += 0 if again else len(each)
    variety.copies += int(count.sum())
    variety.distinct += int(distinct.sum())
    variety.repeated += int(np.count_nonzero(distinct < count))


def _duplicates(reader: SamplesReader, manifest: Manifest, contents: list[np.ndarray]) -> Duplicates:
    """Finds sources of equal content: by 8 bytes of their digests first, then by all of them."""
    ordered = np.sort(np.concatenate([*contents, np.empty(0, np.uint64)]))
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    found = Duplicates()
    if not len(repeated):
        return found
    places: dict[str, list[DuplicateSource]] = {}
    for split, group in reader.groups():
        rows = reader.read(split, manifest.copies(split)[0], group, _COLUMNS)
        if rows is None:
            continue
        for row in rows.filter(np.isin(prefixes(rows["source_sha256"]), repeated)).to_pylist():
            places.setdefault(row["source_sha256"], []).append(
                DuplicateSource(split, row["class"], row["source"])
            )
    groups = sorted(tuple(sorted(same)) for same in places.values() if len(same) > 1)
    splits = [len({place.split for place in same}) for same in groups]
    found.across = sum(count > 1 for count in splits)
    found.within = len(groups) - found.across
    found.labels = sum(len({place.label for place in same}) > 1 for same in groups)
    found.groups = groups
    return found


def _leak(places: tuple[DuplicateSource, ...]) -> Finding:
    """The same bytes in several splits: what is trained on is evaluated on."""
    first = places[0]
    other = next(place for place in places if place.split != first.split)
    more = f", and {len(places) - 2:,} more" if len(places) > 2 else ""
    return Finding(
        "leak",
        f"the same image is in split {first.split} and, as {other.source}, in split {other.split}{more}",
        source=first.source,
    )


def _bias(fit: Fit) -> Finding:
    if fit.yes_or_no:
        drawn = (
            f"it is yes in {fit.observed_mean:.2%} of {fit.draws:,} draws instead of {fit.promised_mean:.2%}"
        )
    else:
        low, high = fit.observed_range
        first, last = fit.promised_range
        drawn = (
            f"its {fit.draws:,} draws lie in [{low:.4g}, {high:.4g}] with mean {fit.observed_mean:.4g}; "
            f"the recipe promises [{first:.4g}, {last:.4g}] with mean {fit.promised_mean:.4g}"
        )
    chance = f"{fit.p_value:.0e}" if fit.p_value > 1e-99 else "1e-99"
    return Finding("bias", f"{fit.title}: {drawn}; by chance that happens in less than {chance} of datasets")


def _rejects(directory: str) -> tuple[Counter[str], list[tuple[str, str, str]]]:
    reasons: Counter[str] = Counter()
    kept: list[tuple[str, str, str]] = []
    try:
        with storage.at(path_in(directory, REJECTS)).open() as file:
            while line := file.readline(LINE_BYTES):
                reject = json.loads(line)
                source, reason, detail = (str(reject[name]) for name in ("source", "reason", "detail"))
                reasons[reason] += 1
                if len(kept) < SHOWN:
                    kept.append((source, reason, detail))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # the check of the structure names a file that is damaged
    return reasons, kept
