"""Ops that make a picture worse, as lenses, sensors and files do: blur, noise, JPEG."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from statistics import NormalDist
from typing import Annotated

import numpy as np

from augment.array_api import Array, cast, shift_right, stack, take
from augment.draws import Draw, uniform_between
from augment.kernels import kinds, weights
from augment.kernels.kinds import Jpeg, Kernels
from augment.labels.hazards import Hazard
from augment.ops.base import Op, Size
from augment.ops.parameters import KEY, Parameter, Real
from augment.ops.settings import Interval, WholeInterval, interval, whole_interval


class Blur(Op):
    """Blurs with a Gaussian, as OpenCV's GaussianBlur: weights in 256ths, cut at three standard deviations.

    Edge pixels go on outside the image. Of sigma, 1024 equally spaced values are drawn from.
    The levels are those of OpenCV but for two at most, and within 2 of the exact Gaussian's
    on photos.
    """

    sigma: Annotated[Interval, interval(None, 0.0, 16.0)]
    """the standard deviation in pixels; 0 leaves the image"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"sigma": Real(self.sigma, _stepped, _step=(_step, np.int32))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (kinds.Blur(weights=take(_weights(*self.sigma), draw["_step"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.sigma[1] > 1:
            yield Hazard("blur", f"limit {self.name} to sigma [0, 0.5]", limit={"sigma": [0, 0.5]})


_STEPS = 1024


def _step(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.floor(u * _STEPS)


def _stepped(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """The middle of the step that a quantile lies in."""
    return uniform_between((np.minimum(_step(u, low, high), _STEPS - 1) + 0.5) / _STEPS, low, high)


@functools.lru_cache(maxsize=32)
def _weights(low: float, high: float) -> np.ndarray:
    """int32 [1024, taps]."""
    sigmas = uniform_between((np.arange(_STEPS) + 0.5) / _STEPS, low, high)
    return np.stack([weights.gaussian(sigma, weights.reach_of(high)) for sigma in sigmas])


class Noise(Op):
    """Adds Gaussian noise, another deviate for every pixel and channel.

    Deviates are whole levels, one of 4096 quantiles of the distribution, which end at 3.7
    standard deviations. A sub-key (recorded as `key_high` and `key_low`) chooses them: of it each
    row has a stream of 16-bit numbers, of which the upper 12 bits count (docs/reproducibility.md).
    """

    sigma: Annotated[Interval, interval(None, 0.0, 1.0)]
    """the standard deviation as a fraction of the range of levels"""
    monochrome: bool = False
    """whether the channels of a pixel share their deviate, so that colors stay"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"sigma": Real(self.sigma, _sigma=(_fixed_levels, np.int32)), **KEY}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        key = stack([draw["key_high"], draw["key_low"]])
        return (kinds.Noise(key=key, table=_deviates(draw["_sigma"]), monochrome=self.monochrome),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.sigma[1] > 0.04:
            yield Hazard("noise", f"limit {self.name} to sigma [0, 0.02]", limit={"sigma": [0, 0.02]})


_SIGMA_BITS, _NORMAL_BITS = 8, 12  # with 255 levels and 3.7 deviations below 2**31


def _fixed_levels(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 255 * uniform_between(u, low, high) * (1 << _SIGMA_BITS)


def _deviates(sigma: Array) -> Array:
    """int16 [..., 4096]: quantiles of the normal distribution in levels, for sigma in 256ths of one."""
    bits = _SIGMA_BITS + _NORMAL_BITS
    product = sigma[..., np.newaxis] * _normal()
    return cast(shift_right(product + (1 << (bits - 1)), bits), np.int16)


@functools.cache
def _normal() -> np.ndarray:
    """int32 [4096], in 4096ths."""
    normal = NormalDist()
    return np.array(
        [round(normal.inv_cdf((i + 0.5) / 4096) * (1 << _NORMAL_BITS)) for i in range(4096)], np.int32
    )


class JpegQuality(Op):
    """Makes a JPEG of the image and reads it again, as tf.image.adjust_jpeg_quality.

    With color at half the resolution, and the accurate transform (`dct_method`
    INTEGER_ACCURATE). Encoding runs on a CPU, one image at a time, and XLA cannot
    compile it.
    """

    quality: Annotated[WholeInterval, whole_interval(1, 100)]
    """the quality of the encoder; every whole number within is equally likely"""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Jpeg(quality=draw["quality"]),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.quality[0] < 30:
            yield Hazard("blur", f"limit {self.name} to quality [50, 100]")
