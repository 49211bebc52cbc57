"""Kernels that compute a pixel from its channels: gray, hue, saturation."""

from __future__ import annotations

import cv2
import numpy as np

from augment.kernels import kinds
from augment.kernels.host.arrays import LEVELS, entries, planes_of


def gray(k: kinds.Gray, image: np.ndarray) -> np.ndarray:
    return image if image.shape[-1] == 1 else cv2.cvtColor(luma(image), cv2.COLOR_GRAY2RGB)


def luma(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W]. Weights in 65536ths times levels, and a half: 24 bits, which float32 holds exactly."""
    if image.shape[-1] == 1:
        return image[..., 0]
    return cv2.transform(image.astype(np.float32), _LUMA).astype(np.uint8)


_LUMA = np.array([[19595, 38470, 7471, 1 << 15]], np.float32) / np.float32(1 << 16)


def hue(k: kinds.Hue, image: np.ndarray) -> np.ndarray:
    """By whole sixths of the circle, then by a part of one, at most half of it.

    Three sixths turn each channel upside down between the least and the value, two put each into
    the next one's place. A part e of the chroma c then raises a channel by what it exceeds the height
    of the next one, and lowers it by what that one's height exceeds c - e; never both.
    """
    if image.shape[-1] == 1:
        return image
    sixths = int(k.sixths)
    whole = (sixths + (1 << 15)) >> 16
    part = sixths - (whole << 16)
    planes = planes_of(image)
    value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    least = cv2.min(cv2.min(planes[0], planes[1]), planes[2])
    c = value - least
    for plane in planes:
        plane -= least
        if whole % 2:
            np.subtract(c, plane, out=plane)
    whole += 3 * (whole % 2)
    heights = [planes[(channel - whole // 2) % 3] for channel in range(3)]
    e = entries(np.abs((part * LEVELS + (1 << 15)) >> 16).astype(np.uint8), c)
    rest = c - e
    turned = []
    for channel, height in enumerate(heights):
        beside = heights[(channel + (1 if part > 0 else -1)) % 3]
        out = cv2.subtract(e, beside)
        cv2.min(cv2.add(height, out, out), c, out)
        cv2.subtract(out, cv2.subtract(beside, rest), out)
        np.add(out, least, out=out)
        turned.append(out)
    return cv2.merge(turned)


def saturation(k: kinds.Saturation, image: np.ndarray) -> np.ndarray:
    if image.shape[-1] == 1:
        return image
    planes = planes_of(image)
    value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    moved = [value - plane for plane in planes]
    scaled = [entries(k.distances, distance) for distance in moved]
    if (k.distances > LEVELS).any():
        c = cv2.max(cv2.max(moved[0], moved[1]), moved[2])
        # A quotient misses a half by a 510th or more. A little more than it is, and rounded to even, it
        # becomes the same as with halves rounded up.
        ratio = value.astype(np.float32)
        ratio *= np.float32(1 + 2.0**-19)
        ratio /= np.maximum(c, 1).astype(np.float32)
        for distance, out in zip(moved, scaled, strict=True):
            most = distance.astype(np.float32)
            most *= ratio
            cv2.min(out, cv2.convertScaleAbs(most), out)
    return cv2.merge([value - distance for distance in scaled])
