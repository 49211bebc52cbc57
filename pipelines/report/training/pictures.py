"""A few pictures that the runs were judged by: what is right, and what a run of each arm says."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from augment.targets import UNIT, Annotation, Object
from pipelines.report.drawing import drawn
from pipelines.report.thumbnail import SIDE, Thumbnail, thumbnail
from pipelines.train.compare import Comparison
from pipelines.train.learned import MASKS, Task

SURE = 0.3
"""The score from which a box is drawn."""
_MOST_BYTES = 8_000


class Line(NamedTuple):
    """The pictures with one kind of answers over them."""

    name: str
    pictures: list[Thumbnail]


def lines(comparison: Comparison) -> list[Line]:
    """What is right, and below it the arms; empty where no run left any."""
    runs = [run for run in (arm.runs[0] for arm in comparison.arms) if run.shown]
    if not runs:
        return []
    task, classes = comparison.task, runs[0].document["classes"]
    first = runs[0].shown
    found = [Line("right", _over(first.images, first.right, task, classes))] if first else []
    for run in runs:
        if run.shown and first and np.array_equal(run.shown.images, first.images):
            found.append(Line(run.arm.label, _over(first.images, run.shown.said, task, classes)))
    return found


def _over(images: np.ndarray, answers: np.ndarray, task: Task, classes: list[str]) -> list[Thumbnail]:
    side = max(images.shape[1:3])
    scale = SIDE // side if side <= SIDE else 1 / -(-side // SIDE)
    pictures = []
    for image, answer in zip(images, answers, strict=True):
        if task is MASKS:
            overlaid = drawn(image, Annotation(), answer, classes, scale, range(len(classes)))
        else:
            overlaid = drawn(image, _annotation(answer, image.shape, classes), None, classes, scale)
        pictures.append(thumbnail(overlaid, _MOST_BYTES))
    return pictures


def _annotation(boxes: np.ndarray, shape: tuple[int, ...], classes: list[str]) -> Annotation:
    """Of boxes as `judging.AveragePrecision` takes them, with a score or without."""
    sides = np.array([shape[0], shape[1]] * 2) * UNIT
    objects = []
    for box in boxes:
        if box[4] >= 0 and (len(box) == 5 or box[5] >= SURE):
            y0, x0, y1, x1 = np.rint(box[:4] * sides).astype(int).tolist()
            objects.append(Object(classes[int(box[4])], (x0, y0, x1, y1)))
    return Annotation(tuple(objects))
