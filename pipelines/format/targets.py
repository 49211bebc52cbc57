"""What records have of a sample beside its image: objects, a mask, labels, in the form of TFDS.

objects/bbox          float32 [n, 4]     ymin, xmin, ymax, xmax, in parts of the image's sides
objects/id            int64 [n]          the place of each in its annotation, from 0
objects/is_crowd      bool [n]
objects/keypoints     float32 [n, k, 3]  x, y in pixels, and visibility; if the dataset has keypoints
objects/label         int64 [n]          by `Targets.classes`
objects/segmentation  float32 [n, polygons, corners, 2]  x, y in pixels; if the dataset has outlines
labels                int64 [m]          by `Targets.labels`; if images can have several
segmentation_mask     PNG of uint8 [H, W, 1]; if the dataset has masks
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from augment import codec
from augment.errors import RequestError
from augment.recipe import Shape
from augment.targets import UNIT, Annotation, Moved, Object, Vocabulary
from pipelines.format.bounds import MOST_CLASSES, Text, first_fault
from pipelines.format.example import Values, entry_of_bytes, entry_of_floats, entry_of_numbers, lists

Kind = Literal["boxes", "keypoints", "mask", "polygons"]

MOST_KEYPOINTS = 1_000

TABLE = "table/"
"""Of the samples table, begins the name of a column that comes from a table beside the images."""


def is_parameter(column: str) -> bool:
    """Whether a column of the samples table is of something that was drawn."""
    return "." in column and not column.startswith(TABLE)


class Targets(BaseModel):
    """What every record of a dataset can have, and by which names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    has: Annotated[tuple[Kind, ...], Field(max_length=4)]
    classes: Annotated[tuple[Text, ...], Field(max_length=MOST_CLASSES)] = ()
    """of objects and of a mask's ids, in the order of their dataset"""
    class_numbers: Annotated[tuple[int, ...], Field(max_length=MOST_CLASSES)] = ()
    """what stood for each in what was read: category ids of COCO, numbers of YOLO, a mask's ids"""
    keypoints: Annotated[tuple[Text, ...], Field(max_length=MOST_KEYPOINTS)] = ()
    pairs: Annotated[tuple[tuple[int, int], ...], Field(max_length=MOST_KEYPOINTS)] = ()
    """keypoints that change places when left and right are exchanged"""
    labels: Annotated[tuple[Text, ...], Field(max_length=MOST_CLASSES)] = ()
    """of images that can have several"""
    columns: Annotated[tuple[Text, ...], Field(max_length=1_000)] = ()
    """of the samples table, which come from a table beside the images"""

    @model_validator(mode="after")
    def _fits(self) -> Targets:
        count = len(self.keypoints)
        if any(not 0 <= place < count for pair in self.pairs for place in pair):
            raise ValueError(f"a pair is of keypoints that are none of the {count}")
        if "keypoints" in self.has and not count:
            raise ValueError("there are keypoints, and no names of them")
        if self.class_numbers and len(self.class_numbers) != len(self.classes):
            raise ValueError("not every class has a number")
        if any(len(set(names)) < len(names) for names in (self.classes, self.labels)):
            raise ValueError("a class stands there twice")
        return self

    @functools.cached_property
    def number(self) -> dict[str, int]:
        """The label of each class."""
        return {name: i for i, name in enumerate(self.classes)}

    @functools.cached_property
    def label_number(self) -> dict[str, int]:
        """The number of each of `labels`."""
        return {name: i for i, name in enumerate(self.labels)}

    def __str__(self) -> str:
        """`boxes, polygons of car, truck; 2 keypoints: front, rear`"""
        things = [kind for kind in self.has if kind != "keypoints"]
        said = [", ".join(things) + (f" of {_few(self.classes)}" if things and self.classes else "")]
        if "keypoints" in self.has:
            said.append(f"{len(self.keypoints)} keypoints: {_few(self.keypoints)}")
        if self.labels:
            said.append(f"labels {_few(self.labels)}")
        if self.columns:
            said.append(f"columns {_few(self.columns)}")
        return "; ".join(filter(None, said))

    @property
    def has_objects(self) -> bool:
        return bool(set(self.has) - {"mask"})


