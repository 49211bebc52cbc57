"""Kernels in TensorFlow: eager, in a graph, in tf.data, compiled by XLA; one image or a batch.

Each function computes its namesake in `formulas.py` to the bit. Within, there are batches
only, [B, H, W, C]; what a kernel holds for each image is [B, ...], or [1, ...] where it is
alike for all. No op is stateful.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from augment.errors import OpError
from augment.kernels import kinds, maps, tables, weights
from augment.kernels.loops import in_turn, runs
from augment.kernels.streams import grain8, grain16


def apply(kernels: kinds.Kernels, image: tf.Tensor) -> tf.Tensor:
    """Runs kernels in order on uint8 [H, W, C] or [B, H, W, C]."""
    if image.shape.rank == 3:
        return _apply(kernels, image[tf.newaxis])[0]
    return _apply(kernels, image)


def size_of(image: tf.Tensor) -> tuple[Any, Any]:
    """Height and width of [..., H, W, C], as numbers where they are known when the graph is made."""
    shape = tf.shape(image)
    height, width = (image.shape[axis] or shape[axis] for axis in (-3, -2))
    return height, width


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
    return _KERNELS.get(type(kernel), _custom)(_lifted(kernel), images)


def _custom(kernel: Any, images: tf.Tensor) -> tf.Tensor:
    try:
        out = kernel.on_device(images)
    except Exception as error:
        raise OpError(f"kernel {type(kernel).__name__}: {type(error).__name__}: {error}") from error
    if not tf.is_tensor(out) or out.dtype != tf.uint8 or not out.shape.is_compatible_with(images.shape):
        raise OpError(kinds.not_kept(kernel, images, out))
    return tf.ensure_shape(out, images.shape)


def _lifted(kernel: Any) -> Any:
    """The same with an axis for images in front of every array that lacks it."""
    lifted = {}
    for name, rank in kinds.arrays_of(kernel).items():
        value = getattr(kernel, name)
        if value is not None:
            lifted[name] = value[np.newaxis] if len(np.shape(value)) == rank else value
    return dataclasses.replace(kernel, **lifted)


def _int32(x: Any) -> tf.Tensor:
    return tf.cast(x, tf.int32)


def _picked(images: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
    """Of each image the entries int32 [B or 1, n] along an axis."""
    if index.shape[0] == 1:
        return tf.gather(images, index[0], axis=axis)
    return tf.gather(images, index, axis=axis, batch_dims=1)


def _entries(tables: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Of each table [B or 1, n] the entries int32 [B, ...]."""
    index = _int32(index)
    if tables.shape[0] == 1:
        return tf.gather(tables[0], index)
    number = tf.range(tf.shape(tables)[0]) * tf.shape(tables)[1]
    first = tf.reshape(number, [-1, *[1] * (index.shape.rank - 1)])
    return tf.gather(tf.reshape(tables, [-1]), first + index)


def _by_pixel(x: Any) -> tf.Tensor:
    """[B or 1] to [B or 1, 1, 1, 1]."""
    return tf.convert_to_tensor(x)[:, tf.newaxis, tf.newaxis, tf.newaxis]


