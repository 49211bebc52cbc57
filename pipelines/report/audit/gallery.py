"""The pictures of a page: some sources with their copies.

Sources are chosen by the digests of their contents, the same number of every class, so
that the choice is the same on every machine and depends on no order. Those that findings
name come first. Nothing of a picture is kept but its thumbnail and a few numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augment.augmenter import NOT_AUGMENTED
from augment.by_class import ByClass
from pipelines.audit.decoding import Decoder
from pipelines.audit.findings import Audit
from pipelines.audit.statistics import SamplesReader, Statistics, prefixes
from pipelines.format.example import unpack
from pipelines.format.inside import path_in
from pipelines.format.layout import shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.records import read_records
from pipelines.plan import group_of, places
from pipelines.progress import Bar
from pipelines.report.audit.pixels import NEAR, NOTES, PixelSummary, summary_of
from pipelines.report.drawing import Overlay
from pipelines.report.thumbnail import Thumbnail, thumbnail
from pipelines.sources import read_source

PICTURES = 900
"""About how many pictures there are in all, where there are no more classes than that allows."""
MOST_COPIES = 7
"""Copies of a source that are looked at: its first ones."""
MOST_CLASSES = 1000
"""Classes of which there is a picture; with many, each has one source in two copies."""
NAMED = 40
"""Sources that are there because a finding names them."""
_LARGE = 160
"""Pixels that a small picture is brought near to before lines are drawn over it."""
IMAGE_BYTES = 4_200_000
"""Of all thumbnails together."""


@dataclasses.dataclass(frozen=True)
class Tile:
    """One picture: a source, or a record of it."""

    caption: str
    place: str
    """where it lies"""
    thumbnail: Thumbnail | None
    """None if it cannot be read"""
    pixels: PixelSummary | None
    copy: int | None = None
    """of a record; None for the source"""
    drawn: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """every recorded parameter by its column"""
    difference: float | None = None
    """of a copy: the mean absolute difference to the source brought to size, in levels, if that is there"""
    findings: tuple[str, ...] = ()
    """their kinds"""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of findings and notes."""
        notes = self.pixels.notes if self.pixels else ()
        near = self.difference is not None and self.difference < NEAR
        return (*self.findings, *notes, *(("near",) if near else ()))


@dataclasses.dataclass(frozen=True)
class Card:
    """One source beside its copies."""

    split: str
    label: str
    source: str
    tiles: tuple[Tile, ...]
    """the source brought to size first, unless it is not there, or not the same any more"""
    kinds: tuple[str, ...] = ()
    """of findings and notes that are of the source and of no single copy"""

    @property
    def alarming(self) -> bool:
        return bool(set(self.kinds) - NOTES.keys()) or any(tile.findings for tile in self.tiles)


_Record = tuple[dict[str, Any], str, bytes | None]
"""Its row, its file and its bytes."""


class _Chosen(NamedTuple):
    digest: int
    source: str
    label: str
    split: str
    group: int


