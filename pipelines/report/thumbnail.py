"""Small pictures that stand in a page."""

from __future__ import annotations

import base64
import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image

SIDE = 144
"""Pixels of a thumbnail's longer side, at most."""
SMALL = 64
"""Images of up to so many pixels are kept without loss, to be shown enlarged, pixel by pixel."""
_BYTES_A_PIXEL = 0.22
"""Of a photo in WebP of good quality."""


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """An image in WebP."""

    height: int
    width: int
    webp: bytes

    @property
    def uri(self) -> str:
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode()

    @property
    def small(self) -> bool:
        """Whether it is to be shown enlarged, pixel by pixel."""
        return max(self.height, self.width) <= SMALL


def thumbnail(pixels: np.ndarray, most_bytes: int) -> Thumbnail:
    """Of uint8 [H, W, 1 or 3]: so large that few bytes do; what is too large is encoded worse."""
    image = as_image(pixels)
    small = max(image.size) <= SMALL
    if not small:
        side = min(max(int((most_bytes / _BYTES_A_PIXEL) ** 0.5), SMALL), SIDE)
        image.thumbnail((side, side), Image.Resampling.BOX)
    webp = _webp(image, lossless=True) if small else b""
    for quality in (80, 50, 25, 5):
        if webp and len(webp) <= most_bytes:
            break
        webp = _webp(image, quality=quality)
    return Thumbnail(image.height, image.width, webp)


def as_image(pixels: np.ndarray) -> Image.Image:
    """Of uint8 [H, W, 1 or 3]."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _webp(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", method=1, **options)  # five times as fast as the default, little larger
    return file.getvalue()
