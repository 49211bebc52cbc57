"""What the features of a `tf.train.Example` say of its image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from augment.codec import DecodeError
from augment.codec.formats import file_format
from augment.codec.orientation import orientation
from augment.targets import UNIT, Annotation, Object, Vocabulary
from pipelines.annotations.numbers import FARTHEST, BadAnnotation, shown
from pipelines.annotations.sides import upright_size_of
from pipelines.containers.examples import BadExample, Feature, features
from pipelines.sources import UNLABELED, place_in

_LONGEST = 1024
"""Of the name of a class, in bytes."""


class Field(NamedTuple):
    """A feature that says a class, or several."""

    name: str
    classes: tuple[str, ...] = ()
    """by number; empty where numbers, or texts, are the names themselves"""


class Boxes(NamedTuple):
    """The features that say of objects where and what they are, each as many times as there are objects."""

    edges: tuple[str, ...]
    """one of ymin, xmin, ymax and xmax of each, or one for each of these, in parts of the image's sides"""
    label: Field | None
    called: str = ""
    """the class of all, where no feature says it"""
    crowd: str = ""


class Schema(NamedTuple):
    """Which features say what."""

    image: str
    label: Field | None = None
    labels: Field | None = None
    mask: Field | None = None
    """with the names of its ids, if they are known"""
    boxes: Boxes | None = None
    columns: tuple[Field, ...] = ()
    names: frozenset[str] = frozenset()
    """of all features that records are known to have; empty where that is said beside them"""

    @property
    def annotated(self) -> bool:
        """Whether more than a class is known of images."""
        return bool(self.labels or self.mask or self.boxes or self.columns)

    def vocabulary(self) -> Vocabulary:
        """As far as it is known before records are read."""
        named = self.boxes and (self.boxes.label or Field("", (self.boxes.called,)))
        named = named or self.mask or Field("")
        return Vocabulary(
            frozenset(enumerate(named.classes)),
            labels=frozenset(self.labels.classes if self.labels else ()),
            columns=frozenset(field.name for field in self.columns),
            has=frozenset([*(["boxes"] if self.boxes else []), *(["mask"] if self.mask else [])]),
        )


class Known(NamedTuple):
    """What a record says."""

    place: str
    """of the image"""
    size: int
    label: str
    annotation: bytes
    classes: frozenset[tuple[int, str]] = frozenset()
    """of objects, each with its number"""
    labels: frozenset[str] = frozenset()
    strange: frozenset[str] = frozenset()
    """features that records are not known to have"""


def known_of(data: bytes, schema: Schema, file: str, begin: int) -> Known:
    """What a record says that begins in a file there. Raises BadAnnotation."""
    try:
        found = features(data)
        known = _known(found, data, schema, file, begin)
    except BadExample as error:
        raise BadAnnotation(f"is no tf.train.Example: {error}") from None
    strange = found.keys() - schema.names if schema.names else ()
    return known._replace(strange=frozenset(strange)) if strange else known


def _known(found: Mapping[str, Feature], data: bytes, schema: Schema, file: str, begin: int) -> Known:
    start, end = _one_file(found, schema.image)
    label = UNLABELED if schema.label is None else class_of_image(_one_class(found, schema.label))
    place = place_in(file, begin + start, end - start)
    if not schema.annotated:
        return Known(place, end - start, label, b"")
    labels: tuple[str, ...] = ()
    objects: list[tuple[int, Object]] = []
    mask, size = "", None
    if schema.labels:
        labels = tuple(sorted({name for _, name in _classes(found, schema.labels)}))
    if schema.mask:
        first, last = _one_file(found, schema.mask.name)
        mask = place_in(file, begin + first, last - first)
    if schema.boxes:
        with suppress(DecodeError):  # as which the image is rejected when it is read
            size = upright_size_of(data[start:end])
            objects = _objects(found, schema.boxes, size)
    if (mask or objects) and _is_turned(data[start:end]):
        raise BadAnnotation(
            "has an image that its EXIF turns, which what is known of places in it may not heed"
        )
    columns = [(one.name, text) for one in schema.columns if (text := _text_of(found, one)) is not None]
    things = tuple(thing for _, thing in objects)
    annotation = Annotation(things, mask, labels, tuple(sorted(columns)), size)
    classes = frozenset((number, thing.name) for number, thing in objects)
    return Known(place, end - start, label, annotation.packed(), classes, frozenset(labels))


def _is_turned(contents: bytes) -> bool:
    return orientation(file_format(contents) or "", contents) != 1


def class_of_image(name: str) -> str:
    """The class of images of a name, which may become a folder's: slashes become _. Raises BadAnnotation."""
    name = name.strip("/").replace("/", "_")
    if name in ("", ".", "..") or len(name.encode()) > _LONGEST or set(name) & set("\0\n\r"):
        raise BadAnnotation(f"has the class {shown(name)}, which no folder could be called")
    return name