def targets_of(vocabulary: Vocabulary) -> Targets:
    """Raises RequestError for names that do not go together."""
    numbered = sorted(vocabulary.classes)
    names = [name for _, name in numbered]
    for name, count in sorted(Counter(names).items()):
        if count > 1:
            raise RequestError(
                f"--annotations: class {name!r} has several numbers "
                f"({', '.join(str(number) for number, its in numbered if its == name)}); give it one"
            )
    count = len(vocabulary.keypoints)
    for pair in sorted(vocabulary.pairs):
        if not all(0 <= place < count for place in pair):
            raise RequestError(f"--annotations: keypoints {pair} are a pair, and there are only {count}")
    try:
        return Targets(
            has=tuple(kind for kind in get_args(Kind) if kind in vocabulary.has),
            classes=tuple(names),
            class_numbers=tuple(number for number, _ in numbered),
            keypoints=vocabulary.keypoints,
            pairs=tuple(sorted(vocabulary.pairs)),
            labels=tuple(sorted(vocabulary.labels)),
            columns=tuple(sorted(vocabulary.columns)),
        )
    except ValidationError as error:
        raise RequestError(f"--annotations: {first_fault(error)}") from None


def packed(moved: Moved, labels: Sequence[str], targets: Targets, size: tuple[int, int]) -> bytes:
    """The entries of a record, in the order of their names."""
    objects, entries = moved.objects, []
    if targets.labels:
        entries.append(entry_of_numbers(b"labels", sorted(_numbered(targets.label_number, labels))))
    if targets.has_objects:
        height, width = size[0] * UNIT, size[1] * UNIT
        boxes = [one.box for one in objects]
        sides = [v for x0, y0, x1, y1 in boxes for v in (y0 / height, x0 / width, y1 / height, x1 / width)]
        entries += [
            entry_of_floats(b"objects/bbox", sides),
            entry_of_numbers(b"objects/id", moved.numbers),
            entry_of_numbers(b"objects/is_crowd", [int(one.crowd) for one in objects]),
        ]
        if "keypoints" in targets.has:
            none = ((0, 0, 0),) * len(targets.keypoints)
            points = [place for one in objects for place in one.keypoints or none]
            values = [value for x, y, visibility in points for value in (x / UNIT, y / UNIT, visibility)]
            entries.append(entry_of_floats(b"objects/keypoints", values))
        entries.append(
            entry_of_numbers(b"objects/label", _numbered(targets.number, [one.name for one in objects]))
        )
        if "polygons" in targets.has:
            polygons = [polygon for one in objects for polygon in one.polygons]
            corners = [place for polygon in polygons for place in polygon]
            name = b"objects/segmentation/ragged_"
            entries += [
                entry_of_floats(name + b"flat_values", [place / UNIT for place in corners]),
                entry_of_numbers(name + b"row_lengths_0", [len(one.polygons) for one in objects]),
                entry_of_numbers(name + b"row_lengths_1", [len(polygon) // 2 for polygon in polygons]),
            ]
    if moved.mask is not None:
        png = codec.encode_png(moved.mask[..., np.newaxis])
        entries.append(entry_of_bytes(b"segmentation_mask", png))
    return b"".join(entries)


def _numbered(numbers: dict[str, int], names: Sequence[str]) -> list[int]:
    """Raises ValueError for a name that the dataset has not."""
    try:
        return [numbers[name] for name in names]
    except KeyError as unknown:
        raise ValueError(f"{unknown.args[0]!r} is no class of this dataset") from None


class Read(NamedTuple):
    """The targets of a record."""

    annotation: Annotation
    """in the coordinates of its image"""
    ids: tuple[int, ...]
    """the place of each object in the annotation of its source"""
    mask: bytes
    """a PNG; empty without one"""


def unpacked(entries: bytes, targets: Targets, shape: Shape) -> Read:
    """The targets of a record that may be anybody's. Raises ValueError for what `packed` does not make."""
    return _read(lists(entries), targets, shape)


def _read(found: dict[bytes, Values], targets: Targets, shape: Shape) -> Read:
    """The same of its lists, which are taken away."""
    if found.keys() != _names(targets):
        raise ValueError("it has other entries than this dataset's records")
    height, width, _ = shape

    def numbers(name: bytes) -> list[int]:
        values = found.pop(name, [])
        whole = [value for value in values if isinstance(value, int)]
        if len(whole) != len(values):
            raise ValueError(f"{name.decode()} holds no whole numbers")
        return whole

    labels = [_named(targets.labels, i) for i in numbers(b"labels")] if targets.labels else []
    objects: tuple[Object, ...] = ()
    ids: tuple[int, ...] = ()
    if targets.has_objects:
        ids = tuple(numbers(b"objects/id"))
        names = [_named(targets.classes, i) for i in numbers(b"objects/label")]
        crowd = [bool(value) for value in numbers(b"objects/is_crowd")]
        sides = np.array([height, width, height, width]) * UNIT
        boxes = np.rint(_floats(found, b"objects/bbox", (-1, 4)) * sides).astype(np.int64)[:, [1, 0, 3, 2]]
        count = len(targets.keypoints)
        points: list[Any] = [()] * len(ids)
        if "keypoints" in targets.has:
            places = _floats(found, b"objects/keypoints", (-1, count, 3)) * [UNIT, UNIT, 1]
            points = [tuple(map(tuple, its)) for its in np.rint(places).astype(np.int64).tolist()]
        outlines: list[Any] = [()] * len(ids)
        if "polygons" in targets.has:
            outlines = _outlines(found, numbers)
        fields = (names, boxes.tolist(), outlines, points, crowd)
        if any(len(each) != len(ids) for each in fields):
            raise ValueError("its objects do not have all that they should")
        objects = tuple(
            Object(name, tuple(box), outline, its, is_crowd)
            for name, box, outline, its, is_crowd in zip(*fields, strict=True)
        )
    mask = found.pop(b"segmentation_mask", [b""])
    if len(mask) != 1 or not isinstance(mask[0], bytes):
        raise ValueError("its mask is no file")
    return Read(Annotation(objects, labels=tuple(labels)), ids, mask[0])


def arrays(entries: bytes, targets: Targets, shape: Shape) -> dict[str, Any]:
    """The targets of a record as NumPy has them, by the names and in the forms of TFDS.

    `objects`: a dictionary of bbox float32 [n, 4], id and label int64 [n], is_crowd bool [n], keypoints
    float32 [n, k, 3] and segmentation, for each object a list of float32 [corners, 2]; `labels` int64 [m];
    `segmentation_mask` uint8 [H, W, 1]: as many of these as the dataset has. Raises ValueError for entries
    that are none of this dataset's, and DecodeError for a mask that is none.
    """
    found = lists(entries)
    checked = _read(dict(found), targets, shape)
    values: dict[str, Any] = {}
    if targets.labels:
        values["labels"] = np.array(found[b"labels"], np.int64)
    if targets.has_objects:
        values["objects"] = objects = {
            "bbox": np.array(found[b"objects/bbox"], np.float32).reshape(-1, 4),
            "id": np.array(found[b"objects/id"], np.int64),
            "is_crowd": np.array(found[b"objects/is_crowd"], np.bool_),
            "label": np.array(found[b"objects/label"], np.int64),
        }
        if "keypoints" in targets.has:
            points = np.array(found[b"objects/keypoints"], np.float32)
            objects["keypoints"] = points.reshape(-1, len(targets.keypoints), 3)
        if "polygons" in targets.has:
            name = b"objects/segmentation/ragged_"
            corners = np.array(found[name + b"flat_values"], np.float32).reshape(-1, 2)
            lengths = [int(length) for length in found[name + b"row_lengths_1"]]
            polygons = np.split(corners, np.cumsum(lengths)[:-1]) if lengths else []
            objects["segmentation"] = list(_split(polygons, [int(n) for n in found[name + b"row_lengths_0"]]))
    if "mask" in targets.has:
        values["segmentation_mask"] = decoded_mask(checked.mask, shape)[..., np.newaxis]
    return values


def difference(record: bytes, right: bytes, targets: Targets, shape: Shape) -> str:
    """In what the entries of a record differ from what they should be, as the end of a sentence."""
    try:
        there = unpacked(record, targets, shape)
    except ValueError as error:
        return f"{error}"
    here = unpacked(right, targets, shape)
    if there.ids != here.ids:
        return f"it has the objects {_listed(there.ids)}, and should have {_listed(here.ids)}"
    for number, its, own in zip(here.ids, there.annotation.objects, here.annotation.objects, strict=True):
        for field, value, expected in zip(Object._fields, its, own, strict=True):
            if value != expected:
                shown = _pixels(field, value), _pixels(field, expected)
                return f"object {number} has {field} {shown[0]}, and should have {shown[1]}"
    said, expected = there.annotation.labels, here.annotation.labels
    if said != expected:
        return f"its labels are {_listed(said)}, and should be {_listed(expected)}"
    return "its mask is another" if there.mask != here.mask else ""


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values)) or "none"


