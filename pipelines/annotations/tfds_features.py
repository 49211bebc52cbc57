"""`features.json` of TensorFlow Datasets: which feature is the image, and which say what of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pipelines.annotations.features import Boxes, Field, Schema
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import first_of_two
from pipelines.sources.words import listed

ClassNames = Callable[[str], tuple[str, ...]]
"""The names of a feature's classes, by what its file is called; none where there is no such file."""

_CROWD = ("is_crowd", "is_difficult")


class _Feature(NamedTuple):
    """One of what records have, whatever it lies in."""

    name: str
    """as records have it"""
    kind: str
    """image, class, scalar, classes, objects or other"""
    about: Mapping[str, Any]
    file: str = ""
    """what the file of its classes is called"""


def schema_in(
    document: Mapping[str, Any], asked: Mapping[str, str], class_names: ClassNames
) -> tuple[Schema, list[str]]:
    """Which features say what, and the names of those that are of no use.

    `asked` says it by what they are: a name, or nothing for what is not to be taken. Raises BadFile.
    """
    try:
        found = {one.name: one for one in _features(document["featuresDict"]["features"], "", "")}
    except (KeyError, TypeError, AttributeError):
        raise BadFile("has a features.json of another kind; write it anew with a TFDS of today") from None
    for what, name in asked.items():
        if name and name not in found:
            raise BadFile(f"has no feature {name!r} for {what}; it has {listed(sorted(found))}")

    def chosen(what: str, kinds: tuple[str, ...], usual: str) -> _Feature | None:
        if what in asked:
            return found.get(asked[what])
        one = found.get(usual)
        return one if one is not None and one.kind in kinds else None

    mask = chosen("mask", ("image",), "segmentation_mask")
    image = chosen("image", ("image",), "image") or _only_image(found, mask, asked)
    label = chosen("label", ("class", "scalar"), "label")
    if label is None and "label" not in asked:
        classes = [one for one in found.values() if one.kind == "class"]
        label = classes[0] if len(classes) == 1 else None
    labels = chosen("labels", ("classes",), "labels")
    boxed = chosen("boxes", ("objects",), "objects")
    if boxed is None and "boxes" not in asked:
        objects = [one for one in found.values() if one.kind == "objects"]
        boxed = objects[0] if len(objects) == 1 else None
    for one, kinds in (
        (image, ("image",)),
        (label, ("class", "scalar")),
        (labels, ("classes",)),
        (mask, ("image",)),
        (boxed, ("objects",)),
    ):
        if one is not None and one.kind not in kinds:
            raise BadFile(f"has a feature {one.name!r} that is no {kinds[0]}")
    _check_image(image)
    used = {one.name for one in (image, label, labels, mask, boxed) if one is not None}
    columns = [
        one for name, one in sorted(found.items()) if name not in used and one.kind in ("class", "scalar")
    ]

    def field(one: _Feature | None) -> Field | None:
        return None if one is None else Field(one.name, _names(one, class_names))

    boxes, rest = (None, []) if boxed is None else _boxes(boxed, class_names)
    schema = Schema(
        image.name,
        field(label),
        field(labels),
        field(mask),
        boxes,
        tuple(Field(one.name, _names(one, class_names)) for one in columns),
    )
    left = [name for name in sorted(found) if name not in used and found[name] not in columns]
    return schema, left + rest


def _features(given: Mapping[str, Any], prefix: str, file: str) -> Iterator[_Feature]:
    for name, about in given.items():
        where = f"{prefix}{name}"
        called = f"{file}{name.replace('/', '.')}"
        if "featuresDict" in about:
            yield from _features(about["featuresDict"]["features"], f"{where}/", f"{called}-")
        else:
            yield _Feature(where, _kind(about), about, called)


def _kind(about: Mapping[str, Any]) -> str:
    if "image" in about:
        return "image"
    if "classLabel" in about:
        return "class"
    if "text" in about or ("tensor" in about and _is_scalar(about["tensor"])):
        return "scalar"
    within = about.get("sequence", {}).get("feature", {})
    if "classLabel" in within:
        return "classes"
    inner = within.get("featuresDict", {}).get("features", {})
    return "objects" if any("boundingBox" in one for one in inner.values()) else "other"


def _is_scalar(tensor: Mapping[str, Any]) -> bool:
    plain = tensor.get("encoding", "none").lower() == "none"
    return plain and not tensor.get("shape", {}).get("dimensions") and tensor.get("dtype") != "variant"


def _only_image(found: Mapping[str, _Feature], mask: _Feature | None, asked: Mapping[str, str]) -> _Feature:
    images = [one for one in found.values() if one.kind == "image" and one is not mask]
    if len(images) != 1 or "image" in asked:
        there = listed(sorted(one.name for one in images or found.values()))
        what = "has several images" if len(images) > 1 else "has no image"
        raise BadFile(f"{what} among its features: {there}; say which it is by --annotations image=NAME")
    return images[0]


def _check_image(image: _Feature) -> None:
    kind = image.about["image"].get("dtype", "uint8")
    if kind not in ("uint8", "uint16"):
        raise BadFile(f"has images of {kind} in the feature {image.name!r}; uint8 and uint16 are read")


def _names(one: _Feature, class_names: ClassNames) -> tuple[str, ...]:
    """Of its classes, by number: those of its file, else the numbers themselves; none for what is none.

    Raises BadFile.
    """
    about = one.about.get("classLabel") or one.about.get("image", {}).get("label")
    about = about or one.about.get("sequence", {}).get("feature", {}).get("classLabel")
    if not about:
        return ()
    names = class_names(one.file) or tuple(map(str, range(int(about.get("numClasses", 0)))))
    if twice := first_of_two(names):
        raise BadFile(f"has two classes {twice!r} in the feature {one.name!r}")
    return names


def _boxes(boxed: _Feature, class_names: ClassNames) -> tuple[Boxes, list[str]]:
    """The features of objects, and the names of those that are of no use. Raises BadFile."""
    inner = {
        one.name: one
        for one in _features(
            boxed.about["sequence"]["feature"]["featuresDict"]["features"], f"{boxed.name}/", f"{boxed.file}-"
        )
    }
    boxes = [one for one in inner.values() if "boundingBox" in one.about]
    if len(boxes) > 1:
        raise BadFile(f"has several boxes of each object, {listed(sorted(one.name for one in boxes))}")
    form = boxes[0].about["boundingBox"].get("bboxFormat", "REL_YXYX")
    if form != "REL_YXYX":
        raise BadFile(f"has boxes of the format {form}; REL_YXYX is read, parts of the sides, y before x")
    classes = [one for one in inner.values() if one.kind == "class"]
    named = [one for one in classes if one.name == f"{boxed.name}/label"] or classes
    label = named[0] if len(named) == 1 else None
    crowd = next((name for part in _CROWD if (name := f"{boxed.name}/{part}") in inner), "")
    used = {boxes[0].name, crowd, label.name if label else ""}
    field = Field(label.name, _names(label, class_names)) if label else None
    return Boxes((boxes[0].name,), field, boxed.name, crowd), sorted(inner.keys() - used)
