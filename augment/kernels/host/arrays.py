"""What the kernels of every family take: borders, channels and tables by OpenCV and StringZilla."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import stringzilla

BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "symmetric": cv2.BORDER_REFLECT,
    "reflect": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}

NOTHING: Any = None
"""For an array that OpenCV can do without, whose types do not know it."""

LEVELS = np.arange(256)

# glibc gives blocks of 128 KiB and more back to the system at once, and takes new ones page by page, until
# a larger one has been freed: from then on, the memory of one kernel's arrays serves the next.
np.empty(1 << 24, np.uint8)


def with_channels(image: Any) -> np.ndarray:
    """OpenCV drops the axis of a single channel."""
    return image[..., np.newaxis] if image.ndim == 2 else image


def planes_of(image: np.ndarray) -> list[np.ndarray]:
    """uint8 [H, W] for each channel. OpenCV takes four times as long where it has to make them itself."""
    planes = [np.empty(image.shape[:2], np.uint8) for _ in range(image.shape[-1])]
    cv2.split(image, planes)
    return planes


def entries(table: np.ndarray, levels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Of a table uint8 [256]: StringZilla takes a tenth of the time of cv2.LUT where there is AVX-512.

    `out` may be the levels themselves, whose memory is near.
    """
    if out is None:
        out = np.empty(levels.shape, np.uint8)
    given = np.ascontiguousarray(levels).data.cast("B")
    stringzilla.translate(given, table.tobytes(), out=out.data.cast("B"))
    return out