def gallery(audit: Audit, manifest: Manifest, found: Statistics) -> list[Card]:
    """Chooses sources, reads their records and, if the audit has an input, the sources themselves.

    By split, class and source. What cannot be read is left out.
    """
    reader = SamplesReader(audit.directory, manifest)
    names = [finding.source for finding in audit.findings if finding.source]
    names += [place.source for places in found.duplicates.groups for place in places]
    chosen, most = _choose(reader, manifest, set(list(dict.fromkeys(names))[:NAMED]))
    stored = {
        split: [copy for copy in manifest.copies(split) if copy != NOT_AUGMENTED][:most] or [NOT_AUGMENTED]
        for split in manifest.splits
    }
    images = sum(1 + len(stored[one.split]) for one in chosen)
    album = _Album(audit, manifest, reader, IMAGE_BYTES // max(images, 1))
    groups: dict[tuple[str, int], list[_Chosen]] = defaultdict(list)
    for one in chosen:
        groups[one.split, one.group].append(one)
    shown: list[Card] = []
    with Bar("pictures", "sources", len(chosen)) as bar:
        for (split, _), sources in groups.items():
            records = album.records(split, [one.source for one in sources], stored[split])
            for one in sources:
                shown.append(album.shown(one, records[one.source]))
                bar.update()
    return sorted(shown, key=lambda one: (one.split, one.label, one.source))


def _choose(reader: SamplesReader, manifest: Manifest, named: set[str]) -> tuple[list[_Chosen], int]:
    """The sources to show, and how many copies of each at most."""
    augmented = [split for split, counts in manifest.splits.items() if counts.augmented]
    splits = augmented or list(manifest.splits)
    classes = max(len(splits) * len(manifest.classes), 1)
    most = max((manifest.copies(split)[-1] + 1 for split in augmented), default=1)
    copies = min(most, MOST_COPIES)
    sources = PICTURES // (1 + copies)
    if sources < classes:
        sources, copies = min(classes, MOST_CLASSES), min(copies, 2)
    each = max(sources // classes, 1)
    best: dict[tuple[str, str], list[_Chosen]] = {}
    extra = []
    for split, group in reader.groups():
        rows = reader.read(split, manifest.copies(split)[0], group, ["source", "class", "source_sha256"])
        if rows is None:
            continue
        digests = prefixes(rows["source_sha256"])
        names, labels = rows["source"].to_pylist(), rows["class"].to_pylist()
        found: dict[tuple[str, str], list[_Chosen]] = defaultdict(list)
        for row in np.argsort(digests, kind="stable"):
            one = _Chosen(int(digests[row]), names[row], labels[row], split, group)
            mine = found[split, one.label]
            if one.source in named:
                extra.append(one)
            elif split in splits and len(mine) < each:
                mine.append(one)
        for key, mine in found.items():
            best[key] = sorted(best.get(key, []) + mine)[:each]
    first = sorted(mine for mine in best.values() if mine)[:sources]  # of too many classes, some
    return extra + [one for mine in first for one in mine], copies


class _Album:
    """Reads pictures of one dataset."""

    def __init__(self, audit: Audit, manifest: Manifest, reader: SamplesReader, most_bytes: int) -> None:
        self._audit, self._manifest, self._reader, self._most_bytes = audit, manifest, reader, most_bytes
        request = manifest.request
        self._decoder = Decoder(ByClass(request.parsed_recipe(), request.seed))

    def records(self, split: str, sources: list[str], copies: list[int]) -> dict[str, list[_Record]]:
        """For each of a group's sources, of each copy its row, its file and the record's bytes."""
        found: dict[str, list[_Record]] = {name: [] for name in sources}
        place = places(self._manifest.request.seed, sources).tolist()
        columns = ["source", "copy", "record", "source_sha256", *self._reader.parameters]
        shards = {copy: self._manifest.groups(split, copy) for copy in copies}
        of = [(c, number) for c, n in shards.items() for number in sorted({group_of(p, n) for p in place})]
        for copy, group in of:
            rows = self._reader.read(split, copy, group, columns)
            if rows is None:
                continue
            rows = rows.filter(pc.is_in(rows["source"], pa.array(sources, pa.string())))
            file = shard_file(self._manifest.request.name, split, copy, group, shards[copy])
            data: dict[int, bytes] = {}
            with contextlib.suppress(OSError):
                path = path_in(self._audit.directory, file)
                data = dict(read_records(path, set(rows["record"].to_pylist()), self._manifest.image_size))
            for row in rows.to_pylist():
                found[row["source"]].append((row, file, data.get(row["record"])))
        return found

    def shown(self, one: _Chosen, records: list[_Record]) -> Card:
        plain = self._original(one, records[0][0]["source_sha256"] if records else "")
        tiles = [self._copy(plain, *record) for record in records]
        if plain is not None:
            tiles.insert(0, Tile("source", one.source, *self._picture(plain)))
        return Card(one.split, one.label, one.source, tuple(tiles))

    def _original(self, one: _Chosen, digest: str) -> np.ndarray | None:
        """The source as a recipe that did nothing but bring it to size would have it."""
        if self._audit.input is None:
            return None
        try:
            contents = read_source(self._audit.input, self._audit.places.get(one.source, one.source))
        except (OSError, ValueError):
            return None
        same = hashlib.sha256(contents).hexdigest() == digest
        return self._decoder.source(contents, one.label) if same else None

    def _copy(self, plain: np.ndarray | None, row: dict[str, Any], file: str, record: bytes | None) -> Tile:
        pixels = None if record is None else self._decoder.record(record)
        stored = row["copy"] == NOT_AUGMENTED
        difference = None
        if pixels is not None and plain is not None and not stored:
            difference = float(np.abs(pixels.astype(np.int16) - plain).mean())
        return Tile(
            "stored" if stored else f"copy {row['copy']}",
            f"{file} record {row['record']}",
            *self._picture(pixels, self._overlay(record)),
            copy=row["copy"],
            drawn={name: row[name] for name in self._reader.parameters if row[name] is not None},
            difference=difference,
        )

    def _overlay(self, record: bytes | None) -> Overlay | None:
        """What a record has beside its image."""
        found, targets = None if record is None else unpack(record), self._manifest.targets
        if found is None or targets is None:
            return None
        return Overlay.of_record(found.targets, targets, self._manifest.image_shape)

    def _picture(
        self, pixels: np.ndarray | None, overlay: Overlay | None = None
    ) -> tuple[Thumbnail | None, PixelSummary | None]:
        if pixels is None:
            return None, None
        shown = overlay.drawn(pixels, max(1, _LARGE // max(pixels.shape[:2]))) if overlay else pixels
        return thumbnail(shown, self._most_bytes), summary_of(pixels)
