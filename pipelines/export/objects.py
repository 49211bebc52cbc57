"""What is in an image, in COCO's words: places are in pixels of the copy, with two digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from augment.targets import UNIT, Object
from pipelines.export.digits import hundredths
from pipelines.format.targets import Targets


def described(thing: Object, targets: Targets) -> dict[str, Any]:
    """bbox [x, y, width, height], area, iscrowd and, as the dataset has them, segmentation and keypoints.

    The area is that of the outline, else of the box. An outline is a list of [x, y, x, y, ...];
    keypoints are [x, y, visibility, ...], and num_keypoints are those that are not of visibility 0.
    """
    x0, y0, x1, y1 = thing.box
    polygons = [polygon for polygon in thing.polygons if len(polygon) >= 6]
    double = sum(map(_double_area, polygons)) if polygons else 2 * (x1 - x0) * (y1 - y0)
    entry: dict[str, Any] = {
        "bbox": [hundredths(value) for value in (x0, y0, x1 - x0, y1 - y0)],
        "area": hundredths(double, 2 * UNIT * UNIT),
        "iscrowd": int(thing.crowd),
    }
    if "polygons" in targets.has:
        entry["segmentation"] = [[hundredths(value) for value in polygon] for polygon in polygons]
    if targets.keypoints:
        points = thing.keypoints or ((0, 0, 0),) * len(targets.keypoints)
        entry["keypoints"] = [
            value for x, y, seen in points for value in (hundredths(x), hundredths(y), seen)
        ]
        entry["num_keypoints"] = sum(seen > 0 for *_, seen in points)
    return entry


def _double_area(polygon: Sequence[int]) -> int:
    """Twice the area that a polygon surrounds, in units by units."""
    xs, ys = polygon[::2], polygon[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs))))