def _pixels(field: str, value: Any) -> str:
    """A place or several, in pixels; names as they are."""
    if isinstance(value, (str, bool)):
        return str(value)
    if field == "keypoints":
        places = [f"{x / UNIT:.6g}, {y / UNIT:.6g}, {visibility}" for x, y, visibility in value]
        return f"({'; '.join(places[:4])}{'; ...' * (len(places) > 4)})"
    flat = [place for line in value for place in line] if field == "polygons" else value
    shown = ", ".join(f"{place / UNIT:.6g}" for place in flat[:8])
    return f"({shown}{', ...' if len(flat) > 8 else ''})"


def moved_of(entries: bytes, targets: Targets, shape: Shape) -> Moved:
    """The same as what became of an annotation. Raises ValueError, as DecodeError for a mask is one."""
    read = unpacked(entries, targets, shape)
    mask = decoded_mask(read.mask, shape) if read.mask else None
    return Moved(read.annotation.objects, read.ids, (), (), mask)


def decoded_mask(png: bytes, shape: Shape) -> np.ndarray:
    """uint8 [H, W] of a record's mask. Raises DecodeError unless it is one of this size."""
    from augment.recipe import Storage

    return codec.decode_stored(png, Storage(), (*shape[:2], 1))[..., 0]


def _names(targets: Targets) -> set[bytes]:
    """The entries that every record has."""
    outline = (b"flat_values", b"row_lengths_0", b"row_lengths_1")
    names = {b"labels"} if targets.labels else set()
    if targets.has_objects:
        names |= {b"objects/" + name for name in (b"bbox", b"id", b"is_crowd", b"label")}
    if "keypoints" in targets.has:
        names.add(b"objects/keypoints")
    if "polygons" in targets.has:
        names |= {b"objects/segmentation/ragged_" + name for name in outline}
    return names | ({b"segmentation_mask"} if "mask" in targets.has else set())


