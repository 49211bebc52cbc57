"""Boxes in a table, as Hugging Face's object detection has them in the column `objects`."""

from __future__ import annotations

from typing import Any

from augment.targets import Object
from pipelines.annotations.numbers import BadAnnotation, number, shown, units

OBJECTS = "objects"

_CLASSES = ("categories", "category", "class", "labels", "label")


def objects_in(given: Any) -> tuple[tuple[int, Object], ...]:
    """Each with the number of its class, 0 for one that is named.

    An object of lists is meant, `bbox` of [x, y, width, height] in pixels and one of classes, or a list of
    such objects; a class that is a number is called by it. Raises BadAnnotation.
    """
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        there = next((name for name in _CLASSES if any(name in one for one in given)), _CLASSES[0])
        given = {name: [one.get(name) for one in given] for name in ("bbox", there)}
    boxes = given.get("bbox") if isinstance(given, dict) else None
    name = next((one for one in _CLASSES if isinstance(given, dict) and one in given), None)
    classes = given[name] if name else None
    if not isinstance(boxes, list) or not isinstance(classes, list) or len(boxes) != len(classes):
        raise BadAnnotation(
            f"has the objects {shown(given)}, which must be lists of one length: 'bbox', and 'categories' "
            "for their classes"
        )
    return tuple(map(_object, boxes, classes))


def others_in(given: Any) -> set[str]:
    """What else is said of objects, by the names that records have for such: `objects/area`."""
    several = given if isinstance(given, list) else [given]
    names = {name for one in several if isinstance(one, dict) for name in one}
    return {f"{OBJECTS}/{name}" for name in names - {"bbox", *_CLASSES}}


def _object(box: Any, category: Any) -> tuple[int, Object]:
    if not isinstance(box, list) or len(box) != 4:
        raise BadAnnotation(f"has the bbox {shown(box)}; it must be [x, y, width, height]")
    if type(category) not in (int, str) or category == "":
        raise BadAnnotation(f"has an object of the class {shown(category)}, which must be a name or a number")
    x, y, width, height = (number(one, "has an object whose bbox") for one in box)
    if width < 0 or height < 0:
        raise BadAnnotation(f"has a bbox that is {width} wide and {height} high")
    edges = units(x), units(y), units(x + width), units(y + height)
    return category if type(category) is int else 0, Object(str(category), edges)
