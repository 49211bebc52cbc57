"""By what a picture is known again that was saved anew: in another size, format or quality.

The code of a picture is 128 bits, two difference hashes (N. Krawetz, "Kind of Like That", 2013). Its gray
levels are averaged over 8 rows of 9 cells, and 64 bits say of two cells side by side whether the right one
is lighter; then over 9 rows of 8 cells, and 64 bits say of two cells one upon the other whether the lower
one is. Cells are parts of equal size, pixels at their borders counting in part, and all is integers, so
that the code is the same everywhere. Two pictures are nearly equal if at most NEAR bits differ.

A picture without structure has no code: fewer than PLAIN bits are set, or are not. It is equal to another
only if their files are, byte for byte.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

BITS = 128
NEAR = 12
PLAIN = 16

BANDS = tuple(np.array_split(np.arange(BITS), NEAR + 1))
"""Bits in as many parts that two codes which are near have one of them in common."""

_STRIP = 1 << 18
"""Pixels that are averaged at once."""


def picture_code(pixels: np.ndarray) -> bytes | None:
    """16 bytes by which a picture, uint8 [H, W, 3], is known again; None where it has no structure."""
    height, width, _ = pixels.shape
    rows, columns = _cells(height), _cells(width)
    # Whole numbers below 2**53, so that sums are exact in any order.
    cells = np.zeros([len(rows), len(columns)])
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        red, green, blue = pixels[top : top + step].astype(np.uint16).transpose(2, 0, 1)
        gray = (red * 77 + green * 150 + blue * 29).astype(np.float64)
        cells += rows[:, top : top + step] @ (gray @ columns.T)
    beside, upon = cells[:8, 8:], cells[8:, :8]
    bits = np.concatenate([(beside[:, 1:] > beside[:, :-1]).ravel(), (upon[1:] > upon[:-1]).ravel()])
    return np.packbits(bits).tobytes() if PLAIN <= bits.sum() <= BITS - PLAIN else None


@functools.lru_cache(maxsize=64)
def _cells(side: int) -> np.ndarray:
    """float64 [8 + 9, side]: how much of each pixel is in each of 8 parts, and of 9, in 8ths and 9ths."""
    at = np.arange(side)
    parts = [(number, of) for of in (8, 9) for number in range(of)]
    return np.array(
        [
            np.clip(np.minimum(of * (at + 1), side * (n + 1)) - np.maximum(of * at, side * n), 0, None)
            for n, of in parts
        ],
        np.float64,
    )


def bands(code: bytes) -> Iterator[tuple[int, int]]:
    """The number of each band with what its bits say."""
    bits = np.unpackbits(np.frombuffer(code, np.uint8))
    for number, band in enumerate(BANDS):
        yield number, int(bits[band] @ (1 << np.arange(len(band))))


def near_pairs(codes: list[bytes]) -> Iterator[tuple[int, int]]:
    """Which of some codes are near each other, each pair once, the first before the second."""
    words = np.frombuffer(b"".join(codes), np.uint64).reshape(-1, 2)
    for first in range(len(words) - 1):
        differing = np.bitwise_count(words[first + 1 :] ^ words[first]).sum(axis=1)
        for behind in np.flatnonzero(differing <= NEAR).tolist():
            yield first, first + 1 + behind
