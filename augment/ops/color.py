"""Ops on levels: brightness, contrast, saturation, hue, gamma, grayscale, invert.

They compute in float32 (or integers), clip, and round half to even. tf.image is
the reference; its own functions are not called because they take one parameter
for a whole batch, and because some sum in an order that depends on the shape.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from augment.arrays import take, tf
from augment.draws import Uniforms, table, uniform_between
from augment.ops.base import Draw, Interval, Op, Size, as_float, as_uint8, interval, per_image


class Brightness(Op):
    """Adds a drawn offset to all levels, as tf.image.adjust_brightness."""

    delta: Annotated[Interval, interval(0.0, -1.0, 1.0)]
    """the offset as a fraction of the range of levels"""

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        return {
            "delta": u.real(0, *self.delta),
            "_levels": take(table(_levels, np.float32, *self.delta), u.index(0)),
        }

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return as_uint8(as_float(image) + per_image(draw["_levels"]))


def _levels(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 255 * uniform_between(u, low, high)


class Contrast(Op):
    """Scales the distance of each level from its channel's mean, as tf.image.adjust_contrast."""

    factor: Annotated[Interval, interval(1.0, 0.0, 10.0)]
    """the factor; 0 leaves the mean alone, 1 the image"""

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        return {"factor": u.real(0, *self.factor)}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        # Summed in integers: a float sum depends on the order, and with it on the shape.
        rows = tf.reduce_sum(tf.cast(image, tf.int32), axis=-2, keepdims=True)
        total = tf.reduce_sum(tf.cast(rows, tf.int64), axis=-3, keepdims=True)
        shape = tf.cast(tf.shape(image), tf.int64)
        count = tf.cast(shape[-3] * shape[-2], tf.float64)
        mean = tf.cast(tf.cast(total, tf.float64) / count, tf.float32)
        return as_uint8((as_float(image) - mean) * per_image(draw["factor"]) + mean)


class Saturation(Op):
    """Scales the saturation in HSV, as tf.image.adjust_saturation.

    With value v, least channel m and saturation s = (v - m) / v, scaling s by f
    (to at most 1) moves each channel x to v - (v - x) min(f, 1 / s).
    """

    factor: Annotated[Interval, interval(None, 0.0, 10.0)]
    """the factor; 0 leaves gray, 1 the image"""

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        return {"factor": u.real(0, *self.factor)}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        pixels = as_float(image)
        value = tf.reduce_max(pixels, axis=-1, keepdims=True)
        chroma = value - tf.reduce_min(pixels, axis=-1, keepdims=True)
        factor = tf.minimum(per_image(draw["factor"]), tf.math.divide_no_nan(value, chroma))
        return as_uint8(value - (value - pixels) * factor)


class Hue(Op):
    """Turns the hue in HSV, as tf.image.adjust_hue."""

    delta: Annotated[Interval, interval(None, -0.5, 0.5)]
    """the turn as a fraction of the color circle"""

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        return {
            "delta": u.real(0, *self.delta),
            "_sixths": take(table(_sixths, np.float32, *self.delta), u.index(0)),
        }

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        pixels = as_float(image)
        red, green, blue = pixels[..., 0:1], pixels[..., 1:2], pixels[..., 2:3]
        value = tf.reduce_max(pixels, axis=-1, keepdims=True)
        chroma = value - tf.reduce_min(pixels, axis=-1, keepdims=True)
        hue = tf.where(
            value == red,
            tf.math.divide_no_nan(green - blue, chroma),
            tf.where(
                value == green,
                2.0 + tf.math.divide_no_nan(blue - red, chroma),
                4.0 + tf.math.divide_no_nan(red - green, chroma),
            ),
        )
        # Channel n of HSV to RGB is v - c max(0, min(k, 4 - k, 1)), k = (n + hue) mod 6.
        offsets = tf.constant([5.0, 3.0, 1.0])
        k = tf.math.floormod(hue + per_image(draw["_sixths"]) + offsets, 6.0)
        return as_uint8(value - chroma * tf.clip_by_value(tf.minimum(k, 4.0 - k), 0.0, 1.0))


def _sixths(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 6 * uniform_between(u, low, high)


class Gamma(Op):
    """Raises levels in [0, 1] to a power, as tf.image.adjust_gamma."""

    gamma: Annotated[Interval, interval(None, 0.0, 10.0, open_low=True)]
    """the exponent; below 1 brightens, above 1 darkens"""

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        return {"gamma": u.real(0, *self.gamma)}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        # 256 powers in float64, then a look-up: `pow` may differ in its last bit
        # between devices, and in float64 that is too little to change a level.
        exponent = tf.cast(tf.convert_to_tensor(draw["gamma"]), tf.float64)[..., tf.newaxis]
        levels = tf.pow(tf.range(256, dtype=tf.float64) / 255.0, exponent) * 255.0
        lookup = tf.cast(tf.round(levels), tf.uint8)
        return tf.gather(lookup, tf.cast(image, tf.int32), axis=-1, batch_dims=image.shape.rank - 3)


class Grayscale(Op):
    """Removes color and keeps three channels, with the weights of tf.image.rgb_to_grayscale."""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        # ITU-R BT.601 in ten-thousandths: integers, so that no product order matters.
        weighted = tf.cast(image, tf.int32) * tf.constant([2989, 5870, 1140])
        gray = tf.reduce_sum(weighted, axis=-1, keepdims=True)
        return tf.repeat(as_uint8(as_float(gray) / 10000.0), 3, axis=-1)


class Invert(Op):
    """Turns each level x into 255 - x."""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return tf.constant(255, tf.uint8) - image
