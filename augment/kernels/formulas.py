"""What each kernel computes: the formulas, read plainly, in integers and without haste.

This is what host and device are held to, to the bit, and where to look up what an op means.
One image uint8 [H, W, C] goes in, and one comes out; `apply` runs kernels in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from augment.kernels import kinds, maps, tables, weights
from augment.kernels.streams import grain8, grain16


def apply(kernels: kinds.Kernels, image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C] to uint8 [H', W', C]. The formula of somebody's own kernel is what the host makes."""
    for kernel in kernels:
        if isinstance(kernel, kinds.Custom):
            image = kernel.on_host(image)
        else:
            image = FORMULAS[type(kernel)](kernel, image)
    return image


def window(k: kinds.Window, image: np.ndarray) -> np.ndarray:
    """out[y, x] = image[top + y, left + x], by the border where that lies outside."""
    rows = k.top + np.arange(k.height)[:, np.newaxis]
    columns = k.left + np.arange(k.width)
    return _at(image, rows, columns, k.border, k.fill).astype(np.uint8)


def _at(
    image: np.ndarray, rows: np.ndarray, columns: np.ndarray, border: maps.Border, fill: int
) -> np.ndarray:
    """int64 [..., C]: the levels at whole places, which may lie outside."""
    height, width, _ = image.shape
    levels = image[maps.folded(rows, height, border), maps.folded(columns, width, border)].astype(np.int64)
    if border == "constant":
        outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
        levels[np.broadcast_to(outside, levels.shape[:-1])] = fill
    return levels


def orient(k: kinds.Orient, image: np.ndarray) -> np.ndarray:
    if k.transposed:
        image = image.transpose(1, 0, 2)
    if k.rows:
        image = image[::-1]
    if k.columns:
        image = image[:, ::-1]
    return image.copy()


def channels(k: kinds.Channels, image: np.ndarray) -> np.ndarray:
    return image if image.shape[-1] == 1 else image[..., k.order]


def warp(k: kinds.Warp, image: np.ndarray) -> np.ndarray:
    """The pixel at the place, or (sum of weight * level + 512) >> 10 over the four around it.

    With the place in 32nds of a pixel, (y + v / 32, x + u / 32), they weigh (32 - v) (32 - u),
    (32 - v) u, v (32 - u) and v u: OpenCV's remap. The border stands in for each that lies outside.
    """
    size = image.shape[0], image.shape[1]
    rows, columns = maps.places(k.map, size, whole=k.interpolation == "nearest")
    if k.interpolation == "nearest":
        return _at(image, rows, columns, k.border, k.fill).astype(np.uint8)
    v, u = (rows & 31)[..., np.newaxis], (columns & 31)[..., np.newaxis]
    y, x = rows >> 5, columns >> 5
    total = np.zeros(image.shape, np.int64)
    for down, weigh_down in ((0, 32 - v), (1, v)):
        for right, weigh_right in ((0, 32 - u), (1, u)):
            total += weigh_down * weigh_right * _at(image, y + down, x + right, k.border, k.fill)
    return ((total + 512) >> 10).astype(np.uint8)


def resize(k: kinds.Resize, image: np.ndarray) -> np.ndarray:
    """Along the rows first, then along the columns, with weights of `weights.py`.

    nearest: the pixel. bilinear: OpenCV's INTER_LINEAR; a and b are weights in 2048ths, S the
    weighted sum of a row's levels, and the level is ((b0 (S0 >> 4) >> 16) + (b1 (S1 >> 4) >> 16)
    + 2) >> 2. All others, and whatever antialiases: Pillow's; after each of the two directions,
    (sum of weight * level + 2 ** 21) >> 22, clipped.
    """
    if k.box is not None:
        top, left, height, width = (int(v) for v in k.box)
        image = image[top : top + height, left : left + width]
    height, width, _ = image.shape
    if k.method == "nearest":
        rows, columns = weights.nearest(height, k.height), weights.nearest(width, k.width)
        return image[rows][:, columns]
    if k.method == "bilinear" and not k.antialias:
        across, down = weights.linear(width, k.width, rows=False), weights.linear(height, k.height, rows=True)
        sums = _weighted(image.swapaxes(0, 1), across).swapaxes(0, 1) >> 4
        parts = down.weight[..., np.newaxis, np.newaxis].astype(np.int64) * sums[down.index] >> 16
        return ((parts.sum(axis=1) + 2) >> 2).astype(np.uint8)
    antialias = k.antialias or k.method == "area"
    across = weights.filtered(width, k.width, k.method, antialias)
    image = _rounded(_weighted(image.swapaxes(0, 1), across).swapaxes(0, 1))
    return _rounded(_weighted(image, weights.filtered(height, k.height, k.method, antialias)))


