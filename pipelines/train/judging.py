"""How well a model's answers to a split are: accuracy, mean IoU, or AP at 0.5. NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipelines.train.learned import BOXES, MASKS, VOID, Task

Lines = Iterator[dict[str, Any]]
"""Of test.csv."""

SHOWN = 6
"""So many pictures of a split are kept with their answers."""

OVERLAP = 0.5
"""The IoU from which a box is the right one."""


class Shown(NamedTuple):
    """The first pictures of a split, uint8 [n, H, W, C], and what a judge takes of them."""

    images: np.ndarray
    right: np.ndarray
    said: np.ndarray


class Judge(Protocol):
    """Sees the answers to a split, batch by batch."""

    def add(self, right: np.ndarray, said: np.ndarray) -> None:
        """The answers of a batch."""

    def score(self) -> float:
        """By the task's metric, from 0 to 1."""

    def lines(self) -> Lines:
        """What test.csv says."""


def judge_of(task: Task, classes: Sequence[str]) -> Judge:
    """For a split that nothing is known of yet."""
    if task is MASKS:
        return MeanIoU(classes)
    return AveragePrecision(classes) if task is BOXES else Accuracy()


class Accuracy:
    """How many images are told right. Both are int64 [B]."""

    def __init__(self) -> None:
        self._right: list[np.ndarray] = []
        self._said: list[np.ndarray] = []

    def add(self, right: np.ndarray, said: np.ndarray) -> None:
        self._right.append(right)
        self._said.append(said)

    def score(self) -> float:
        return float(np.mean(np.concatenate(self._right) == np.concatenate(self._said)))

    def lines(self) -> Lines:
        for right, said in zip(self._right, self._said, strict=True):
            for label, predicted in zip(right.tolist(), said.tolist(), strict=True):
                yield {"label": label, "predicted": predicted}


class MeanIoU:
    """The mean over classes of the pixels that are and are said to be of it, by those that are or are said.

    Over all pixels of the split at once, but for VOID; a class that neither is there nor is said does not
    count. Both are uint8 [B, H, W].
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._counts = np.zeros((len(classes), len(classes)), np.int64)

    def add(self, right: np.ndarray, said: np.ndarray) -> None:
        count, known = len(self._classes), right != VOID
        pairs = right[known].astype(np.int64) * count + said[known]
        self._counts += np.bincount(pairs, minlength=count * count).reshape(count, count)

    def score(self) -> float:
        return float(np.nanmean(self._each())) if self._counts.any() else float("nan")

    def _each(self) -> np.ndarray:
        both = np.diag(self._counts)
        either = self._counts.sum(axis=0) + self._counts.sum(axis=1) - both
        return np.where(either > 0, both / np.maximum(either, 1), np.nan)

    def lines(self) -> Lines:
        pixels = self._counts.sum(axis=1).tolist()
        for name, iou, count in zip(self._classes, self._each().tolist(), pixels, strict=True):
            yield {"class": name, "iou": None if np.isnan(iou) else iou, "pixels": count}


class AveragePrecision:
    """The mean over classes of the area below precision against recall, at an IoU of 0.5.

    As Pascal VOC has it since 2010: boxes of a class go by their scores, over all images at once; each is
    right if the object that it overlaps most in its image does by OVERLAP or more, and is nobody's yet. A
    class without objects does not count. Right is float32 [B, n, 5], ymin, xmin, ymax, xmax and class, where
    -1 is none; said is float32 [B, k, 6], with the score behind the class, where 0 is none.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._right: list[np.ndarray] = []
        self._said: list[np.ndarray] = []

    def add(self, right: np.ndarray, said: np.ndarray) -> None:
        self._right += [its[its[:, 4] >= 0] for its in right]
        self._said += [its[its[:, 5] > 0] for its in said]

    def score(self) -> float:
        each = [area for area, objects in map(self._class, range(len(self._classes))) if objects]
        return float(np.mean(each)) if each else float("nan")

    def lines(self) -> Lines:
        for number, name in enumerate(self._classes):
            area, objects = self._class(number)
            yield {"class": name, "ap50": area if objects else None, "objects": objects}

    def _class(self, number: int) -> tuple[float, int]:
        """Its area, and how many objects there are."""
        scores, hits, objects = [], [], 0
        for right, said in zip(self._right, self._said, strict=True):
            mine, boxes = right[right[:, 4] == number], said[said[:, 4] == number]
            boxes = boxes[np.argsort(-boxes[:, 5], kind="stable")]
            objects += len(mine)
            scores.append(boxes[:, 5])
            hits.append(_hits(mine[:, :4], boxes[:, :4]))
        if not objects:
            return 0.0, 0
        order = np.argsort(-np.concatenate(scores), kind="stable")
        found = np.cumsum(np.concatenate(hits)[order])
        recall = np.concatenate([[0.0], found / objects])
        precision = found / np.arange(1, len(found) + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]  # of this recall or more
        return float(np.sum(np.diff(recall) * best)), objects


def _hits(right: np.ndarray, said: np.ndarray) -> np.ndarray:
    """bool [k]: which of the boxes of an image are right, the surest first."""
    hits = np.zeros(len(said), bool)
    if not len(right) or not len(said):
        return hits
    overlaps = iou(said, right)
    free = np.ones(len(right), bool)
    for row, best in enumerate(overlaps.argmax(axis=1)):
        hits[row] = overlaps[row, best] >= OVERLAP and free[best]
        free[best] &= ~hits[row]
    return hits


def iou(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float64 [k, n]: the common area of boxes [k, 4] and [n, 4] by that of both together."""
    a, b = some[:, np.newaxis].astype(np.float64), others[np.newaxis].astype(np.float64)
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0)
    both = sides.prod(axis=-1)
    areas = [(one[..., 2:] - one[..., :2]).prod(axis=-1) for one in (a, b)]
    return both / np.maximum(areas[0] + areas[1] - both, 1e-12)
