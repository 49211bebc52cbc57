"""Kernels that take pixels from elsewhere, and no arithmetic: windows, orientations, channels."""

from __future__ import annotations

import cv2
import numpy as np

from augment.kernels import kinds
from augment.kernels.host.arrays import BORDERS, planes_of, with_channels


def window(k: kinds.Window, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    top, left = int(k.top), int(k.left)
    bottom, right = top + k.height, left + k.width
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return image[top:bottom, left:right]
    if k.border == "constant":
        out = np.full((k.height, k.width, channels), k.fill, image.dtype)
        first, before = max(top, 0), max(left, 0)
        seen = image[first : max(bottom, 0), before : max(right, 0)]
        rows, columns, _ = seen.shape
        out[first - top : first - top + rows, before - left : before - left + columns] = seen
        return out
    above, beside = max(-top, 0), max(-left, 0)
    padded = cv2.copyMakeBorder(
        image, above, max(bottom - height, 0), beside, max(right - width, 0), BORDERS[k.border]
    )
    return with_channels(padded)[top + above : bottom + above, left + beside : right + beside]


def orient(k: kinds.Orient, image: np.ndarray) -> np.ndarray:
    if k.transposed:
        image = with_channels(cv2.transpose(image))
    if k.rows or k.columns:
        image = with_channels(cv2.flip(image, -1 if k.rows and k.columns else 0 if k.rows else 1))
    return image


def channels(k: kinds.Channels, image: np.ndarray) -> np.ndarray:
    if image.shape[-1] == 1:
        return image
    planes = planes_of(image)
    return cv2.merge([planes[channel] for channel in k.order.tolist()])
