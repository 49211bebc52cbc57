"""Kernels on a processor: NumPy and OpenCV, one image at a time, without TensorFlow.

Each function computes its namesake in `formulas.py` to the bit, and says where that is not
plain to see. OpenCV is called where what it computes is a formula in integers, or in floats
that are exact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import simplejpeg
import stringzilla
from PIL import Image

from augment.errors import OpError
from augment.kernels import kinds, maps, tables, weights
from augment.kernels.streams import grain8_within, grain16

_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "edge": cv2.BORDER_REPLICATE,
    "symmetric": cv2.BORDER_REFLECT,
    "reflect": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}

_NO_PARTS: Any = None

# glibc gives blocks of 128 KiB and more back to the system at once, and takes new ones page by page, until
# a larger one has been freed: from then on, the memory of one kernel's arrays serves the next.
np.empty(1 << 24, np.uint8)


def apply(kernels: kinds.Kernels, image: np.ndarray) -> np.ndarray:
    """Runs kernels in order on uint8 [H, W, C]; what is returned may share memory with the image.

    Those that only take pixels from elsewhere (Window, Orient, Resize and Warp with nearest) run on int32
    [H, W, 1] as well.
    """
    for kernel in kernels:
        image = _KERNELS.get(type(kernel), _custom)(kernel, image)
    return image


def _custom(kernel: Any, image: np.ndarray) -> np.ndarray:
    try:
        out = kernel.on_host(image)
    except Exception as error:
        raise OpError(f"kernel {type(kernel).__name__}: {type(error).__name__}: {error}") from error
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != image.shape:
        raise OpError(kinds.not_kept(kernel, image, out))
    return out


def _with_channels(image: Any) -> np.ndarray:
    """OpenCV drops the axis of a single channel."""
    return image[..., np.newaxis] if image.ndim == 2 else image


def _window(k: kinds.Window, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    top, left = int(k.top), int(k.left)
    bottom, right = top + k.height, left + k.width
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return image[top:bottom, left:right]
    if k.border == "constant":
        out = np.full((k.height, k.width, channels), k.fill, image.dtype)
        first, before = max(top, 0), max(left, 0)
        seen = image[first : max(bottom, 0), before : max(right, 0)]
        rows, columns, _ = seen.shape
        out[first - top : first - top + rows, before - left : before - left + columns] = seen
        return out
    above, beside = max(-top, 0), max(-left, 0)
    padded = cv2.copyMakeBorder(
        image, above, max(bottom - height, 0), beside, max(right - width, 0), _BORDERS[k.border]
    )
    return _with_channels(padded)[top + above : bottom + above, left + beside : right + beside]


def _orient(k: kinds.Orient, image: np.ndarray) -> np.ndarray:
    if k.transposed:
        image = _with_channels(cv2.transpose(image))
    if k.rows or k.columns:
        image = _with_channels(cv2.flip(image, -1 if k.rows and k.columns else 0 if k.rows else 1))
    return image


def _channels(k: kinds.Channels, image: np.ndarray) -> np.ndarray:
    if image.shape[-1] == 1:
        return image
    planes = _planes(image)
    return cv2.merge([planes[channel] for channel in k.order.tolist()])


def _warp(k: kinds.Warp, image: np.ndarray) -> np.ndarray:
    """By blocks of rows, so that places stay in the cache, and in memory that is not given back."""
    height, width, _ = image.shape
    seen, places = _near(k, image) or (image, _far_places(k, (height, width)))
    how = cv2.INTER_NEAREST if k.interpolation == "nearest" else cv2.INTER_LINEAR
    out = np.empty(image.shape, image.dtype)
    count = max(_BLOCK // width, 1)
    for first in range(0, height, count):
        rows = slice(first, min(first + count, height))
        place, part = places(rows)
        cv2.remap(seen, place, part, how, out[rows], _BORDERS[k.border], (k.fill,) * 3)
    return out


_BLOCK = 1 << 15
"""Pixels whose places are made at once."""

_Places = Callable[[slice], Any]
"""For some rows of the output what OpenCV takes: int16 [n, W, 2] whole columns and rows, and uint16 [n, W]
32 times the part of a row beyond them, in 32nds, plus that of a column."""


def _near(k: kinds.Warp, image: np.ndarray) -> tuple[np.ndarray, _Places] | None:
    """The image, with what is seen beside it, and `maps.places` therein, where narrow numbers hold all
    of them, which their extremes tell; else None."""
    if isinstance(k.map, maps.Affine):
        return _near_affine(k, k.map.matrix, image)
    if isinstance(k.map, maps.Projective):
        height, width, _ = image.shape
        whole = k.interpolation == "nearest"
        places = _near_projective(k.map.matrix, (height, width), whole=whole)
        return places and (image, places)
    return None


def _near_affine(k: kinds.Warp, matrix: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, _Places] | None:
    """Terms, sums and half of the last bit with them are exact in float64, and where they have no more
    than 24 bits, in float32; by that half OpenCV, which rounds to the nearest place, rounds half up."""
    height, width, _ = image.shape
    across, down = (_extremes(line, (height, width)) for line in matrix.reshape(2, 3).tolist())
    by = -down[0], down[1] - height + 1, -across[0], across[1] - width + 1
    above, below, before, after = (max(math.ceil(pixels + 1 / 16), 0) for pixels in by)
    tall, wide = height + above + below, width + before + after
    if max(tall, wide) >= 1 << 12:
        return None
    if tall * wide > _MOST_SEEN * height * width:
        above = before = 0
    elif tall * wide > height * width:  # OpenCV takes three times as long for what it has to find itself
        fill = (k.fill,) * 3
        padded = cv2.copyMakeBorder(image, above, below, before, after, _BORDERS[k.border], value=fill)
        image = _with_channels(padded)
    whole = k.interpolation == "nearest"
    bits = maps.WHOLE_SUM_BITS if whole else maps.SUM_BITS
    terms = _terms(matrix.reshape(2, 3), maps.AFFINE_BITS - bits, (height, width))
    terms *= 2.0**-bits
    half = 0.5 if whole else 2.0 ** -(bits + 1)
    dtype: Any = np.float64 if whole and max(tall, wide) >= 1 << 8 else np.float32
    left, right = np.ones((height, 3), dtype), np.empty((3, width, 2), dtype)
    left[:, :2] = terms[:, width:].T
    left[:, :2] += before + half, above + half
    right[:2] = _BOTH[:, np.newaxis]
    right[2] = terms[:, :width].T
    interleaved = right.reshape(3, -1)

    def places(rows: slice) -> Any:
        sums = np.matmul(left[rows], interleaved).reshape(-1, width, 2)
        if not whole:
            return cv2.convertMaps(sums, _NO_PARTS, cv2.CV_16SC2)
        if not (above or before):
            np.floor(sums, out=sums)
        return sums.astype(np.int16), _NO_PARTS

    return image, places


_MOST_SEEN = 4
"""How many times the image's pixels what is seen beside it may have, to be made before it is."""

