"""What is known of an image beside its pixels: things in it, a mask, words and numbers.

An annotation travels with its source as bytes; it is written in one way, so that equal ones have equal
digests. Coordinates are those of `augment.targets.Geometry`: whole 65,536ths of a pixel (UNIT), x before y.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Object(NamedTuple):
    """A thing in an image."""

    name: str
    """its class"""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1: the edges; x0 <= x1, y0 <= y1"""
    polygons: tuple[tuple[int, ...], ...] = ()
    """its outline, in one part or several: x, y, x, y, ... of the corners of each; four are a rotated box"""
    keypoints: tuple[tuple[int, int, int], ...] = ()
    """x, y, visibility of each that the dataset names, in its order: whole numbers times UNIT are middles of
    pixels; visibility as in COCO: 0 not labeled (then x = y = 0), 1 hidden, 2 seen"""
    crowd: bool = False
    """whether it stands for several (COCO's iscrowd), or is not to be judged by (VOC's difficult)"""


class Annotation(NamedTuple):
    """What is known of one image."""

    objects: tuple[Object, ...] = ()
    mask: str = ""
    """where its mask lies, relative to the annotations: an image of class ids; empty without one"""
    labels: tuple[str, ...] = ()
    """classes of the image, where it can have several"""
    columns: tuple[tuple[str, str], ...] = ()
    """what else a table says of it, by name, sorted: for the samples table"""
    size: tuple[int, int] | None = None
    """height and width that the image has to have; None where nothing says so"""

    def packed(self) -> bytes:
        """As JSON in UTF-8, in the one way in which it is written: of these bytes digests are taken."""
        return _encoded(self).encode()

    @classmethod
    def unpacked(cls, packed: bytes) -> Annotation:
        """Of bytes of our own making."""
        objects, mask, labels, columns, size = json.loads(packed)
        return cls(
            tuple([_object(*fields) for fields in objects]),
            mask,
            tuple(labels),
            tuple(map(tuple, columns)),
            tuple(size) if size else None,
        )


_encoded = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _object(name: str, box: list[int], polygons: list[list[int]], keypoints: Any, crowd: bool) -> Object:
    x0, y0, x1, y1 = box
    outline = tuple(map(tuple, polygons)) if polygons else ()
    return Object(name, (x0, y0, x1, y1), outline, tuple(map(tuple, keypoints)) if keypoints else (), crowd)


class Vocabulary(NamedTuple):
    """Names that annotations use, and what they say of images; two of them add up in any order."""

    classes: frozenset[tuple[int, str]] = frozenset()
    """of objects, or of a mask's ids: the number of each in its dataset, by which they are in order, and its
    name"""
    keypoints: tuple[str, ...] = ()
    """what every object has, in order"""
    pairs: frozenset[tuple[int, int]] = frozenset()
    """keypoints that change names when left and right are exchanged, by their places"""
    labels: frozenset[str] = frozenset()
    """of images that can have several"""
    columns: frozenset[str] = frozenset()
    has: frozenset[str] = frozenset()
    """of "boxes", "polygons", "keypoints", "mask": what images can have"""

    def merge(self, other: Vocabulary) -> Vocabulary:
        """Keypoints are those of one of them: that there is no more than one set of names is for the plan."""
        return Vocabulary(
            self.classes | other.classes,
            max(self.keypoints, other.keypoints),
            self.pairs | other.pairs,
            self.labels | other.labels,
            self.columns | other.columns,
            self.has | other.has,
        )