def _shift(x: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(x, tf.constant(bits, x.dtype))


def _window(k: kinds.Window, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    rows = _int32(k.top)[:, tf.newaxis] + tf.range(k.height)
    columns = _int32(k.left)[:, tf.newaxis] + tf.range(k.width)
    out = _picked(images, maps.folded(rows, height, k.border), 1)
    out = _picked(out, maps.folded(columns, width, k.border), 2)
    if k.border != "constant":
        return out
    inside = ((rows >= 0) & (rows < height))[:, :, tf.newaxis]
    inside &= ((columns >= 0) & (columns < width))[:, tf.newaxis]
    return tf.where(inside[..., tf.newaxis], out, tf.constant(k.fill, tf.uint8))


def _orient(k: kinds.Orient, images: tf.Tensor) -> tf.Tensor:
    transposed = tf.get_static_value(k.transposed)
    if transposed is None:
        images = tf.where(_by_pixel(k.transposed), tf.transpose(images, [0, 2, 1, 3]), images)
    elif transposed.all():
        images = tf.transpose(images, [0, 2, 1, 3])
    elif transposed.any():
        images = tf.where(_by_pixel(transposed), tf.transpose(images, [0, 2, 1, 3]), images)
    for axis, reversed_ in ((1, k.rows), (2, k.columns)):
        constant = tf.get_static_value(reversed_)
        if constant is None or constant.any():
            images = tf.where(_by_pixel(reversed_), tf.reverse(images, [axis]), images)
    return images


def _channels(k: kinds.Channels, images: tf.Tensor) -> tf.Tensor:
    return images if images.shape[-1] == 1 else _picked(images, _int32(k.order), 3)


def _warp(k: kinds.Warp, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    whole = k.interpolation == "nearest"
    map_ = _lifted(k.map)
    map_ = dataclasses.replace(
        map_, **{name: tf.convert_to_tensor(getattr(map_, name)) for name in kinds.arrays_of(map_)}
    )
    rows, columns = maps.places(map_, (height, width), whole=whole)
    pixels = tf.reshape(images, [-1, height * width, images.shape[-1]])

    def levels(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        place = maps.folded(row, height, k.border) * width + maps.folded(column, width, k.border)
        if place.shape[0] == 1:
            found = tf.gather(pixels, place[0], axis=1)
        else:
            found = tf.gather(pixels, place, axis=1, batch_dims=1)
        if k.border != "constant":
            return found
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return tf.where(inside[..., tf.newaxis], found, tf.constant(k.fill, tf.uint8))

    if whole:
        return levels(rows, columns)
    v, u = rows & 31, columns & 31
    y, x = _shift(rows, 5), _shift(columns, 5)
    total: Any = 512
    for down, weigh_down in ((0, 32 - v), (1, v)):
        for right, weigh_right in ((0, 32 - u), (1, u)):
            weight = (weigh_down * weigh_right)[..., tf.newaxis]
            total += weight * _int32(levels(y + down, x + right))
    return tf.cast(_shift(total, 10), tf.uint8)


def _resize(k: kinds.Resize, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    top = left = tf.zeros([1], tf.int32)
    lengths = [tf.reshape(_int32(side), [1]) for side in (height, width)]
    if k.box is not None:
        top, left, *lengths = tf.unstack(_int32(k.box), axis=1)
    antialias = k.antialias or k.method == "area"
    down = _taps(lengths[0], height, _Table(k.height, k.method, antialias, rows=True))
    across = _taps(lengths[1], width, _Table(k.width, k.method, antialias, rows=False))
    if k.method == "nearest":
        out = _picked(images, top[:, tf.newaxis] + down.index[..., 0], 1)
        return _picked(out, left[:, tf.newaxis] + across.index[..., 0], 2)
    if k.method == "bilinear" and not k.antialias:
        parts = _shift(sum(_tapped(images, across, left, 2)), 4)
        total: Any = 2
        for part in _tapped(parts, down, top, 1):
            total += _shift(part, 16)
        return tf.cast(_shift(total, 2), tf.uint8)
    for axis, taps, start in ((2, across, left), (1, down, top)):
        total = sum(_tapped(images, taps, start, axis), 1 << (weights.FILTER_BITS - 1))
        images = tf.cast(tf.clip_by_value(_shift(total, weights.FILTER_BITS), 0, 255), tf.uint8)
    return images


@dataclasses.dataclass(frozen=True)
class _Table:
    """What makes the taps along an axis of given length."""

    count: Any
    """how many pixels come of it: a number, or a tensor"""
    method: str
    antialias: bool
    rows: bool

    @property
    def taps(self) -> int | None:
        """How many pixels count for one, where that depends on no length."""
        if self.method == "nearest":
            return 1
        return 2 if self.method == "bilinear" and not self.antialias else None

    def of(self, length: int) -> weights.Taps:
        if self.method == "nearest":
            index = weights.nearest(length, self.count)[:, np.newaxis]
            return weights.Taps(index, np.ones_like(index))
        if self.method == "bilinear" and not self.antialias:
            return weights.linear(length, self.count, rows=self.rows)
        return weights.filtered(length, self.count, self.method, self.antialias)

    def stacked(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int32 [lengths, count, taps] both, with as many taps as the most has."""
        taps = [self.of(int(length)) for length in lengths]
        most = max(t.index.shape[1] for t in taps)
        padded = [
            np.stack([np.pad(v, ((0, 0), (0, most - v.shape[1]))) for v in each])
            for each in ([t.index for t in taps], [t.weight for t in taps])
        ]
        return padded[0].astype(np.int32), padded[1].astype(np.int32)


_LARGEST_TABLE = 1 << 23
"""Numbers that a graph may hold for all lengths that an axis can have."""


def _taps(lengths: tf.Tensor, longest: Any, table: _Table) -> weights.Taps:
    """int32 [B or 1, count, taps], for lengths int32 [B or 1] of which `longest` is the most possible."""
    known, fixed = tf.get_static_value(lengths), isinstance(table.count, int)
    if fixed and known is not None:
        return weights.Taps(*map(tf.constant, table.stacked(known)))
    if fixed and isinstance(longest, int) and longest * table.of(longest).index.size <= _LARGEST_TABLE:
        index, weight = _all_lengths(longest, table)
        return weights.Taps(tf.gather(index, lengths - 1), tf.gather(weight, lengths - 1))

    def made(lengths: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return dataclasses.replace(table, count=int(count)).stacked(lengths)

    taps = tf.numpy_function(made, [lengths, table.count], [tf.int32, tf.int32], stateful=False)
    shape = [lengths.shape[0], table.count if fixed else None, table.taps]
    return weights.Taps(*(tf.ensure_shape(v, shape) for v in taps))


@functools.lru_cache(maxsize=16)
def _all_lengths(longest: int, table: _Table) -> tuple[np.ndarray, np.ndarray]:
    return table.stacked(np.arange(1, longest + 1))


def _tapped(images: tf.Tensor, taps: weights.Taps, start: tf.Tensor, axis: int) -> list[tf.Tensor]:
    """int32: for each tap, the weighted levels along an axis."""
    shape: list[Any] = [-1, 1, 1, 1]
    shape[axis] = taps.index.shape[1] or tf.shape(taps.index)[1]
    index = start[:, tf.newaxis, tf.newaxis] + taps.index
    count = taps.index.shape[2]
    if count is None:  # only known when it runs
        return [_tapped_in_turn(images, index, taps.weight, shape, axis)]
    return [
        tf.reshape(taps.weight[..., tap], shape) * _int32(_picked(images, index[..., tap], axis))
        for tap in range(count)
    ]


def _tapped_in_turn(
    images: tf.Tensor, index: tf.Tensor, weight: tf.Tensor, shape: list[Any], axis: int
) -> tf.Tensor:
    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        levels = _int32(_picked(images, index[..., tap], axis))
        return tap + 1, total + tf.reshape(weight[..., tap], shape) * levels

    first = add(tf.constant(0), tf.constant(0))
    count = tf.shape(index)[-1]
    return tf.while_loop(lambda tap, _: tap < count, add, first, maximum_iterations=count)[1]


def _levels(k: kinds.Levels, images: tf.Tensor) -> tf.Tensor:
    tables = tf.convert_to_tensor(k.table)
    if tables.shape[1] == 1:
        return _entries(tables[:, 0], images)
    channels = images.shape[-1]
    flat = tf.reshape(tables, [-1, 256 * channels])
    return _entries(flat, _int32(images) + 256 * tf.range(channels))


def _adapt(k: kinds.Adapt, images: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.reduce_prod(tf.cast(tf.shape(images)[1:3], tf.int64)), tf.int64)
    if k.rule.statistic == "sums":
        statistic = _sum(_int32(images))
    elif k.rule.statistic == "gray":
        statistic = _sum(_luma(images))[..., 0]
    elif k.rule.statistic == "ends":
        ends = [reduce(images, axis=[1, 2]) for reduce in (tf.reduce_min, tf.reduce_max)]
        statistic = tf.cast(tf.stack(ends, axis=-1), tf.int64)
    else:
        statistic = _histogram(images)
    factor = None if k.factor is None else tf.cast(tf.convert_to_tensor(k.factor), tf.int64)
    return _levels(kinds.Levels(table=k.rule.table(statistic, count, factor)), images)


def _sum(levels: tf.Tensor) -> tf.Tensor:
    """int64 [B, C]: of int32 [B, H, W, C]; a row of levels adds up to less than 2**31."""
    return tf.reduce_sum(tf.cast(tf.reduce_sum(levels, axis=2), tf.int64), axis=1)


def _histogram(images: tf.Tensor) -> tf.Tensor:
    """int64 [B, C, 256]."""
    channels = images.shape[-1]
    count = tf.shape(images)[0] * channels
    first = 256 * tf.reshape(tf.range(count), [-1, 1, 1, channels])
    place = tf.reshape(first + _int32(images), [-1])
    counts = tf.math.unsorted_segment_sum(tf.ones_like(place), place, 256 * count)
    return tf.cast(tf.reshape(counts, [-1, channels, 256]), tf.int64)


def _luma(images: tf.Tensor) -> tf.Tensor:
    """int32 [B, H, W, 1]."""
    if images.shape[-1] == 1:
        return _int32(images)
    red, green, blue = tf.split(_int32(images), 3, axis=-1)
    return _shift(19595 * red + 38470 * green + 7471 * blue + (1 << 15), 16)


def _gray(k: kinds.Gray, images: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.cast(_luma(images), tf.uint8), images.shape[-1], axis=-1)


def _hue(k: kinds.Hue, images: tf.Tensor) -> tf.Tensor:
    if images.shape[-1] == 1:
        return images
    r, g, b = tf.unstack(_int32(images), axis=-1)
    value = tf.maximum(tf.maximum(r, g), b)
    c = value - tf.minimum(tf.minimum(r, g), b)
    place = tf.where(value == r, g - b, tf.where(value == g, 2 * c + b - r, 4 * c + r - g))
    place += _shift(_by_pixel(_int32(k.sixths))[..., 0] * c + (1 << 15), 16)
    place = tf.where(place < 0, place + 6 * c, tf.where(place >= 6 * c, place - 6 * c, place))
    hats = tf.abs(place - 3 * c) - c, 2 * c - tf.abs(place - 2 * c), 2 * c - tf.abs(place - 4 * c)
    planes = [value - c + tf.minimum(tf.maximum(hat, 0), c) for hat in hats]
    return tf.cast(tf.stack(planes, axis=-1), tf.uint8)


def _saturation(k: kinds.Saturation, images: tf.Tensor) -> tf.Tensor:
    if images.shape[-1] == 1:
        return images
    level = _int32(images)
    value = tf.reduce_max(level, axis=-1, keepdims=True)
    c = value - tf.reduce_min(level, axis=-1, keepdims=True)
    distance = value - level
    most = (2 * distance * value + c) // tf.maximum(2 * c, 1)
    scaled = _int32(_entries(tf.convert_to_tensor(k.distances), distance))
    return tf.cast(value - tf.minimum(scaled, most), tf.uint8)


def _enhance(k: kinds.Enhance, images: tf.Tensor) -> tf.Tensor:
    level = _int32(images)
    base = _luma(images) if k.base == "gray" else _smooth(level)
    # Products from a table, so that no compiler rounds a product and a sum at once.
    factor = tf.cast(tf.convert_to_tensor(k.factor), tf.int64)[:, tf.newaxis]
    products = tf.cast(factor * np.arange(-255, 256), tf.float32) / (1 << tables.FACTOR_BITS)
    moved = tf.cast(base, tf.float32) + _entries(products, level - base + 255)
    return tf.cast(tf.clip_by_value(moved, 0, 255), tf.uint8)


def _smooth(level: tf.Tensor) -> tf.Tensor:
    """int32 like the levels."""
    padded = tf.pad(level, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * level
    height, width = size_of(level)
    row, column = tf.range(height)[:, tf.newaxis, tf.newaxis], tf.range(width)[:, tf.newaxis]
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    return tf.where(inside, (2 * total + 13) // 26, level)


def _blur(k: kinds.Blur, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    count = k.weights.shape[-1]
    weight = _by_pixel(_int32(k.weights))
    total = _int32(images)
    for axis, side in ((2, width), (1, height)):
        along = tf.range(side)
        total = sum(
            weight[..., tap]
            * tf.gather(total, maps.folded(along + (tap - count // 2), side, "edge"), axis=axis)
            for tap in range(count)
        )
    return tf.cast(_half_to_even(total, 16), tf.uint8)


def _noise(k: kinds.Noise, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    channels = 1 if k.monochrome else images.shape[-1]
    place = _shift(grain16(tf.convert_to_tensor(k.key), height, width * channels), 4)
    deviates = _int32(_entries(tf.convert_to_tensor(k.table), place))
    deviates = tf.reshape(deviates, [-1, height, width, channels])
    return tf.cast(tf.clip_by_value(_int32(images) + deviates, 0, 255), tf.uint8)


def _fill(k: kinds.Fill, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    row, column = tf.range(height)[:, tf.newaxis], tf.range(width)
    inside = tf.zeros([1, 1, 1], tf.bool)
    boxes = _int32(k.boxes)[:, :, tf.newaxis, tf.newaxis]
    for hole in range(boxes.shape[1]):
        top, left, bottom, right = tf.unstack(boxes[:, hole], axis=-1)
        inside |= (top <= row) & (row < bottom) & (left <= column) & (column < right)
    cover = tf.constant(k.level, tf.uint8)
    if k.key is not None:
        channels = images.shape[-1]
        stream = grain8(tf.convert_to_tensor(k.key), height, width * channels)
        cover = tf.cast(tf.reshape(stream, [-1, height, width, channels]), tf.uint8)
    return tf.where(inside[..., tf.newaxis], cover, images)


def _jpeg(k: kinds.Jpeg, images: tf.Tensor) -> tf.Tensor:
    def one(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, quality = given
        contents = tf.raw_ops.EncodeJpegVariableQuality(images=image, quality=quality)
        decoded = tf.io.decode_jpeg(contents, channels=image.shape[-1], dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(decoded, image.shape)

    quality = tf.broadcast_to(_int32(k.quality), tf.shape(images)[:1])
    if images.shape[0] == 1:
        return one((images[0], quality[0]))[tf.newaxis]
    return tf.map_fn(one, (images, quality), fn_output_signature=tf.TensorSpec(images.shape[1:], tf.uint8))


def _choose(k: kinds.Choose, images: tf.Tensor) -> tf.Tensor:
    index = _int32(k.index)
    if images.shape[0] == 1:
        branches = [functools.partial(_apply, branch, images) for branch in k.branches]
        return tf.ensure_shape(tf.switch_case(index[0], branches), images.shape)
    out = images
    for number, branch in enumerate(k.branches):
        if branch:
            out = tf.where(_by_pixel(index == number), _apply(branch, images), out)
    return out


def _blend(k: kinds.Blend, images: tf.Tensor) -> tf.Tensor:
    def add(share: kinds.Blend, total: tf.Tensor) -> tf.Tensor:
        return total + _by_pixel(_int32(share.weights[:, 0])) * _int32(_apply(share.branches[0], images))

    shares = [
        kinds.Blend(weights=k.weights[:, number : number + 1], branches=(branch,))
        for number, branch in enumerate(k.branches)
    ]
    total = tf.zeros_like(images, tf.int32)
    for run in runs(shares):
        total = in_turn(run, add, total)
    return tf.cast(_half_to_even(total, 16), tf.uint8)


def _half_to_even(x: tf.Tensor, bits: int) -> tf.Tensor:
    return _shift(x + ((1 << (bits - 1)) - 1) + (_shift(x, bits) & 1), bits)


_KERNELS: dict[type[kinds.Kernel], Callable[[Any, tf.Tensor], tf.Tensor]] = {
    kinds.Window: _window,
    kinds.Orient: _orient,
    kinds.Channels: _channels,
    kinds.Warp: _warp,
    kinds.Resize: _resize,
    kinds.Levels: _levels,
    kinds.Adapt: _adapt,
    kinds.Gray: _gray,
    kinds.Hue: _hue,
    kinds.Saturation: _saturation,
    kinds.Enhance: _enhance,
    kinds.Blur: _blur,
    kinds.Noise: _noise,
    kinds.Fill: _fill,
    kinds.Jpeg: _jpeg,
    kinds.Choose: _choose,
    kinds.Blend: _blend,
}