def _named(names: Sequence[str], number: int) -> str:
    if not 0 <= number < len(names):
        raise ValueError(f"{number} is no class of this dataset")
    return names[number]


def _floats(found: dict[bytes, Any], name: bytes, shape: tuple[int, ...]) -> np.ndarray:
    values = found.pop(name, ())
    array = np.array(values, np.float64)
    if not all(isinstance(value, float) for value in values) or not (np.abs(array) <= 1 << 20).all():
        raise ValueError(f"{name.decode()} holds no numbers of a picture")
    return array.reshape(shape) if array.size else np.zeros((0, *shape[1:]))


def _outlines(found: dict[bytes, Any], numbers: Any) -> list[tuple[tuple[int, ...], ...]]:
    name = b"objects/segmentation/ragged_"
    corners = np.rint(_floats(found, name + b"flat_values", (-1, 2)) * UNIT).astype(np.int64)
    counts, lengths = numbers(name + b"row_lengths_0"), numbers(name + b"row_lengths_1")
    if sum(counts) != len(lengths) or sum(lengths) != len(corners) or min([*counts, *lengths, 0]) < 0:
        raise ValueError("its outlines do not have as many corners as they say")
    each = _split(corners.tolist(), lengths)
    polygons = [tuple(value for corner in polygon for value in corner) for polygon in each]
    return [tuple(its) for its in _split(polygons, counts)]


def _split(values: list[Any], lengths: Sequence[int]) -> Iterator[list[Any]]:
    at = 0
    for length in lengths:
        yield values[at : at + length]
        at += length
