"""One sample again, op after op, beside its record."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.by_class import ByClass
from augment.draws import recorded
from augment.errors import RequestError
from augment.ops.base import Op
from augment.parity import parity_class
from augment.recipe import Recipe
from augment.targets import Moved, moved
from pipelines import storage
from pipelines.annotations import Annotations, source_annotated
from pipelines.audit.decoding import Decoder
from pipelines.format.digests import pixels_digest
from pipelines.format.example import unpack
from pipelines.format.inside import path_in
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.records import read_records
from pipelines.format.stored import read_rows
from pipelines.format.targets import Targets, difference, is_parameter, moved_of, packed
from pipelines.plan import group_of, places
from pipelines.sources import Reject, Source, read_source
from pipelines.targets import Annotated, TargetsDeriver


class Stage(NamedTuple):
    """What one op did."""

    op: Op
    applied: bool
    drawn: dict[str, Any]
    """by the column of the samples table; but for whether it was applied itself"""
    pixels: np.ndarray
    """uint8 [H, W, C] after it"""
    moved: Moved | None = None
    """where targets are after it"""

    @property
    def parameters(self) -> dict[str, Any]:
        """What was drawn, by the names behind the op's id."""
        return {name[len(self.op.id) + 1 :]: value for name, value in self.drawn.items()}


class ReplayedTargets(NamedTuple):
    """What one sample has beside its image."""

    targets: Targets
    source: Moved
    """what its source is annotated with"""
    stored: Moved
    """what the record has, as far as it can be read"""
    difference: str
    """in what the record differs from what it must have, as the end of a sentence; empty if in nothing"""


@dataclasses.dataclass(frozen=True)
class Replay:
    """One sample, derived op after op."""

    source: str
    copy: int
    image: np.ndarray
    """uint8 [H, W, C]: the source as it was decoded"""
    changed: bool
    """whether the source has other bytes than the samples table says"""
    stages: list[Stage]
    shard: str
    record: int
    stored: np.ndarray | None
    """the record's pixels; None if it is not where the table says, or cannot be read"""
    sample: np.ndarray
    """what the record must hold"""
    other_draws: list[str]
    """columns of the samples table that do not have what was drawn now"""
    same_digest: bool
    """whether the pixels, before they are stored, have the digest that the table has"""
    same_class: bool
    """whether the dataset was made in this process's parity class"""
    targets: ReplayedTargets | None = None
    """what records have beside images"""

    @property
    def matches(self) -> bool:
        """Whether all of it is as it should be."""
        equal = self.stored is not None and bool((self.stored == self.sample).all())
        same_targets = self.targets is None or not self.targets.difference
        return equal and not self.other_draws and self.same_digest and same_targets


def replay(
    directory: str,
    manifest: Manifest,
    *,
    root: str,
    source: str,
    copy: int,
    annotations: Annotations | None = None,
) -> Replay:
    """Derives one sample op after op, with its targets if it is said what lies beside the images.

    Raises RequestError if the dataset has no such sample, or the source cannot be used.
    """
    split, number, row = _find(directory, manifest, source, copy)
    augmenters = ByClass(manifest.request.parsed_recipe(), manifest.request.seed)
    augmenter = augmenters.of(row["class"])
    known = _known(root, annotations, source) if annotations else Source(source, "", "", 0)
    contents, image = _decoded(root, known, augmenter.recipe)
    stages = list(_stages(augmenter, image, source, copy))
    last = stages[-1].pixels
    sample = codec.round_trip(last, augmenter.recipe.storage)
    shard = shard_file(manifest.request.name, split, copy, number, manifest.groups(split, copy))
    data = _record(directory, shard, row["record"], augmenters)
    targets = None
    if manifest.targets and manifest.targets.has and annotations:
        deriver = TargetsDeriver(augmenters, manifest.targets, annotations.path)
        annotated = _annotated(deriver, annotations, known, image)
        try:
            stages = list(_with_targets(stages, augmenter, annotated, manifest.targets, image, source, copy))
            targets = _replayed(deriver, annotated, stages, data, manifest)
        except ValueError as error:  # of names that the dataset has not
            raise RequestError(f"--sample {source}: what it is annotated with changed: {error}") from None
    return Replay(
        source=source,
        copy=copy,
        image=image,
        changed=hashlib.sha256(contents).hexdigest() != row["source_sha256"],
        stages=stages,
        shard=shard,
        record=row["record"],
        stored=None if data is None else Decoder(augmenters).record(data, source),
        sample=sample,
        other_draws=_other_draws(stages, row),
        same_digest=pixels_digest(last) == row["pixels_blake3"],
        same_class=parity_class() == manifest.parity_class,
        targets=targets,
    )


def _decoded(root: str, source: Source, recipe: Recipe) -> tuple[bytes, np.ndarray]:
    """A source's bytes and its pixels. Raises RequestError if they are not those of an image."""
    try:
        contents = read_source(root, source.where)
    except (OSError, ValueError) as error:
        why = storage.reason(error) if isinstance(error, OSError) else error
        raise RequestError(f"input {root}: {source.id} cannot be read ({why})") from None
    try:
        return contents, recipe.decode_source(contents)
    except codec.DecodeError as error:
        what = error.rejection
        raise RequestError(f"input {root}: {source.id} is {what.reason} now: {what.detail}") from None


