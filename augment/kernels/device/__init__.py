"""Kernels in TensorFlow: eager, in a graph, in tf.data, compiled by XLA; one image or a batch.

Each function computes its namesake in `formulas.py` to the bit. Within, there are batches
only, [B, H, W, C]; what a kernel holds for each image is [B, ...], or [1, ...] where it is
alike for all. No op is stateful.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from augment.errors import OpError
from augment.kernels import kinds
from augment.kernels.device import color, filters, grain, index, jpeg, levels, resize, warp
from augment.kernels.device.arrays import by_pixel, half_to_even, int32, lifted, size_of
from augment.kernels.device.loops import in_turn, runs

__all__ = ["apply", "compiles", "size_of"]


def apply(kernels: kinds.Kernels, image: tf.Tensor) -> tf.Tensor:
    """Runs kernels in order on uint8 [H, W, C] or [B, H, W, C]."""
    if image.shape.rank == 3:
        return _apply(kernels, image[tf.newaxis])[0]
    return _apply(kernels, image)


def compiles(kernels: kinds.Kernels) -> bool:
    """Whether XLA has all that these kernels of a batch take."""
    return kinds.has_device(kernels) and not any(
        isinstance(kernel, kinds.Jpeg)
        or (isinstance(kernel, kinds.Resize) and kernel.box is not None and _widens(kernel))
        for kernel in kinds.every(kernels)
    )


def _widens(kernel: kinds.Resize) -> bool:
    """Whether the number of taps depends on the length of the side."""
    return kernel.method == "area" or (kernel.antialias and kernel.method != "nearest")


def _apply(kernels: kinds.Kernels, images: tf.Tensor) -> tf.Tensor:
    for run in runs(kernels):
        images = in_turn(run, _computed, images)
    return images


def _computed(kernel: kinds.Kernel, images: tf.Tensor) -> tf.Tensor:
    return _KERNELS.get(type(kernel), _custom)(lifted(kernel), images)


def _custom(kernel: Any, images: tf.Tensor) -> tf.Tensor:
    try:
        out = kernel.on_device(images)
    except Exception as error:
        raise OpError(f"kernel {type(kernel).__name__}: {type(error).__name__}: {error}") from error
    if not tf.is_tensor(out) or out.dtype != tf.uint8 or not out.shape.is_compatible_with(images.shape):
        raise OpError(kinds.not_kept(kernel, images, out))
    return tf.ensure_shape(out, images.shape)


def _choose(k: kinds.Choose, images: tf.Tensor) -> tf.Tensor:
    index = int32(k.index)
    if images.shape[0] == 1:
        branches = [functools.partial(_apply, branch, images) for branch in k.branches]
        return tf.ensure_shape(tf.switch_case(index[0], branches), images.shape)
    out = images
    for number, branch in enumerate(k.branches):
        if branch:
            out = tf.where(by_pixel(index == number), _apply(branch, images), out)
    return out


def _blend(k: kinds.Blend, images: tf.Tensor) -> tf.Tensor:
    def add(share: kinds.Blend, total: tf.Tensor) -> tf.Tensor:
        return total + by_pixel(int32(share.weights[:, 0])) * int32(_apply(share.branches[0], images))

    shares = [
        kinds.Blend(weights=k.weights[:, number : number + 1], branches=(branch,))
        for number, branch in enumerate(k.branches)
    ]
    total = tf.zeros_like(images, tf.int32)
    for run in runs(shares):
        total = in_turn(run, add, total)
    return tf.cast(half_to_even(total, 16), tf.uint8)


_KERNELS: dict[type[kinds.Kernel], Callable[[Any, tf.Tensor], tf.Tensor]] = {
    kinds.Window: index.window,
    kinds.Orient: index.orient,
    kinds.Channels: index.channels,
    kinds.Warp: warp.warp,
    kinds.Resize: resize.resize,
    kinds.Levels: levels.levels,
    kinds.Adapt: levels.adapt,
    kinds.Gray: color.gray,
    kinds.Hue: color.hue,
    kinds.Saturation: color.saturation,
    kinds.Enhance: filters.enhance,
    kinds.Blur: filters.blur,
    kinds.Noise: grain.noise,
    kinds.Fill: grain.fill,
    kinds.Jpeg: jpeg.jpeg,
    kinds.Choose: _choose,
    kinds.Blend: _blend,
}