_BOTH = np.eye(2)


def _extremes(line: list[int], size: maps.Size) -> tuple[float, float]:
    """The least and the most of a x + b y + c in a frame, in pixels, before it is rounded."""
    height, width = size
    a, b, c = (term / (1 << maps.AFFINE_BITS) for term in line)
    a, b = a * (width - 1), b * (height - 1)
    return c + min(a, 0) + min(b, 0), c + max(a, 0) + max(b, 0)


def _terms(lines: np.ndarray, drop: Any, size: maps.Size) -> np.ndarray:
    """float64 [lines, W + H]: `maps.terms` of lines int64 [lines, 3], all of them below 2**53."""
    terms = (lines * 2.0**-drop) @ _frame(*size)
    terms += 0.5
    return np.floor(terms, out=terms)


@functools.lru_cache(maxsize=64)
def _frame(height: int, width: int) -> np.ndarray:
    """float64 [3, W + H], by which a line (a, b, c) comes to a x for each column and b y + c for each row."""
    frame = np.zeros((3, width + height))
    frame[0, :width] = np.arange(width)
    frame[1, width:] = np.arange(height)
    frame[2, width:] = 1
    return frame


def _near_projective(matrix: np.ndarray, size: maps.Size, *, whole: bool) -> _Places | None:
    """Places below 2**18 by divisors below 2**31, which are odd, lie further from being halfway
    between two than float64 is off, so that the nearest whole number is the right one."""
    height, width = size
    a, b, c, d, e, f, g, h, i = (matrix / (1 << maps.PROJECTIVE_BITS)).tolist()
    if max(abs(a) * width, abs(b) * height + abs(c), abs(d) * width, abs(e) * height + abs(f)) >= 1 << 12:
        return None
    furthest = 0.0
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        divisor = g * x + h * y + i  # a quotient of what is linear is furthest at a corner
        if not 2.0**-10 < divisor < 4:
            return None
        furthest = max(furthest, abs(a * x + b * y + c) / divisor, abs(d * x + e * y + f) / divisor)
    if furthest >= 1 << 12:
        return None
    bits = 0 if whole else maps.PLACE_BITS
    terms = _terms(matrix.reshape(3, 3), _DROPS, size)
    left, right = np.ones((3, height, 2)), np.ones((3, 2, width))
    left[:, :, 0], right[:, 1] = terms[:, width:], terms[:, :width]
    left[2] *= 2
    left[2, :, 0] += 1
    scale = float(1 << (maps.DIVISOR_BITS - maps.NUMERATOR_BITS + bits))
    narrow = cv2.CV_16S if furthest < 1000 else cv2.CV_32S

    def places(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        x, y, divisor = np.matmul(left[:, rows], right)
        np.divide(scale, divisor, out=divisor)
        lines, columns = (cv2.multiply(part, divisor, dtype=narrow) for part in (y, x))
        return _packed(lines, columns, bits)

    return places


_DROPS = maps.PROJECTIVE_BITS - np.array([maps.NUMERATOR_BITS] * 2 + [maps.DIVISOR_BITS - 1])[:, np.newaxis]


def _packed(rows: np.ndarray, columns: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    place = cv2.merge([(index >> bits).astype(np.int16, copy=False) for index in (columns, rows)])
    if not bits:
        return place, _NO_PARTS
    part = rows & 31
    part <<= 5
    part |= columns & 31
    return place, part.view(np.uint16) if part.dtype == np.int16 else part.astype(np.uint16)


def _far_places(k: kinds.Warp, size: maps.Size) -> _Places:
    """Those of any map. Where OpenCV's numbers end, another place with the same levels around it."""
    whole = k.interpolation == "nearest"
    bits = 0 if whole else maps.PLACE_BITS
    lines, columns = (
        _nearer(index, side, bits, k.border)
        for index, side in zip(maps.places(k.map, size, whole=whole), size, strict=True)
    )
    return lambda rows: _packed(lines[rows], columns[rows], bits)


def _nearer(index: np.ndarray, side: int, bits: int, border: str) -> np.ndarray:
    if -(32000 << bits) < index.min() and index.max() < 32000 << bits:
        return index
    if border in ("constant", "edge"):
        return np.clip(index, -2 << bits, (side + 1) << bits)
    period = {"wrap": side, "symmetric": 2 * side, "reflect": max(2 * side - 2, 1)}[border]
    return index % (period << bits)


def _resize(k: kinds.Resize, image: np.ndarray) -> np.ndarray:
    if k.box is not None:
        top, left, height, width = k.box.tolist()
        image = image[top : top + height, left : left + width]
    height, width, channels = image.shape
    size = k.width, k.height
    if (k.height, k.width) == (height, width):
        return image
    if k.method == "nearest":
        place = np.empty((k.height, k.width, 2), np.int16)
        place[..., 0] = weights.nearest(width, k.width)
        place[..., 1] = weights.nearest(height, k.height)[:, np.newaxis]
        return _with_channels(cv2.remap(image, place, _NO_PARTS, cv2.INTER_NEAREST))
    if k.method == "bilinear" and not k.antialias:
        return _with_channels(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
    antialias = k.antialias or k.method == "area"
    if antialias and k.method in _OF_PILLOW:
        given = Image.fromarray(image[..., 0] if channels == 1 else image)
        return _with_channels(np.asarray(given.resize(size, _OF_PILLOW[k.method])))
    if width != k.width:
        image = _filtered(image, weights.filtered(width, k.width, k.method, antialias), axis=1)
    if height != k.height:
        image = _filtered(image, weights.filtered(height, k.height, k.method, antialias), axis=0)
    return image


_OF_PILLOW = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


def _filtered(image: np.ndarray, taps: weights.Taps, *, axis: int) -> np.ndarray:
    shape = [1, 1, 1]
    shape[axis] = -1
    total: Any = 1 << (weights.FILTER_BITS - 1)
    for tap in range(taps.index.shape[1]):
        total = total + taps.weight[:, tap].reshape(shape) * np.take(image, taps.index[:, tap], axis)
    return np.clip(total >> weights.FILTER_BITS, 0, 255).astype(np.uint8)


def _levels(k: kinds.Levels, image: np.ndarray) -> np.ndarray:
    return _looked_up(k.table, image)


def _looked_up(table: np.ndarray, image: np.ndarray) -> np.ndarray:
    return _entries(table[0], image) if len(table) == 1 else _joined(table, _planes(image))


def _joined(table: np.ndarray, planes: list[np.ndarray]) -> np.ndarray:
    looked_up = [_entries(one, plane) for one, plane in zip(table, planes, strict=True)]
    return _with_channels(cv2.merge(looked_up))


def _entries(table: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Of a table uint8 [256]: StringZilla takes a tenth of the time of cv2.LUT where there is AVX-512."""
    out = np.empty(levels.shape, np.uint8)
    given = np.ascontiguousarray(levels).data.cast("B")
    stringzilla.translate(given, table.tobytes(), out=out.data.cast("B"))
    return out


def _planes(image: np.ndarray) -> list[np.ndarray]:
    """uint8 [H, W] for each channel. OpenCV takes four times as long where it has to make them itself."""
    planes = [np.empty(image.shape[:2], np.uint8) for _ in range(image.shape[-1])]
    cv2.split(image, planes)
    return planes


def _adapt(k: kinds.Adapt, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    count = np.int64(height * width)
    statistic: Any
    if k.rule.statistic == "gray":
        statistic = np.int64(cv2.sumElems(_luma(image))[0])
        return _looked_up(k.rule.table(statistic, count, k.factor), image)
    if k.rule.line is None:
        planes = _planes(image)
        of_plane = _ends if k.rule.statistic == "ends" else _histogram
        statistic = np.array([of_plane(plane) for plane in planes], np.int64)
        return _joined(k.rule.table(statistic, count, k.factor), planes)
    factor: Any = k.factor
    lines = np.zeros((channels, channels + 1), np.float32)  # 24 bits hold all that follows exactly
    for channel, total in enumerate(cv2.sumElems(image)[:channels]):
        slope, start = k.rule.line(int(total), height * width, int(factor))
        lines[channel, channel] = slope / (1 << tables.LINE_BITS)
        lines[channel, -1] = start / (1 << tables.LINE_BITS)
    return _with_channels(cv2.transform(image, lines))


def _ends(plane: np.ndarray) -> tuple[float, float]:
    return cv2.minMaxLoc(plane)[:2]


def _histogram(plane: np.ndarray) -> np.ndarray:
    if plane.size < 1 << 24:  # OpenCV counts in float32
        return cv2.calcHist([plane], [0], _NO_PARTS, [256], [0, 256]).ravel()
    return np.bincount(plane.ravel(), minlength=256)


def _luma(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W]. Weights in 65536ths times levels, and a half: 24 bits, which float32 holds exactly."""
    if image.shape[-1] == 1:
        return image[..., 0]
    return cv2.transform(image.astype(np.float32), _LUMA).astype(np.uint8)


_LUMA = np.array([[19595, 38470, 7471, 1 << 15]], np.float32) / np.float32(1 << 16)


def _gray(k: kinds.Gray, image: np.ndarray) -> np.ndarray:
    return image if image.shape[-1] == 1 else cv2.cvtColor(_luma(image), cv2.COLOR_GRAY2RGB)


def _hue(k: kinds.Hue, image: np.ndarray) -> np.ndarray:
    """By whole sixths of the circle, then by a part of one, at most half of it.

    Three sixths turn each channel upside down between the least and the value, two put each into
    the next one's place. A part e of the chroma c then raises a channel by what it exceeds the height
    of the next one, and lowers it by what that one's height exceeds c - e; never both.
    """
    if image.shape[-1] == 1:
        return image
    sixths = int(k.sixths)
    whole = (sixths + (1 << 15)) >> 16
    part = sixths - (whole << 16)
    planes = _planes(image)
    value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    least = cv2.min(cv2.min(planes[0], planes[1]), planes[2])
    c = cv2.subtract(value, least)
    if whole % 2:
        planes = [cv2.subtract(value, cv2.subtract(plane, least)) for plane in planes]
        whole += 3
    planes = [planes[(channel - whole // 2) % 3] for channel in range(3)]
    e = _entries(np.abs((part * _LEVELS + (1 << 15)) >> 16).astype(np.uint8), c)
    rest = cv2.subtract(c, e)
    heights = [cv2.subtract(plane, least) for plane in planes]
    turned = []
    for channel, plane in enumerate(planes):
        height = heights[(channel + (1 if part > 0 else -1)) % 3]
        raised = cv2.min(cv2.add(plane, cv2.subtract(e, height)), value)
        turned.append(cv2.max(cv2.subtract(raised, cv2.subtract(height, rest)), least))
    return cv2.merge(turned)


def _saturation(k: kinds.Saturation, image: np.ndarray) -> np.ndarray:
    if image.shape[-1] == 1:
        return image
    planes = _planes(image)
    value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    moved = [cv2.subtract(value, plane) for plane in planes]
    scaled = [_entries(k.distances, distance) for distance in moved]
    if (k.distances > _LEVELS).any():
        c = cv2.max(cv2.max(moved[0], moved[1]), moved[2])
        # A quotient misses a half by a 510th or more. A little more than it is, and rounded to even, it
        # becomes the same as with halves rounded up.
        ratio = value.astype(np.float32)
        ratio *= np.float32(1 + 2.0**-19)
        ratio /= np.maximum(c, 1).astype(np.float32)
        for distance, out in zip(moved, scaled, strict=True):
            most = distance.astype(np.float32)
            most *= ratio
            cv2.min(out, cv2.convertScaleAbs(most), out)
    return cv2.merge([cv2.subtract(value, distance) for distance in scaled])


_LEVELS = np.arange(256)


def _enhance(k: kinds.Enhance, image: np.ndarray) -> np.ndarray:
    """What is added to the base below a level, and subtracted from one above, are tables of their distance.

    But float32 rounds a sum that nearly is a whole number up to it, if the sum is large enough.
    """
    base = _gray(kinds.Gray(), image) if k.base == "gray" else _smooth(image)
    above, below = (_with_channels(cv2.subtract(*pair)) for pair in ((image, base), (base, image)))
    products = (k.factor * _LEVELS).astype(np.float32) / np.float32(1 << tables.FACTOR_BITS)
    up, down = (np.minimum(whole(products), 255).astype(np.uint8) for whole in (np.floor, np.ceil))
    out = cv2.subtract(cv2.add(base, _entries(up, above)), _entries(down, below))
    missed = np.abs(products - np.rint(products))
    if ((missed > 0) & (missed <= 2.0**-17)).any():  # half of the last bit of a sum from 128 on
        up, down = _rounded_up(int(k.factor))
        largest = cv2.min(_entries(up, above), _entries(down, below))
        out = cv2.add(out, np.bitwise_and(cv2.compare(base, largest, cv2.CMP_GT), np.uint8(1)))
    return _with_channels(out)


@functools.lru_cache(maxsize=1024)
def _rounded_up(factor: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [256] both, for distances above and below a base: the largest whose sum is not rounded up."""
    bits = tables.FACTOR_BITS
    sums = (_LEVELS[:, np.newaxis] << bits) + tables.steps(np.arange(-255, 256), np.int64(factor))
    rounded_up = (sums >= 0) & (sums.astype(np.float32).astype(np.int64) >> bits > sums >> bits)
    largest = (255 - rounded_up.sum(axis=0)).astype(np.uint8)
    return largest[255:], largest[255::-1]


def _smooth(image: np.ndarray) -> np.ndarray:
    """A sum over 13 is never halfway between whole numbers, so that float32 rounds it rightly."""
    if min(image.shape[:2]) < 3:
        return image
    total = image.astype(np.uint16)
    total *= 4  # a shift takes NumPy three times as long
    total += _with_channels(cv2.boxFilter(image, cv2.CV_16U, (3, 3), normalize=False))
    out = _with_channels(cv2.convertScaleAbs(total, alpha=1 / 13))
    for edge in ((0,), (-1,), (slice(None), 0), (slice(None), -1)):
        out[edge] = image[edge]
    return out


def _blur(k: kinds.Blur, image: np.ndarray) -> np.ndarray:
    counts = np.flatnonzero(k.weights)
    weight = k.weights[counts[0] : len(k.weights) - counts[0]]
    if len(weight) == 1:
        return image
    # In 256ths they and their products are exact in float32, and so are the sums: 24 bits. OpenCV's
    # filter of uint8 to uint8 rounds ties one way in the middle of a row and another at its end.
    part = weight.astype(np.float32) / np.float32(256)
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, part, part, borderType=cv2.BORDER_REPLICATE)
    return _with_channels(cv2.convertScaleAbs(blurred))


def _noise(k: kinds.Noise, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    per_pixel = 1 if k.monochrome else channels
    place = grain16(k.key, height, width * per_pixel) >> 4
    table = np.zeros(1 << 16, np.int16)
    np.clip(k.table, -255, 255, out=table[: len(k.table)])  # more than that changes no level
    deviates = cv2.LUT(place, table).reshape(height, width, per_pixel)
    if k.monochrome and channels == 3:
        deviates = cv2.merge([deviates] * 3)
    noisy = image + deviates
    return noisy.clip(0, 255, out=noisy).astype(np.uint8)


def _fill(k: kinds.Fill, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    out = image.copy()
    for edges in k.boxes.tolist():
        top, left, bottom, right = (max(edge, 0) for edge in edges)
        bottom, right = min(bottom, height), min(right, width)
        seen = out[top:bottom, left:right]
        if k.key is None or not seen.size:
            seen[...] = k.level
        else:
            numbers = left * channels, right * channels
            seen[...] = grain8_within(k.key, (top, bottom), numbers).reshape(seen.shape)
    return out


def _jpeg(k: kinds.Jpeg, image: np.ndarray) -> np.ndarray:
    """simplejpeg reads as OpenCV does, in three quarters of the time, but writes other coefficients."""
    gray = image.shape[-1] == 1
    given = image if gray else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", given, [cv2.IMWRITE_JPEG_QUALITY, int(k.quality)])[1]
    return simplejpeg.decode_jpeg(encoded.data, "GRAY" if gray else "RGB")


def _choose(k: kinds.Choose, image: np.ndarray) -> np.ndarray:
    return apply(k.branches[int(k.index)], image)


def _blend(k: kinds.Blend, image: np.ndarray) -> np.ndarray:
    total: Any = np.zeros(image.shape, np.float32)  # 65536ths of levels: 24 bits, which float32 holds exactly
    for weight, branch in zip(k.weights.tolist(), k.branches, strict=True):
        if weight:
            total = cv2.scaleAdd(apply(branch, image).astype(np.float32), weight / 65536, total)
    return cv2.convertScaleAbs(total).reshape(image.shape)


_KERNELS: dict[type[kinds.Kernel], Callable[[Any, np.ndarray], np.ndarray]] = {
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
