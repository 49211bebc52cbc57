"""From what a source is annotated with to the targets of its samples: for whoever makes or proves samples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from augment import codec
from augment.by_class import ByClass
from augment.draws import Draw
from augment.errors import RequestError
from augment.targets import Annotation, Geometry, Moved, moved_each
from augment.targets.moving import Parts
from pipelines import storage
from pipelines.format.bounds import TEXT_BYTES, targets_bytes
from pipelines.format.digests import bytes_digest
from pipelines.format.targets import TABLE, Targets, packed
from pipelines.sources import Reject, read_source
from pipelines.sources.reading import rejected


class Annotated(NamedTuple):
    """What is known of one source."""

    annotation: Annotation
    mask: np.ndarray | None
    """uint8 [H, W], of the source's size"""
    sha256: str
    """of the annotation, and of its mask's file if it has one"""

    def columns(self, targets: Targets) -> dict[str, Any]:
        """Of the samples table, for all copies alike."""
        said = dict(self.annotation.columns)
        return {"annotation_sha256": self.sha256} | {TABLE + name: said.get(name) for name in targets.columns}


class Asked(NamedTuple):
    """Of which sample the targets are asked for."""

    annotated: Annotated
    size: Sequence[int]
    """height and width of the source"""
    draw: Draw | None
    """None where it is not augmented"""
    label: str
    """the class of the source"""


class SampleTargets(NamedTuple):
    """The targets of one sample."""

    entries: bytes
    """of its record"""
    columns: dict[str, Any]
    """of the samples table"""
    moved: Moved


class TargetsDeriver:
    """Derives the targets of one dataset's samples. Used by several threads at once.

    Args:
        augmenters: of the recipe.
        targets: what records have.
        root: where masks lie.

    Raises RequestError if the recipe's ops cannot move targets.
    """

    def __init__(self, augmenters: ByClass, targets: Targets, root: str) -> None:
        if targets.has:
            check_moves(augmenters)
        self._augmenters, self.targets, self._root = augmenters, targets, root

    def read(self, source: str, annotation: bytes, size: Sequence[int]) -> Annotated | Reject:
        """What is known of a source whose image has `size`. Raises OSError for a mask that cannot be read."""
        known, digest = Annotation.unpacked(annotation), hashlib.sha256(annotation)
        if known.size and known.size != tuple(size):
            return Reject(
                source,
                "other_size",
                f"its annotation is of an image of {_shown(known.size)}, and it has {_shown(size)}",
            )
        most = targets_bytes(self._augmenters.recipe.image_size) // 2  # for what is cut or bent gets corners
        if len(annotation) > most and (needed := _bytes_of(known)) > most:
            return Reject(
                source,
                "too_large",
                f"its {len(known.objects):,} objects take about {needed:,} bytes of a record; at most "
                f"{most:,} are written: annotate it with less, or cut it into parts",
            )
        longest = max((len(value.encode()) for _, value in known.columns), default=0)
        if longest > TEXT_BYTES:
            what = f"a column beside it has {longest:,} bytes; at most {TEXT_BYTES:,} are kept"
            return Reject(source, "too_large", what)
        if not known.mask:
            return Annotated(known, None, digest.hexdigest())
        try:
            contents = read_source(self._root, known.mask)
        except FileNotFoundError:
            return Reject(source, "bad_mask", f"its mask {known.mask} is not there")
        except OSError as error:
            if reject := rejected(source, error):
                return reject._replace(detail=f"its mask {known.mask}: {reject.detail}")
            raise OSError(error.errno, f"its mask {known.mask}: {storage.reason(error)}") from None
        digest.update(hashlib.sha256(contents).digest())
        try:
            mask = codec.decode_mask(contents)
        except codec.DecodeError as error:
            found = error.rejection
            return Reject(source, "bad_mask", f"{known.mask}: {found.reason}: {found.detail}")
        if mask.shape != tuple(size):
            return Reject(
                source,
                "other_size",
                f"its mask {known.mask} has {_shown(mask.shape)} pixels, and it has {_shown(size)}",
            )
        return Annotated(known, mask, digest.hexdigest())

    def sample(
        self, annotated: Annotated, size: Sequence[int], draw: Draw | None, label: str
    ) -> SampleTargets:
        """The targets of one sample, as those that `moved` gives. Raises as `written`."""
        return self.written(self.moved([Asked(annotated, size, draw, label)])[0], annotated)

    def moved(self, asked: Sequence[Asked]) -> list[Moved]:
        """What is known of the sources of some samples, moved as these are: together, which is faster."""
        if not self.targets.has:
            return [Moved((), (), (), (), None)] * len(asked)
        given = [(one.annotated.annotation.objects, one.annotated.mask, self._geometry(one)) for one in asked]
        return moved_each(given, self.targets.pairs)

    def _geometry(self, asked: Asked) -> Geometry:
        height, width = asked.size
        return self._augmenters.of(asked.label).geometry((height, width), asked.draw)

    def written(self, found: Moved, annotated: Annotated) -> SampleTargets:
        """What a sample's targets are in its record. Raises DecodeError for more than a record can have."""
        image_size = self._augmenters.recipe.image_size
        entries = packed(found, annotated.annotation.labels, self.targets, image_size)
        most = targets_bytes(image_size)
        if len(entries) > most:
            raise codec.DecodeError(
                codec.Rejection(
                    "too_large",
                    f"its {len(found.objects):,} objects take {len(entries):,} bytes of a record; at most "
                    f"{most:,} are written: annotate it with less, or cut it into parts",
                )
            )
        columns = {
            "objects": len(found.objects),
            "clipped": _parts(found.clipped),
            "dropped": _parts(found.dropped),
            "targets_blake3": bytes_digest(entries),
        }
        return SampleTargets(entries, columns, found)


def check_moves(augmenters: ByClass) -> None:
    """Raises RequestError if a recipe's ops cannot move targets."""
    for augmenter in augmenters.each:
        if reason := augmenter.why_no_targets():
            name = augmenter.recipe.name
            raise RequestError(f"recipe {name}: targets cannot move with its images: {reason}")


def _bytes_of(annotation: Annotation) -> int:
    """About as many as a record, or a row of the samples table, takes of it."""
    numbers = sum(4 + 2 * len(one.keypoints) + sum(map(len, one.polygons)) // 2 for one in annotation.objects)
    return 8 * numbers


def _parts(parts: Parts) -> str:
    """`3:0.0421 7:0.0000`: the place of each object in its annotation, and which part of it is seen."""
    return " ".join(f"{number}:{part:.4f}" for number, part in parts)


def _shown(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