def _weighted(image: np.ndarray, taps: weights.Taps) -> np.ndarray:
    """int64: the weighted sum along the first axis."""
    total = 0
    for tap in range(taps.index.shape[1]):
        weight = taps.weight[:, tap, np.newaxis, np.newaxis].astype(np.int64)
        total = total + weight * image[taps.index[:, tap]]
    return np.asarray(total)


def _rounded(total: np.ndarray) -> np.ndarray:
    bits = weights.FILTER_BITS
    return np.clip((total + (1 << (bits - 1))) >> bits, 0, 255).astype(np.uint8)


def levels(k: kinds.Levels, image: np.ndarray) -> np.ndarray:
    table = np.broadcast_to(k.table, (image.shape[-1], 256))
    return np.stack([table[c][image[..., c]] for c in range(image.shape[-1])], -1)


def adapt(k: kinds.Adapt, image: np.ndarray) -> np.ndarray:
    """`levels` by the table that the rule makes of the image's statistic."""
    count = np.int64(image.shape[0] * image.shape[1])
    if k.rule.statistic == "sums":
        statistic = image.sum(axis=(0, 1), dtype=np.int64)
    elif k.rule.statistic == "gray":
        statistic = luma(image).sum(dtype=np.int64)
    elif k.rule.statistic == "ends":
        statistic = np.stack([image.min(axis=(0, 1)), image.max(axis=(0, 1))], -1).astype(np.int64)
    else:
        statistic = np.stack([np.bincount(c, minlength=256) for c in image.reshape(-1, image.shape[-1]).T])
    return levels(kinds.Levels(table=k.rule.table(statistic, count, k.factor)), image)


