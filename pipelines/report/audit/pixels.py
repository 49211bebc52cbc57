"""Numbers of the pixels of images, each by itself and all together."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

SATURATED, FILLED, UNIFORM, NEAR = 0.25, 0.5, 4.0, 2.0

NOTES = {
    "saturated": "more than a quarter of its levels are 0 or 255",
    "filled": "more than half of its pixels have one and the same color",
    "uniform": "its gray levels hardly differ: their standard deviation is below 4",
    "near": "hardly differs from its source: by less than 2 levels on average",
    "twice": "the same file is there more than once, in one split",
}
"""What is noted of a picture or a source, by the limits above. None of it is a finding."""


@dataclasses.dataclass(frozen=True)
class PixelSummary:
    """What the pixels of one image tell."""

    means: tuple[float, ...]
    squares: tuple[float, ...]
    """means of the squared levels; both of red, green and blue, or of gray"""
    levels: np.ndarray
    """int64 [32]: pixels by their gray level, in eighths"""
    clipped: float
    """the part of the levels that are 0 or 255"""
    spread: float
    """the standard deviation of the gray levels"""
    filled: float
    """the largest part of pixels of one and the same color"""

    @property
    def notes(self) -> tuple[str, ...]:
        """Which of `saturated`, `filled` and `uniform` it is."""
        holds = (self.clipped > SATURATED, self.filled > FILLED, self.spread < UNIFORM)
        return tuple(itertools.compress(("saturated", "filled", "uniform"), holds))


def summary_of(pixels: np.ndarray) -> PixelSummary:
    """Of uint8 [H, W, 1 or 3]."""
    wide = pixels.reshape(-1, pixels.shape[2]).astype(np.uint32)
    floats = wide.astype(np.float64)
    gray = floats @ (0.299, 0.587, 0.114) if pixels.shape[2] == 3 else floats[:, 0]
    _, counts = np.unique(wide @ (1 << 16, 1 << 8, 1)[-pixels.shape[2] :], return_counts=True)
    return PixelSummary(
        means=tuple(floats.mean(0).tolist()),
        squares=tuple((floats**2).mean(0).tolist()),
        levels=np.bincount(np.minimum(gray, 255).astype(np.int64) // 8, minlength=32),
        clipped=float(np.mean((pixels == 0) | (pixels == 255))),
        spread=float(gray.std()),
        filled=float(counts.max() / len(gray)),
    )


class PooledSummary:
    """Of many images together, each of the same weight."""

    def __init__(self, some: Sequence[PixelSummary]) -> None:
        self.images = len(some)
        self.means = np.mean([one.means for one in some], axis=0)
        squares = np.mean([one.squares for one in some], axis=0)
        self.deviations = np.sqrt(np.maximum(squares - self.means**2, 0))
        """of the levels of red, green and blue, or of gray, over all pixels of all images"""
        self.levels = np.mean([one.levels / one.levels.sum() for one in some], axis=0)
        """float64 [32]"""
        self.notes = Counter(note for one in some for note in one.notes)
        """how many are saturated, filled, uniform"""
