"""`features.json` of TensorFlow Datasets: which feature is the image, and which say what of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pipelines.annotations.features import Boxes, Field, Schema
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import first_of_two
from pipelines.format.bounds import MOST_CLASSES
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


_USUAL: dict[str, tuple[str, tuple[str, ...]]] = {
    "image": ("image", ("image",)),
    "label": ("label", ("class", "scalar")),
    "labels": ("labels", ("classes",)),
    "mask": ("segmentation_mask", ("image",)),
    "boxes": ("objects", ("objects",)),
}
"""What features are called that say a thing, and of which kinds they can be."""


def schema_in(
    document: Mapping[str, Any], asked: Mapping[str, str], class_names: ClassNames
) -> tuple[Schema, list[str]]:
    """Which features say what, and the names of those that are of no use.

    `asked` says it by what they are: a name, or nothing for what is not to be taken. Raises BadFile.
    """
    try:
        return _schema(document["featuresDict"]["features"], asked, class_names)
    except BadFile:
        raise
    except (KeyError, TypeError, AttributeError, ValueError):
        raise BadFile("has a features.json of another kind; write it anew with a TFDS of today") from None


def _schema(
    given: Mapping[str, Any], asked: Mapping[str, str], class_names: ClassNames
) -> tuple[Schema, list[str]]:
    found = {one.name: one for one in _features(given, "", "")}
    if asked.keys() - _USUAL.keys():
        raise BadFile("says itself of which classes its objects are: leave classes=... out")
    chosen = {what: _chosen(what, found, asked) for what in _USUAL}
    image = chosen["image"] or _only_image(found, chosen["mask"])
    _check_image(image)
    used = {image.name, *(one.name for one in chosen.values() if one)}
    rest = [one for name, one in sorted(found.items()) if name not in used]
    columns = [one for one in rest if one.kind in ("class", "scalar")]

    def field(one: _Feature | None) -> Field | None:
        return None if one is None else Field(one.name, _names(one, class_names))

    boxes, unused = (None, []) if chosen["boxes"] is None else _boxes(chosen["boxes"], class_names)
    label, labels, mask = (field(chosen[what]) for what in ("label", "labels", "mask"))
    more = tuple(Field(one.name, _names(one, class_names)) for one in columns)
    left = [one.name for one in rest if one not in columns]
    return Schema(image.name, label, labels, mask, boxes, more), left + unused


def _chosen(what: str, found: Mapping[str, _Feature], asked: Mapping[str, str]) -> _Feature | None:
    """The feature that says a thing. Raises BadFile for one that is asked for, and is not there."""
    usual, kinds = _USUAL[what]
    if name := asked.get(what):
        if name not in found:
            raise BadFile(f"has no feature {name!r} for {what}; it has {listed(sorted(found))}")
        if found[name].kind not in kinds:
            raise BadFile(f"has a feature {name!r} of the kind {found[name].kind}, which is no {what}")
        return found[name]
    one = found.get(usual)
    if what in asked or (one is not None and one.kind in kinds):
        return None if what in asked else one
    only = [one for one in found.values() if one.kind == kinds[0]]
    return only[0] if what in ("label", "boxes") and len(only) == 1 else None


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


def _only_image(found: Mapping[str, _Feature], mask: _Feature | None) -> _Feature:
    images = [one for one in found.values() if one.kind == "image" and one is not mask]
    if len(images) != 1:
        there = listed(sorted(one.name for one in images or found.values()))
        what = "has several images" if images else "has no image"
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
    count = int(about.get("numClasses", 0))
    if count > MOST_CLASSES:
        raise BadFile(f"has {count:,} classes in the feature {one.name!r}; at most {MOST_CLASSES:,} are read")
    names = class_names(one.file) or tuple(map(str, range(count)))
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