def _one_file(found: Mapping[str, Feature], name: str) -> tuple[int, int]:
    spans = found[name].spans() if name in found else []
    if len(spans) != 1:
        raise BadAnnotation(f"has {len(spans) or 'no'} files in the feature {name!r}, where one is due")
    return spans[0]


def _one_class(found: Mapping[str, Feature], field: Field) -> str:
    classes = _classes(found, field)
    if len(classes) != 1:
        raise BadAnnotation(f"has {len(classes) or 'no'} classes in the feature {field.name!r}, not one")
    return classes[0][1]


def _classes(found: Mapping[str, Feature], field: Field) -> list[tuple[int, str]]:
    """Number and name of each; 0 where it has none."""
    feature = found.get(field.name)
    if feature is None or feature.kind == "none":
        return []
    if feature.kind == "floats":
        raise BadAnnotation(f"has floats in the feature {field.name!r}; classes are whole numbers or texts")
    if feature.kind == "bytes":
        return [(0, _named(_utf8(feature, span, field.name), field)) for span in feature.spans()]
    numbers = feature.numbers()
    if not field.classes:
        return [(max(one, 0), str(one)) for one in numbers]
    for one in numbers:
        if not 0 <= one < len(field.classes):
            known = len(field.classes)
            raise BadAnnotation(f"has class {one} in the feature {field.name!r}, of {known} from 0 on")
    return [(one, field.classes[one]) for one in numbers]


def _named(name: str, field: Field) -> str:
    if not name:
        raise BadAnnotation(f"has a class without a name in the feature {field.name!r}")
    return name


def _utf8(feature: Feature, span: tuple[int, int], name: str) -> str:
    try:
        return feature.data[slice(*span)].decode()
    except UnicodeDecodeError:
        raise BadAnnotation(f"has a text that is not UTF-8 in the feature {name!r}") from None


def _objects(found: Mapping[str, Feature], boxes: Boxes, size: tuple[int, int]) -> list[tuple[int, Object]]:
    """Each with the number of its class."""
    edges = _edges(found, boxes)
    named = _classes(found, boxes.label) if boxes.label else [(0, boxes.called)] * len(edges)
    crowds = found[boxes.crowd].numbers() if boxes.crowd in found else []
    crowds = crowds or [0] * len(edges)
    if not len(edges) == len(named) == len(crowds):
        raise BadAnnotation(f"has {len(edges)} boxes, and classes of {len(named)} objects")
    return [
        (place, Object(name, (box[0], box[1], box[2], box[3]), crowd=bool(crowd)))
        for box, (place, name), crowd in zip(_boxes(edges, size), named, crowds, strict=True)
    ]


def _edges(found: Mapping[str, Feature], boxes: Boxes) -> np.ndarray:
    """float64 [n, 4]: ymin, xmin, ymax, xmax."""
    parts = [found[name].floats() if name in found else np.zeros(0) for name in boxes.edges]
    if len(parts) == 1:
        if len(parts[0]) % 4:
            raise BadAnnotation(f"has {len(parts[0])} floats in the feature {boxes.edges[0]!r}, four a box")
        return parts[0].reshape(-1, 4)
    if len({len(part) for part in parts}) > 1:
        counts = ", ".join(str(len(part)) for part in parts)
        raise BadAnnotation(f"has {counts} edges of boxes, which must be as many of each side")
    return np.stack(parts, axis=1)


def _boxes(edges: np.ndarray, size: tuple[int, int]) -> list[list[int]]:
    """The edges x0, y0, x1, y1 of each, of edges as `_edges` has them."""
    pixels = edges * [size[0], size[1], size[0], size[1]]
    wrong = ~(np.abs(pixels) <= FARTHEST)
    if wrong.any():
        raise BadAnnotation(f"has a box with an edge at {edges[wrong][0]:g}, which is no place in an image")
    turned = (pixels[:, 2:] < pixels[:, :2]).any(axis=1)
    if turned.any():
        shown = ", ".join(f"{edge:g}" for edge in edges[turned][0])
        raise BadAnnotation(f"has a box that ends before it begins: ymin, xmin, ymax, xmax of {shown}")
    places = np.floor(pixels * UNIT + 0.5).astype(np.int64)
    return places[:, [1, 0, 3, 2]].tolist()


def _text_of(found: Mapping[str, Feature], field: Field) -> str | None:
    """A value as text, several as a list in JSON; None where there is none."""
    feature = found.get(field.name)
    if feature is None:
        return None
    values: list[str]
    if field.classes:
        values = [name for _, name in _classes(found, field)]
    elif feature.kind == "bytes":
        values = [_utf8(feature, span, field.name) for span in feature.spans()]
    elif feature.kind == "floats":
        values = [str(np.float32(one)) for one in feature.floats()]
    else:
        values = [str(one) for one in feature.numbers()]
    if len(values) > 1:
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return values[0] if values else None