def _find(directory: str, manifest: Manifest, source: str, copy: int) -> tuple[str, int, dict[str, Any]]:
    """Split, shard and samples row of a sample. Raises RequestError if there is none."""
    [place] = places(manifest.request.seed, [source]).tolist()
    unread = ""

    def row(split: str, one: int) -> tuple[int, dict[str, Any]] | None:
        nonlocal unread
        groups = manifest.groups(split, one)
        number = group_of(place, groups)
        try:
            table = read_rows(directory, manifest, split, one, number)
            rows = table.filter(pc.equal(table["source"], source)).to_pylist()
        except (OSError, ValueError, KeyError):
            unread = os.path.join(directory, samples_file(split, one, number, groups))
            return None
        return (number, rows[0]) if rows else None

    for split in manifest.splits:
        if copy in manifest.copies(split) and (found := row(split, copy)):
            return split, *found
        there = [c for tier in manifest.tiers(split) if row(split, tier.first) for c in tier.copies]
        if there and copy not in there:
            raise RequestError(f"--copy is {copy}; of {source} there are these: {', '.join(map(str, there))}")
    if unread:
        raise RequestError(f"{unread}: it cannot be read; augshard audit says what is wrong with it")
    raise RequestError(
        f"--sample {source}: the dataset has no such source; give its path below the input, "
        "as it stands in the samples table"
    )


def _stages(augmenter: Augmenter, image: np.ndarray, source: str, copy: int) -> Iterator[Stage]:
    """Each op with what it drew and the image after it."""
    for op, draw, after in augmenter.stages(image, source, copy):
        drawn = recorded(draw)
        applied = bool(drawn.pop(f"{op.id}.applied", copy != NOT_AUGMENTED or after is not image))
        yield Stage(op, applied, drawn, after)
        image = after


def _record(directory: str, shard: str, number: int, augmenters: ByClass) -> bytes | None:
    """A record; None if it is not there."""
    with contextlib.suppress(OSError):
        for _, data in read_records(path_in(directory, shard), {number}, augmenters.recipe.image_size):
            return data
    return None


def _known(root: str, annotations: Annotations, source: str) -> Source:
    """A source with what it is annotated with. Raises RequestError if that is nothing."""
    found = source_annotated(root, annotations, source)
    if found is None:
        raise RequestError(f"--sample {source}: nothing in {annotations} says any more what is in it")
    return found


def _annotated(
    deriver: TargetsDeriver, annotations: Annotations, source: Source, image: np.ndarray
) -> Annotated:
    """What a source is annotated with. Raises RequestError if that is of no use."""
    try:
        annotated = deriver.read(source.id, source.annotation, image.shape[:2])
    except OSError as error:
        raise RequestError(f"{annotations}: {storage.reason(error)}") from None
    if isinstance(annotated, Reject):
        raise RequestError(f"{source.id} is {annotated.reason} now: {annotated.detail}")
    return annotated


def _with_targets(
    stages: list[Stage],
    augmenter: Augmenter,
    annotated: Annotated,
    targets: Targets,
    image: np.ndarray,
    source: str,
    copy: int,
) -> Iterator[Stage]:
    height, width, _ = image.shape
    geometries = augmenter.stage_geometries((height, width), source, copy)
    for stage, geometry in zip(stages, geometries, strict=True):
        after = moved(annotated.annotation.objects, annotated.mask, geometry, targets.pairs)
        yield stage._replace(moved=after)


def _replayed(
    deriver: TargetsDeriver,
    annotated: Annotated,
    stages: list[Stage],
    data: bytes | None,
    manifest: Manifest,
) -> ReplayedTargets:
    targets, record = deriver.targets, None if data is None else unpack(data)
    last = stages[-1].moved
    assert last is not None  # noqa: S101 (of a sample with targets)
    right = packed(last, annotated.annotation.labels, targets, manifest.image_size)
    entries = record.targets if record else b""
    stored = Moved((), (), (), (), None)
    with contextlib.suppress(ValueError):
        stored = moved_of(entries, targets, manifest.image_shape)
    known = Moved(annotated.annotation.objects, (), (), (), annotated.mask)
    told = "" if entries == right else difference(entries, right, targets, manifest.image_shape)
    return ReplayedTargets(targets, known, stored, told or "of other bytes" * (entries != right))


def _other_draws(stages: list[Stage], row: dict[str, Any]) -> list[str]:
    """The columns of the samples table that do not have what was drawn now."""
    drawn = {f"{stage.op.id}.applied": stage.applied for stage in stages}
    for stage in stages:
        drawn |= {name: value.item() for name, value in stage.drawn.items()}
    if row["copy"] == NOT_AUGMENTED:
        drawn = {}
    return [name for name in row if is_parameter(name) and row[name] != drawn.get(name)]
