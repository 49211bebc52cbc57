"""A COCO annotation as an object of ours, and COCO's categories."""

from __future__ import annotations

from typing import Any, NamedTuple

from augment.targets import Object
from pipelines.annotations.exact import BadAnnotation, number, shown, units
from pipelines.annotations.json_stream import BadFile


class Category(NamedTuple):
    """A class."""

    place: int
    """by the order of ids"""
    name: str
    keypoints: tuple[str, ...]


def categories_of(items: list[Any]) -> dict[int, Category]:
    """By id. Raises BadFile where there is no telling one from another."""
    found: dict[int, tuple[str, tuple[str, ...]]] = {}
    for item in items:
        number_, name = (item.get("id"), item.get("name")) if isinstance(item, dict) else (None, None)
        if isinstance(number_, bool) or not isinstance(number_, int):
            raise BadFile(f"has a category whose 'id' is {shown(number_)}; it must be a whole number")
        if not isinstance(name, str) or not name.strip():
            raise BadFile(f"has a category, {number_}, without a name")
        if number_ in found:
            raise BadFile(f"has two categories with the id {number_}, {found[number_][0]!r} and {name!r}")
        keypoints = item.get("keypoints") or []
        if not isinstance(keypoints, list) or not all(isinstance(one, str) for one in keypoints):
            raise BadFile(f"has a category, {name!r}, whose 'keypoints' are no list of names")
        found[number_] = name, tuple(keypoints)
    names = [name for name, _ in found.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadFile(f"has two categories with the name {twice[0]!r}; give each a name of its own")
    sets = {keypoints for _, keypoints in found.values() if keypoints}
    if len(sets) > 1:
        raise BadFile("has categories with different keypoints; one set of names is read: give one file each")
    return {given: Category(place, *found[given]) for place, given in enumerate(sorted(found))}


def object_of(item: dict[str, Any], categories: dict[int, Category]) -> Object:
    """Raises BadAnnotation, for what follows `whose`."""
    given = item.get("category_id")
    category = categories.get(given) if isinstance(given, int) else None
    if category is None:
        raise BadAnnotation(f"category_id is {shown(given)}, which is none of its categories")
    bbox = item.get("bbox")
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise BadAnnotation(f"bbox is {shown(bbox)}; it must be [x, y, width, height]")
    x, y, width, height = (number(one, "bbox") for one in bbox)
    if width < 0 or height < 0:
        raise BadAnnotation(f"bbox is {width} wide and {height} high")
    return Object(
        category.name,
        (units(x), units(y), units(x + width), units(y + height)),
        _polygons(item.get("segmentation")),
        _keypoints(item.get("keypoints"), max((one.keypoints for one in categories.values()), key=len)),
        bool(item.get("iscrowd")),
    )


def _polygons(given: Any) -> tuple[tuple[int, ...], ...]:
    """Of runs of pixels there are none: the box alone is kept."""
    if given is None or isinstance(given, dict):
        return ()
    if not isinstance(given, list) or not all(isinstance(part, list) for part in given):
        raise BadAnnotation("segmentation is no list of polygons, and no object of runs")
    for part in given:
        if len(part) % 2 or len(part) < 6:
            raise BadAnnotation(f"segmentation has a polygon of {len(part)} numbers; it takes 6, 8, 10, ...")
    return tuple(tuple(units(number(one, "segmentation")) for one in part) for part in given)


def _keypoints(given: Any, names: tuple[str, ...]) -> tuple[tuple[int, int, int], ...]:
    if given is None:
        return ((0, 0, 0),) * len(names)
    if not isinstance(given, list) or len(given) != 3 * len(names):
        count = len(given) if isinstance(given, list) else shown(given)
        raise BadAnnotation(f"keypoints are {count} numbers; {len(names)} names take {3 * len(names)}")
    found = []
    for x, y, visibility in zip(*[iter(given)] * 3, strict=True):
        if visibility not in (0, 1, 2):
            raise BadAnnotation(f"keypoints have the visibility {shown(visibility)}; it must be 0, 1 or 2")
        place = (units(number(x, "keypoints")), units(number(y, "keypoints"))) if visibility else (0, 0)
        found.append((*place, int(visibility)))
    return tuple(found)
