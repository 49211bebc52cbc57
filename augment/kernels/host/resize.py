"""The kernel that resamples to another size, by OpenCV and Pillow."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from PIL import Image

from augment.kernels import kinds, weights
from augment.kernels.host.arrays import NOTHING, with_channels


def resize(k: kinds.Resize, image: np.ndarray) -> np.ndarray:
    if k.box is not None:
        top, left, height, width = k.box.tolist()
        image = image[top : top + height, left : left + width]
    height, width, channels = image.shape
    size = k.width, k.height
    if (k.height, k.width) == (height, width):
        return image
    if k.method == "nearest":
        place = np.empty((k.height, k.width, 2), np.int16)
        place[..., 0] = weights.nearest(width, k.width)
        place[..., 1] = weights.nearest(height, k.height)[:, np.newaxis]
        return with_channels(cv2.remap(image, place, NOTHING, cv2.INTER_NEAREST))
    if k.method == "bilinear" and not k.antialias:
        return with_channels(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
    antialias = k.antialias or k.method == "area"
    if antialias and k.method in _OF_PILLOW:
        given = Image.fromarray(image[..., 0] if channels == 1 else image)
        return with_channels(np.asarray(given.resize(size, _OF_PILLOW[k.method])))
    if width != k.width:
        image = _filtered(image, weights.filtered(width, k.width, k.method, antialias), axis=1)
    if height != k.height:
        image = _filtered(image, weights.filtered(height, k.height, k.method, antialias), axis=0)
    return image


_OF_PILLOW = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


def _filtered(image: np.ndarray, taps: weights.Taps, *, axis: int) -> np.ndarray:
    shape = [1, 1, 1]
    shape[axis] = -1
    total: Any = 1 << (weights.FILTER_BITS - 1)
    for tap in range(taps.index.shape[1]):
        total = total + taps.weight[:, tap].reshape(shape) * np.take(image, taps.index[:, tap], axis)
    return np.clip(total >> weights.FILTER_BITS, 0, 255).astype(np.uint8)
