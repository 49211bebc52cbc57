"""A COCO annotation as an object of ours, and COCO's categories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from augment.targets import Object, Vocabulary
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation, first_of_two, is_text, number, shown, units


class Categories(NamedTuple):
    """All that a file has."""

    names: dict[int, str]
    """of classes, by their ids"""
    keypoints: tuple[str, ...]
    """of those that have some"""

    def vocabulary(self, *, polygons: bool) -> Vocabulary:
        has = {"boxes", *(["polygons"] if polygons else []), *(["keypoints"] if self.keypoints else [])}
        return Vocabulary(
            frozenset(self.names.items()),
            self.keypoints,
            frozenset(_pairs_of(self.keypoints)),
            has=frozenset(has),
        )


def _pairs_of(keypoints: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Those whose names differ by left and right alone."""
    lower = [name.lower() for name in keypoints]
    for place, name in enumerate(lower):
        other = name.replace("left", "right")
        if other != name and other in lower:
            yield place, lower.index(other)


class Raw(NamedTuple):
    """An annotation, as it stands in a file, whatever that is."""

    id: Any
    category_id: Any
    bbox: Any
    segmentation: Any
    """None for runs of pixels"""
    keypoints: Any
    iscrowd: Any


def raw_of(item: dict[str, Any]) -> tuple[Any, ...]:
    """The fields of a Raw, as they are written fastest."""
    if isinstance(item.get("segmentation"), dict):
        item = {**item, "segmentation": None}
    return tuple(map(item.get, Raw._fields))


def categories_of(items: list[Any]) -> Categories:
    """Raises BadFile where there is no telling one from another."""
    found: dict[int, tuple[str, tuple[str, ...]]] = {}
    for item in items:
        number_, name = (item.get("id"), item.get("name")) if isinstance(item, dict) else (None, None)
        if isinstance(number_, bool) or not isinstance(number_, int):
            raise BadFile(f"has a category whose 'id' is {shown(number_)}; it must be a whole number")
        if not isinstance(name, str) or not name.strip() or not is_text(name):
            raise BadFile(f"has a category, {number_}, without a name")
        if number_ in found:
            raise BadFile(f"has two categories with the id {number_}, {found[number_][0]!r} and {name!r}")
        keypoints = item.get("keypoints") or []
        if not isinstance(keypoints, list) or not all(
            isinstance(one, str) and is_text(one) for one in keypoints
        ):
            raise BadFile(f"has a category, {name!r}, whose 'keypoints' are no list of names")
        found[number_] = name, tuple(keypoints)
    twice = first_of_two(name for name, _ in found.values())
    if twice is not None:
        raise BadFile(f"has two categories with the name {twice!r}; give each a name of its own")
    sets = {keypoints for _, keypoints in found.values() if keypoints}
    if len(sets) > 1:
        raise BadFile("has categories with different keypoints; one set of names is read: give one file each")
    return Categories({given: name for given, (name, _) in found.items()}, max(sets, default=()))


def object_of(raw: Raw, categories: Categories) -> Object:
    """Raises BadAnnotation, for what follows `whose`."""
    given = raw.category_id
    name = categories.names.get(given) if isinstance(given, int) else None
    if name is None:
        raise BadAnnotation(f"category_id is {shown(given)}, which is none of its categories")
    if not isinstance(raw.bbox, list) or len(raw.bbox) != 4:
        raise BadAnnotation(f"bbox is {shown(raw.bbox)}; it must be [x, y, width, height]")
    x, y, width, height = [number(one, "bbox") for one in raw.bbox]
    if width < 0 or height < 0:
        raise BadAnnotation(f"bbox is {width} wide and {height} high")
    return Object(
        name,
        (units(x), units(y), units(x + width), units(y + height)),
        _polygons(raw.segmentation),
        _keypoints(raw.keypoints, categories.keypoints),
        bool(raw.iscrowd),
    )


def _polygons(given: Any) -> tuple[tuple[int, ...], ...]:
    """Of runs of pixels there are none: the box alone is kept."""
    if not given:
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
