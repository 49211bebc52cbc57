"""Lines of YOLO's labels as objects of ours: boxes, outlines, rotated boxes, poses."""

from __future__ import annotations

from augment.targets import Object
from pipelines.annotations.numbers import BadAnnotation, number_in, units
from pipelines.annotations.yolo_data import Data

_FARTHEST = 2
"""Of a side: what is farther out was given in pixels."""

Numbers = list[float]


def objects_of(contents: bytes, data: Data, size: tuple[int, int]) -> tuple[Object, ...]:
    """What a file of labels says of an image of a height and width. Raises BadAnnotation.

    A line is a class and x, y, width and height of a box, x and y in its middle; or a class and the corners
    of an outline, of which four are a rotated box; or where there are keypoints, a class, a box and those.
    """
    try:
        lines = contents.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadAnnotation(f"they are not UTF-8 ({error.reason})") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if words := line.split():
            try:
                found.append(_object(words, data, size))
            except BadAnnotation as error:
                raise BadAnnotation(f"line {number} {error}") from None
    return tuple(found)


def has_outlines(contents: bytes, data: Data) -> bool:
    """Whether there is a line of an outline, right or wrong, in a file of labels."""
    counts = (len(line.split()) for line in contents.splitlines())
    return not data.numbers and any(count > 5 and count % 2 for count in counts)


def _object(words: list[str], data: Data, size: tuple[int, int]) -> Object:
    count = 5 + data.numbers * len(data.keypoints)
    if data.numbers and len(words) != count:
        raise BadAnnotation(
            f"has {len(words)} numbers; with {len(data.keypoints)} keypoints, {data.numbers} each, it takes "
            f"{count}"
        )
    if len(words) < 5 or (len(words) > 5 and not data.numbers and len(words) % 2 == 0):
        raise BadAnnotation(
            f"has {len(words)} numbers; it takes 5, class x y width height, or 7, 9, 11, ... for an outline"
        )
    name = _class(words[0], data.names)
    numbers = [_part(word) for word in words[1:]]
    if len(words) > 5 and not data.numbers:
        outline = _places(numbers, size)
        return Object(name, (*_least(outline), *_most(outline)), (outline,))
    keypoints = _keypoints(numbers[4:], data.numbers, size)
    return Object(name, _box(numbers[:4], size), keypoints=keypoints)


def _class(word: str, names: dict[int, str]) -> str:
    number = number_in(word, "has a class that")
    if number % 1 or int(number) not in names:
        raise BadAnnotation(f"has the class {number:g}, which is none of {min(names)} to {max(names)}")
    return names[int(number)]


def _part(word: str) -> float:
    given = number_in(word, "has a number that")
    if abs(given) > _FARTHEST:
        raise BadAnnotation(f"has {given:g}, where parts of the image's sides are due, from 0 to 1")
    return given


def _box(numbers: Numbers, size: tuple[int, int]) -> tuple[int, int, int, int]:
    x, y, width, height = numbers
    if width < 0 or height < 0:
        raise BadAnnotation(f"has a box that is {width:g} wide and {height:g} high")
    high, wide = size
    return (
        units((x - width / 2) * wide),
        units((y - height / 2) * high),
        units((x + width / 2) * wide),
        units((y + height / 2) * high),
    )


def _places(numbers: Numbers, size: tuple[int, int]) -> tuple[int, ...]:
    return tuple(units(number * size[(place + 1) % 2]) for place, number in enumerate(numbers))


def _least(places: tuple[int, ...]) -> tuple[int, int]:
    return min(places[::2]), min(places[1::2])


def _most(places: tuple[int, ...]) -> tuple[int, int]:
    return max(places[::2]), max(places[1::2])


def _keypoints(numbers: Numbers, each: int, size: tuple[int, int]) -> tuple[tuple[int, int, int], ...]:
    found = []
    for at in range(0, len(numbers), each or 1):
        x, y = numbers[at : at + 2]
        visibility = numbers[at + 2] if each == 3 else 0 if x < 0 or y < 0 else 2
        if visibility not in (0, 1, 2):
            raise BadAnnotation(f"has a keypoint of the visibility {visibility:g}; it must be 0, 1 or 2")
        seen = int(visibility)
        places = _places([x, y], size) if seen else (0, 0)
        found.append((places[0], places[1], seen))
    return tuple(found)
