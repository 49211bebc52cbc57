"""Kernels that look levels up in tables, given ones or such as follow from the image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from augment.kernels import kinds, tables
from augment.kernels.host.arrays import NOTHING, entries, planes_of, with_channels
from augment.kernels.host.color import luma


def levels(k: kinds.Levels, image: np.ndarray) -> np.ndarray:
    return _looked_up(k.table, image)


def _looked_up(table: np.ndarray, image: np.ndarray) -> np.ndarray:
    return entries(table[0], image) if len(table) == 1 else _joined(table, planes_of(image))


def _joined(table: np.ndarray, planes: list[np.ndarray]) -> np.ndarray:
    looked_up = [entries(one, plane) for one, plane in zip(table, planes, strict=True)]
    return with_channels(cv2.merge(looked_up))


def adapt(k: kinds.Adapt, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    count = height * width
    statistic: Any
    if k.rule.statistic == "gray":
        statistic = np.int64(cv2.sumElems(luma(image))[0])
        return _looked_up(k.rule.table(statistic, count, k.factor), image)
    if k.rule.line is None:
        planes = planes_of(image)
        of_plane = _ends if k.rule.statistic == "ends" else _histogram
        statistic = np.array([of_plane(plane) for plane in planes], np.int64)
        return _joined(k.rule.table(statistic, count, k.factor), planes)
    factor: Any = k.factor
    lines = np.zeros((channels, channels + 1), np.float32)  # 24 bits hold all that follows exactly
    for channel, total in enumerate(cv2.sumElems(image)[:channels]):
        slope, start = k.rule.line(int(total), count, int(factor))
        lines[channel, channel] = slope / (1 << tables.LINE_BITS)
        lines[channel, -1] = start / (1 << tables.LINE_BITS)
    return with_channels(cv2.transform(image, lines))


def _ends(plane: np.ndarray) -> tuple[float, float]:
    return cv2.minMaxLoc(plane)[:2]


def _histogram(plane: np.ndarray) -> np.ndarray:
    if plane.size < 1 << 24:  # OpenCV counts in float32
        return cv2.calcHist([plane], [0], NOTHING, [256], [0, 256]).ravel()
    return np.bincount(plane.ravel(), minlength=256)