def luma(image: np.ndarray) -> np.ndarray:
    """int64 [H, W]: Pillow's convert("L"), ITU-R BT.601 in 65536ths; one channel is its own luma."""
    if image.shape[-1] == 1:
        return image[..., 0].astype(np.int64)
    red, green, blue = np.moveaxis(image.astype(np.int64), -1, 0)
    return (19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16


def gray(k: kinds.Gray, image: np.ndarray) -> np.ndarray:
    return np.repeat(luma(image)[..., np.newaxis], image.shape[-1], -1).astype(np.uint8)


def hue(k: kinds.Hue, image: np.ndarray) -> np.ndarray:
    """HSV with hues in sixths of the circle times the chroma c, so that nothing is divided.

    A hue is g - b where red is highest, 2 c + b - r where green is, 4 c + r - g where blue is,
    plus the turn times c, rounded half up, modulo 6 c. Each channel is full within c of its own
    hue, gone from 2 c on.
    """
    if image.shape[-1] == 1:
        return image
    r, g, b = np.moveaxis(image.astype(np.int64), -1, 0)
    value = np.maximum(np.maximum(r, g), b)
    c = value - np.minimum(np.minimum(r, g), b)
    place = np.where(value == r, g - b, np.where(value == g, 2 * c + b - r, 4 * c + r - g))
    place = (place + ((int(k.sixths) * c + (1 << 15)) >> 16)) % np.maximum(6 * c, 1)
    red, green, blue = np.abs(place - 3 * c) - c, 2 * c - np.abs(place - 2 * c), 2 * c - np.abs(place - 4 * c)
    return np.stack([value - c + np.clip(w, 0, c) for w in (red, green, blue)], -1).astype(np.uint8)


def saturation(k: kinds.Saturation, image: np.ndarray) -> np.ndarray:
    """value - distance, of which the table makes another; but none so large that it passes gray's opposite.

    The distance d = value - level is scaled by at most value / c, which brings the lowest
    channel to 0: to (2 d value + c) // (2 c) at most.
    """
    if image.shape[-1] == 1:
        return image
    level = image.astype(np.int64)
    value = level.max(axis=-1, keepdims=True)
    c = value - level.min(axis=-1, keepdims=True)
    distance = value - level
    most = (2 * distance * value + c) // np.maximum(2 * c, 1)
    return (value - np.minimum(k.distances[distance], most)).astype(np.uint8)


def enhance(k: kinds.Enhance, image: np.ndarray) -> np.ndarray:
    """base + factor * (level - base), of which product and sum are rounded to float32; clipped, truncated."""
    level = image.astype(np.int64)
    base = luma(image)[..., np.newaxis] if k.base == "gray" else smooth(image)
    one = np.float32(1 << tables.FACTOR_BITS)
    moved = base.astype(np.float32) + (k.factor * (level - base)).astype(np.float32) / one
    return np.clip(moved, 0, 255).astype(np.uint8)


def smooth(image: np.ndarray) -> np.ndarray:
    """int64: Pillow's ImageFilter.SMOOTH, (2 t + 13) // 26 for the sum t of 3x3 levels, the middle one
    5 times; pixels at the border stay."""
    level = image.astype(np.int64)
    out = level.copy()
    height, width, _ = image.shape
    if height > 2 and width > 2:
        total = 4 * level[1:-1, 1:-1]
        for down in range(3):
            for right in range(3):
                total = total + level[down : height - 2 + down, right : width - 2 + right]
        out[1:-1, 1:-1] = (2 * total + 13) // 26
    return out


def blur(k: kinds.Blur, image: np.ndarray) -> np.ndarray:
    """(sum over rows and columns of weight * weight * level) / 65536, rounded half to even."""
    reach = len(k.weights) // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge").astype(np.int64)
    height, width, _ = image.shape
    across: Any = sum(int(w) * padded[:, i : i + width] for i, w in enumerate(k.weights))
    total: Any = sum(int(w) * across[i : i + height] for i, w in enumerate(k.weights))
    return half_to_even(np.asarray(total), 16).astype(np.uint8)


def half_to_even(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + (1 << (bits - 1)) - 1 + ((x >> bits) & 1)) >> bits


def noise(k: kinds.Noise, image: np.ndarray) -> np.ndarray:
    """level + table[n >> 4], clipped, for the 16-bit numbers n of the row's stream, one a channel in turn."""
    height, width, channels = image.shape
    per_pixel = 1 if k.monochrome else channels
    place = grain16(k.key, height, width * per_pixel).reshape(height, width, per_pixel) >> 4
    return np.clip(image.astype(np.int64) + k.table[place], 0, 255).astype(np.uint8)


def fill(k: kinds.Fill, image: np.ndarray) -> np.ndarray:
    """Inside a box, the level, or the 8-bit numbers of the row's stream, one a channel in turn."""
    height, width, channels = image.shape
    row, column = np.arange(height)[:, np.newaxis], np.arange(width)
    inside = np.zeros((height, width), bool)
    for top, left, bottom, right in k.boxes:
        inside |= (top <= row) & (row < bottom) & (left <= column) & (column < right)
    cover = (
        np.uint8(k.level) if k.key is None else grain8(k.key, height, width * channels).reshape(image.shape)
    )
    return np.where(inside[..., np.newaxis], cover, image)


def jpeg(k: kinds.Jpeg, image: np.ndarray) -> np.ndarray:
    """libjpeg's accurate integer transform, color at half the resolution in both directions."""
    order = ..., slice(None, None, -1)  # OpenCV takes blue first
    encoded = cv2.imencode(".jpg", image[order].copy(), [cv2.IMWRITE_JPEG_QUALITY, int(k.quality)])[1]
    mode = cv2.IMREAD_GRAYSCALE if image.shape[-1] == 1 else cv2.IMREAD_COLOR
    decoded: Any = cv2.imdecode(encoded, mode)
    return decoded.reshape(image.shape)[order].copy()


def choose(k: kinds.Choose, image: np.ndarray) -> np.ndarray:
    return apply(k.branches[int(k.index)], image)


def blend(k: kinds.Blend, image: np.ndarray) -> np.ndarray:
    """(sum of weight * level) / 65536 over the branches, rounded half to even."""
    total: Any = sum(
        int(w) * apply(b, image).astype(np.int64) for w, b in zip(k.weights, k.branches, strict=True)
    )
    return half_to_even(total, 16).astype(np.uint8)


FORMULAS: dict[type[kinds.Kernel], Callable[[Any, np.ndarray], np.ndarray]] = {
    kinds.Window: window,
    kinds.Orient: orient,
    kinds.Channels: channels,
    kinds.Warp: warp,
    kinds.Resize: resize,
    kinds.Levels: levels,
    kinds.Adapt: adapt,
    kinds.Gray: gray,
    kinds.Hue: hue,
    kinds.Saturation: saturation,
    kinds.Enhance: enhance,
    kinds.Blur: blur,
    kinds.Noise: noise,
    kinds.Fill: fill,
    kinds.Jpeg: jpeg,
    kinds.Choose: choose,
    kinds.Blend: blend,
}
