"""Ops on levels: brightness, contrast, saturation, hue, gamma, grayscale, invert.

They compute in float32 (or integers), clip, and round half to even. tf.image is
the reference; its own functions are not called because they take one parameter
for a whole batch, and because some sum in an order that depends on the shape.

Graphs may reorder a chain of float additions, and divide by a constant by
multiplying with its reciprocal. Nothing here gives them occasion to, so that
eager execution, a graph and tf.data agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from augment.arrays import tf
from augment.draws import Draw, uniform_between
from augment.labels.hazards import Hazard, recolored
from augment.ops.base import Op, Size, as_float, as_uint8, per_image
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Interval, interval


class Brightness(Op):
    """Adds a drawn offset to all levels, as tf.image.adjust_brightness."""

    delta: Annotated[Interval, interval(0.0, -1.0, 1.0)]
    """the offset as a fraction of the range of levels"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"delta": Real(self.delta, _levels=(_levels, np.float32))}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return as_uint8(as_float(image) + per_image(draw["_levels"]))

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if max(map(abs, self.delta)) >= 0.4:
            yield Hazard("exposure", f"limit {self.name} to delta 0.2")


def _levels(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 255 * uniform_between(u, low, high)


class Contrast(Op):
    """Scales the distance of each level from its channel's mean, as tf.image.adjust_contrast."""

    factor: Annotated[Interval, interval(1.0, 0.0, 10.0)]
    """the factor; 0 leaves the mean alone, 1 the image"""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        shape = tf.shape(image)
        height, width = shape[-3], shape[-2]
        # Levels in rows of width times 3: what differs by channel alone is slow to broadcast.
        rows = tf.reshape(image, tf.concat([shape[:-2], [3 * width]], 0))
        levels = as_float(rows)
        # Sums of integers, for a rounded sum depends on the order, and with it on the shape.
        # Floats add up to 2**24 exactly, and faster.
        exact = (image.shape[-3] or 1 << 24) * 255 <= 1 << 24
        columns = tf.reduce_sum(levels if exact else tf.cast(rows, tf.int32), axis=-2)
        by_channel = tf.reshape(columns, tf.concat([shape[:-3], [width, 3]], 0))
        total = tf.reduce_sum(tf.cast(by_channel, tf.int64), axis=-2, keepdims=True)
        each = 1.0 / tf.cast(tf.cast(height, tf.int64) * tf.cast(width, tf.int64), tf.float64)
        mean = tf.cast(tf.cast(total, tf.float64) * each, tf.float32)
        tiles = tf.concat([tf.ones_like(shape[:-2]), [width]], 0)
        factor = per_image(draw["factor"])[..., 0]
        offset = tf.tile(mean - mean * factor, tiles)  # one pass less than (levels - mean) * factor + mean
        changed = levels * factor + offset
        return tf.ensure_shape(tf.reshape(as_uint8(changed), shape), image.shape)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.factor[0] < 0.2:
            yield Hazard("gray", f"limit {self.name} to factor [0.5, 1.5]")


class Saturation(Op):
    """Scales the saturation in HSV, as tf.image.adjust_saturation.

    With value v, least channel m and saturation s = (v - m) / v, scaling s by f
    (to at most 1) moves each channel x to v - (v - x) min(f, 1 / s).
    """

    factor: Annotated[Interval, interval(None, 0.0, 10.0)]
    """the factor; 0 leaves gray, 1 the image"""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        planes, value, chroma = _planes(image)
        factor = tf.minimum(per_image(draw["factor"])[..., 0], tf.math.divide_no_nan(value, chroma))
        return tf.stack([as_uint8(value - (value - plane) * factor) for plane in planes], axis=-1)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.factor[0] < 0.25:
            yield Hazard("gray", f"limit {self.name} to factor [0.5, 1.5]")


def _planes(image: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """The channels of uint8 [..., 3] as float32 [...], their value in HSV, and their chroma."""
    red, green, blue = tf.unstack(as_float(image), axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    return [red, green, blue], value, value - tf.minimum(tf.minimum(red, green), blue)


class Hue(Op):
    """Turns the hue in HSV, as tf.image.adjust_hue."""

    delta: Annotated[Interval, interval(None, -0.5, 0.5)]
    """the turn as a fraction of the color circle"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"delta": Real(self.delta, _sixths=(in_sixths, np.float32))}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return hue_turned(image, draw["_sixths"])

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        for change in recolored(*self.delta):
            yield Hazard(change, f"limit {self.name} to delta [-0.02, 0.02]")


def hue_turned(image: tf.Tensor, sixths: tf.Tensor) -> tf.Tensor:
    """Turns the hue of uint8 [..., H, W, 3] by sixths of the color circle, float32 [...]."""
    (red, green, blue), value, chroma = _planes(image)
    is_red, is_green = value == red, value == green
    beyond = tf.where(is_red, green - blue, tf.where(is_green, blue - red, red - green))
    beyond = tf.math.divide_no_nan(beyond, chroma)
    hue = tf.where(is_red, beyond, tf.where(is_green, 2.0 + beyond, 4.0 + beyond))
    hue += per_image(sixths)[..., 0]
    hue -= 6.0 * tf.floor(hue * (1 / 6))
    # Each channel is full within one sixth of its own hue, and gone two sixths away.
    weights = (tf.abs(hue - 3.0) - 1.0, 2.0 - tf.abs(hue - 2.0), 2.0 - tf.abs(hue - 4.0))
    least = value - chroma
    planes = [as_uint8(least + chroma * tf.clip_by_value(w, 0.0, 1.0)) for w in weights]
    return tf.stack(planes, axis=-1)


def in_sixths(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 6 * uniform_between(u, low, high)


class Gamma(Op):
    """Raises levels in [0, 1] to a power, as tf.image.adjust_gamma."""

    gamma: Annotated[Interval, interval(None, 0.0, 10.0, open_low=True)]
    """the exponent; below 1 brightens, above 1 darkens"""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        # 256 powers in float64, then a look-up: `pow` may differ in its last bit
        # between devices, and in float64 that is too little to change a level.
        exponent = tf.cast(tf.convert_to_tensor(draw["gamma"]), tf.float64)[..., tf.newaxis]
        levels = tf.pow(tf.range(256, dtype=tf.float64) / 255.0, exponent) * 255.0
        lookup = tf.cast(tf.round(levels), tf.uint8)
        return tf.gather(lookup, tf.cast(image, tf.int32), axis=-1, batch_dims=image.shape.rank - 3)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        low, high = self.gamma
        if low < 0.4 or high > 2.5:
            yield Hazard("exposure", f"limit {self.name} to gamma [0.7, 1.4]")


class Grayscale(Op):
    """Removes color and keeps three channels, with the weights of tf.image.rgb_to_grayscale."""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        # ITU-R BT.601 in ten-thousandths: integers below 2**24, whose sums are exact in any order.
        (red, green, blue), _, _ = _planes(image)
        gray = as_uint8((2989.0 * red + 5870.0 * green + 1140.0 * blue) * 1e-4)
        return tf.stack([gray, gray, gray], axis=-1)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield Hazard("gray", f"leave {self.name} out")


class Invert(Op):
    """Turns each level x into 255 - x."""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return tf.constant(255, tf.uint8) - image

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield Hazard("negative", f"leave {self.name} out")
