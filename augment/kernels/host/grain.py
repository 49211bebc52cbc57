"""Kernels with randomness for every pixel: noise, and boxes that are filled."""

from __future__ import annotations

import cv2
import numpy as np

from augment.kernels import kinds
from augment.kernels.streams import grain8_within, grain16


def noise(k: kinds.Noise, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    per_pixel = 1 if k.monochrome else channels
    place = grain16(k.key, height, width * per_pixel) >> 4
    table = np.zeros(1 << 16, np.int16)
    np.clip(k.table, -255, 255, out=table[: len(k.table)])  # more than that changes no level
    deviates = cv2.LUT(place, table).reshape(height, width, per_pixel)
    if k.monochrome and channels == 3:
        deviates = cv2.merge([deviates] * 3)
    noisy = image + deviates
    return noisy.clip(0, 255, out=noisy).astype(np.uint8)


def fill(k: kinds.Fill, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    out = image.copy()
    for edges in k.boxes.tolist():
        top, left, bottom, right = (max(edge, 0) for edge in edges)
        bottom, right = min(bottom, height), min(right, width)
        seen = out[top:bottom, left:right]
        if k.key is None or not seen.size:
            seen[...] = k.level
        else:
            numbers = left * channels, right * channels
            seen[...] = grain8_within(k.key, (top, bottom), numbers).reshape(seen.shape)
    return out
