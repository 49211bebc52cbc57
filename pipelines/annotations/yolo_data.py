"""YOLO's data.yaml: which classes and keypoints there are, and where each split's images lie."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from pipelines import storage
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import first_of_two, is_text, shown

_SPLITS = {"train": "train", "val": "validation", "test": "test"}

_MOST = 1 << 24
"""Bytes that are read of a data.yaml."""


_MOST_KEYPOINTS = 1000


class Data(NamedTuple):
    """What a data.yaml says."""

    names: dict[int, str]
    """of classes, by id"""
    keypoints: tuple[str, ...]
    numbers: int
    """that each keypoint takes: 2 or 3; 0 without keypoints"""
    pairs: frozenset[tuple[int, int]]
    places: tuple[tuple[str, str], ...]
    """splits with the folders, and files that list images, that each has; absolute, and there"""


def data_of(path: str) -> Data:
    """Raises BadFile, and OSError."""
    try:
        with storage.at(path).open() as file:
            given = yaml.safe_load(file.read(_MOST).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadFile(f"is not UTF-8 ({error.reason})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadFile(f"is no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(given, dict):
        raise BadFile("has no names and values, as YOLO's data.yaml has")
    count, numbers = _shape(given.get("kpt_shape"))
    places = tuple(_places(path, given))
    if not places:
        raise BadFile(f"has none of {', '.join(_SPLITS)}: where the images lie")
    keypoints, pairs = _keypoints(given, count), _pairs(given.get("flip_idx"), count)
    return Data(_names(given.get("names")), keypoints, numbers, pairs, places)


def _names(given: Any) -> dict[int, str]:
    named = dict(enumerate(given)) if isinstance(given, list) else given
    if not isinstance(named, dict) or not named:
        raise BadFile("has no 'names', which must be the classes: a list, or a name for each id")
    for number, name in named.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise BadFile(f"has {shown(number)} among the ids of 'names', which must be whole numbers from 0")
        called = isinstance(name, str | int) and not isinstance(name, bool) and str(name).strip()
        if not called or not is_text(str(name)):
            raise BadFile(f"has a class, {number}, whose name is {shown(name)}; give it one, in quotes")
    names = {number: str(name) for number, name in sorted(named.items())}
    twice = first_of_two(names.values())
    if twice is not None:
        raise BadFile(f"has two classes with the name {twice!r}; give each a name of its own")
    return names


def _shape(given: Any) -> tuple[int, int]:
    if given is None:
        return 0, 0
    whole = isinstance(given, list) and len(given) == 2 and all(type(one) is int for one in given)
    if not whole or not 1 <= given[0] <= _MOST_KEYPOINTS or given[1] not in (2, 3):
        raise BadFile(f"has the kpt_shape {shown(given)}; it must be [1 to {_MOST_KEYPOINTS}, 2 or 3]")
    return given[0], given[1]


def _keypoints(given: dict[Any, Any], count: int) -> tuple[str, ...]:
    """Their names, if they have some: those of the first class; else they are counted."""
    named = given.get("kpt_names")
    names = next(iter(named.values()), None) if isinstance(named, dict) else named
    if names is None:
        return tuple(map(str, range(count)))
    called = list(map(str, names)) if isinstance(names, list) else []
    if len(set(called)) != count or len(called) != count or not all(map(is_text, called)):
        raise BadFile(f"has the kpt_names {shown(named)}; they must be {count} different names")
    return tuple(called)


def _pairs(given: Any, count: int) -> frozenset[tuple[int, int]]:
    if not given:
        return frozenset()
    if not isinstance(given, list) or sorted(map(str, given)) != sorted(map(str, range(count))):
        raise BadFile(f"has the flip_idx {shown(given)}; it must have each of 0 to {count - 1} once")
    if any(given[other] != place for place, other in enumerate(given)):
        raise BadFile(f"has the flip_idx {shown(given)}, by which two flips are not none")
    return frozenset((place, other) for place, other in enumerate(given) if place < other)


def _places(path: str, given: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    above = path.rpartition("/")[0]
    start = given.get("path") or ""
    if not isinstance(start, str):
        raise BadFile(f"has the path {shown(start)}, which must be a text")
    base = _joined(above, start)
    if not _is_there(base):
        base = above
    taken: dict[str, str] = {}
    for key, split in _SPLITS.items():
        several = given.get(key) or []
        for one in several if isinstance(several, list) else [several]:
            if not isinstance(one, str):
                raise BadFile(f"has {shown(one)} as its {key!r}, which must be paths")
            place = _joined(base, one)
            if not _is_there(place) and one.startswith("../"):  # as Roboflow writes it
                place = _joined(base, one[len("../") :])
            if not _is_there(place):
                raise BadFile(f"has {one!r} as its {key!r}, and there is no {_joined(base, one)}")
            if taken.setdefault(place, split) != split:
                raise BadFile(f"has {one!r} in two splits; an image can be in one: leave the other one out")
            yield split, place


def _joined(base: str, path: str) -> str:
    if "://" in path or path.startswith("/"):
        return path.rstrip("/") or "/"
    scheme, separator, rest = base.rpartition("://")
    return scheme + separator + posixpath.normpath(f"{rest}/{path}")


def _is_there(path: str) -> bool:
    location = storage.at(path)
    return location.size() is not None or any(True for _ in location.list(deep=False))
