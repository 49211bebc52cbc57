"""What lies in two splits and must not: groups of sources, and pictures that are nearly equal.

Memory holds eight bytes for each name in a split, and the sources of those that are in two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from augment.augmenter import CORES
from augment.keys import source_words
from pipelines.audit.findings import Audit, Finding
from pipelines.audit.grouping import groups_in, told_by
from pipelines.audit.statistics import SamplesReader
from pipelines.format.manifest import Manifest
from pipelines.plan.together import Joined, Seen, join_seen, see
from pipelines.sources import Source
from pipelines.sources.groups import groups_of

NamesOf = Callable[[pa.Table], list[str | None]]
"""Of rows, what the source of each shares with others, if anything."""


class Looked(NamedTuple):
    """The pictures of an input."""

    nodes: dict[str, str]
    """by id"""
    joined: Joined

    def names(self, rows: pa.Table) -> list[str | None]:
        """The sets of nearly equal pictures that the sources of rows are in."""
        sources = rows["source"].to_pylist()
        return [self.joined.least(self.nodes[s]) if s in self.nodes else None for s in sources]


def look(root: str, sources: Sequence[Source], group_by: str | None) -> tuple[list[Seen], Looked]:
    """Looks at every picture; one that cannot be read is like no other, which other checks find."""

    def seen_one(source: Source, group: str | None) -> Seen:
        try:
            return see(root, source, group)
        except OSError:
            return Seen(source, group or f"source {source.id}", "", None)

    with ThreadPoolExecutor(CORES) as pool:
        seen = list(pool.map(seen_one, sources, groups_of(group_by, sources)))
    joined = join_seen(seen)
    return seen, Looked({one.source.id: one.node for one in seen}, joined)


class Place(NamedTuple):
    """One source of several that share a name."""

    split: str
    source: str
    content: str
    """its SHA-256"""


def check_leaks(audit: Audit, manifest: Manifest, group_by: str | None, looked: Looked | None) -> None:
    """Adds to the findings what is in two splits: groups, and what pictures share."""
    reader = SamplesReader(audit.directory, manifest)
    if group_by is not None:
        for name, places in _torn(
            reader, manifest, lambda rows: groups_in(rows, group_by), told_by(group_by)
        ):
            audit.findings.add(_leak(places, f"its group {name!r} is in split", "with"))
    if looked is not None:
        for _, places in _torn(reader, manifest, looked.names):
            if (
                len({place.content for place in places}) > 1
            ):  # else the same file, which is found by its digest
                audit.findings.add(_leak(places, "nearly the same picture is in split", "as"))


def _leak(places: list[Place], what: str, how: str) -> Finding:
    first = places[0]
    other = next(place for place in places if place.split != first.split)
    more = f"; {len(places):,} sources in all" if len(places) > 2 else ""
    message = f"{what} {first.split} and, {how} {other.source}, in split {other.split}{more}"
    return Finding("leak", message, source=first.source)


def _torn(
    reader: SamplesReader, manifest: Manifest, names_of: NamesOf, told: str = "source"
) -> Iterator[tuple[str, list[Place]]]:
    """The names that sources of several splits share, with those sources, in their order."""
    hashes: dict[str, list[np.ndarray]] = {}
    for split, names, _ in _rows(reader, manifest, names_of, told):
        hashes.setdefault(split, []).append(np.unique(_hashes([name for name in names if name is not None])))
    each = [np.unique(np.concatenate(some)) for some in hashes.values()]
    every, splits = np.unique(np.concatenate([*each, np.empty(0, np.uint64)]), return_counts=True)
    several = every[splits > 1]
    found: dict[str, list[Place]] = {}
    for split, names, rows in _rows(reader, manifest, names_of, told) if len(several) else ():
        known = [(name, row) for name, row in zip(names, rows, strict=True) if name is not None]
        for at in np.flatnonzero(np.isin(_hashes([name for name, _ in known]), several)).tolist():
            name, row = known[at]
            found.setdefault(name, []).append(Place(split, row["source"], row["source_sha256"]))
    for name, places in sorted(found.items()):
        if len({place.split for place in places}) > 1:
            yield name, sorted(places)


def _rows(
    reader: SamplesReader, manifest: Manifest, names_of: NamesOf, told: str
) -> Iterator[tuple[str, list[str | None], list[dict[str, str]]]]:
    columns = list(dict.fromkeys(["source", "source_sha256", told]))
    for split, group in reader.groups():
        rows = reader.read(split, manifest.copies(split)[0], group, columns)
        if rows is not None:
            yield split, names_of(rows), rows.to_pylist()


def _hashes(names: Sequence[str]) -> np.ndarray:
    """uint64 [n]"""
    words = source_words(names).astype(np.uint64)
    return (words[:, 0] << np.uint64(32)) | words[:, 1]
