"""The operations that augmentation policies are made of, as Pillow does them.

Policies were searched with Pillow, so these are its results bit for bit, and apart from
the ordinary ops: they truncate where Pillow truncates, resample by the nearest pixel,
and fill with one level. A magnitude is not drawn from an interval but is one of a few,
which are tables: a sample draws an index, and what Pillow computes in float64 from a
magnitude (a rotation's matrix, say) is computed with the table.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import numpy as np

from augment.arrays import Array, stack, take, tf
from augment.draws import Draw
from augment.ops.base import COLUMNS, ROWS, Size, changed_by
from augment.ops.quality import autocontrasted, blended, equalized, luma, posterized, sharpened, solarized

OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
"""In the samples table, an operation is its position in this list, from 0."""


@dataclasses.dataclass(frozen=True)
class Space:
    """Operations to choose from, with the magnitudes that each of them can have.

    A magnitude is what Pillow is given: degrees counter-clockwise, kept bits, the
    threshold of solarize, the factor of ImageEnhance, the coefficient of the affine map
    for shears, whole pixels for translations. Positive ones shear and translate to the
    left and up. It is 0 for operations without one.
    """

    names: tuple[str, ...]
    magnitudes: np.ndarray
    """float64 [operations, indices]"""

    @classmethod
    def of(cls, magnitudes: Mapping[str, np.ndarray]) -> Space:
        """From float64 [indices] by operation; those without a magnitude are [1] or [indices]."""
        names = tuple(name for name in OPERATIONS if name in magnitudes)
        return cls(names, np.stack(np.broadcast_arrays(*[magnitudes[name] for name in names])))

    def drawn(self, chosen: Mapping[str, tuple[Array, Array]]) -> Draw:
        """What is recorded of operations, and what `operated` needs of them.

        `chosen` are, by the end of their columns' names, their positions and indices, int32 [...].
        The latter are `_positions` and `_indices` [..., operations], in the same order.
        """
        numbers = np.array([OPERATIONS.index(name) for name in self.names], np.int32)
        flat = self.magnitudes.astype(np.float32).ravel()
        draw: Draw = {}
        for suffix, (position, index) in chosen.items():
            draw[f"op_{suffix}"] = take(numbers, position)
            draw[f"magnitude_{suffix}"] = take(flat, position * self.magnitudes.shape[1] + index)
        draw["_positions"] = stack([position for position, _ in chosen.values()])
        draw["_indices"] = stack([index for _, index in chosen.values()])
        return draw

    def operated(self, image: tf.Tensor, position: tf.Tensor, index: tf.Tensor, fill: int) -> tf.Tensor:
        """Applies an operation that was drawn to uint8 [..., H, W, 3]; position and index are [...]."""
        changes = [
            functools.partial(_operated, name, magnitudes, index, fill)
            for name, magnitudes in zip(self.names, self.magnitudes, strict=True)
        ]
        return changed_by(position, changes, image)

    def operated_in_turn(self, image: tf.Tensor, draw: Draw, fill: int) -> tf.Tensor:
        """Applies what `drawn` drew, one operation after the other, to uint8 [..., H, W, 3]."""
        positions, indices = draw["_positions"], draw["_indices"]

        def next_one(i: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            position, index = tf.gather(positions, i, axis=-1), tf.gather(indices, i, axis=-1)
            return i + 1, self.operated(image, position, index, fill)

        return repeated(next_one, positions.shape[-1], image)[0]


def repeated(body: Callable[..., tuple[tf.Tensor, ...]], times: int, *state: tf.Tensor) -> list[tf.Tensor]:
    """What becomes of the state if `body` is called with a number from 0 and the state, and so on.

    A loop, for a graph with all branches of nine operations takes seconds to start.
    """
    ended = tf.while_loop(
        lambda i, *state: i < times, body, (tf.constant(0), *state), maximum_iterations=times
    )
    return list(ended[1:])


def _operated(name: str, magnitudes: np.ndarray, index: Array, fill: int, image: tf.Tensor) -> tf.Tensor:
    if name in _PLAIN:
        return _PLAIN[name](image)
    if name in _MATRICES:
        height, width = image.shape[ROWS:-1]
        matrices = [_MATRICES[name](float(m), (height, width)) for m in magnitudes]
        return moved(image, take(fixed_matrices(matrices), index), fill)
    if name in _WHOLE:
        return _WHOLE[name](image, take(magnitudes.astype(np.int32), index))
    return _FACTORS[name](image, take(magnitudes.astype(np.float32), index))


Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f) of the map (x, y) -> (a x + b y + c, d x + e y + f) from output to input."""


def fixed_matrices(matrices: list[Matrix]) -> np.ndarray:
    """int32 [n, 6]: the maps in 65536ths, from and to the middles of pixels, as Pillow rounds them."""
    rows = [(a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5) for a, b, c, d, e, f in matrices]
    return np.floor(np.array(rows) * 65536.0 + 0.5).astype(np.int32)


def moved(image: tf.Tensor, matrix: tf.Tensor, fill: int) -> tf.Tensor:
    """Image.transform by AFFINE and NEAREST: uint8 [..., H, W, 3] by matrices int32 [..., 6]."""
    height, width = image.shape[ROWS:-1]
    leading = image.shape.rank - 3
    a, b, c, d, e, f = (v[..., tf.newaxis, tf.newaxis] for v in tf.unstack(matrix, axis=-1))
    x, y = tf.range(width), tf.range(height)[:, tf.newaxis]
    column = tf.bitwise.right_shift(a * x + b * y + c, 16)
    row = tf.bitwise.right_shift(d * x + e * y + f, 16)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    # One pixel more, behind the last, holds what fills the outside.
    pixels = tf.reshape(image, tf.concat([tf.shape(image)[:ROWS], [height * width, 3]], 0))
    pixels = tf.pad(pixels, [*[[0, 0]] * leading, [0, 1], [0, 0]], constant_values=fill)
    place = tf.where(inside, row * width + column, height * width)
    return tf.gather(pixels, place, axis=COLUMNS, batch_dims=leading)


def _rotation(degrees: float, size: Size) -> Matrix:
    """As Image.rotate makes it: about the middle of the image, rounded to 15 digits."""
    angle = -math.radians(degrees % 360.0)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    x, y = size[1] / 2, size[0] / 2
    return cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y


_MATRICES: dict[str, Callable[[float, Size], Matrix]] = {
    "rotate": _rotation,
    "shear_x": lambda by, size: (1.0, by, 0.0, 0.0, 1.0, 0.0),
    "shear_y": lambda by, size: (1.0, 0.0, 0.0, by, 1.0, 0.0),
    "translate_x": lambda by, size: (1.0, 0.0, by, 0.0, 1.0, 0.0),
    "translate_y": lambda by, size: (1.0, 0.0, 0.0, 0.0, 1.0, by),
}


def _colored(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """ImageEnhance.Color."""
    return blended(luma(image), image, factor)


def _contrasted(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """ImageEnhance.Contrast, about the mean of the gray levels, rounded half up."""
    rows = tf.reduce_sum(tf.cast(luma(image)[..., :1], tf.int32), axis=COLUMNS, keepdims=True)
    total = tf.reduce_sum(tf.cast(rows, tf.int64), axis=ROWS, keepdims=True)
    pixels = image.shape[ROWS] * image.shape[COLUMNS]
    return blended(tf.cast((2 * total + pixels) // (2 * pixels), tf.uint8), image, factor)


def _brightened(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """ImageEnhance.Brightness."""
    return blended(tf.zeros_like(image), image, factor)


_PLAIN: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "identity": lambda image: image,
    "autocontrast": autocontrasted,
    "equalize": equalized,
    "invert": lambda image: 255 - image,
}
_WHOLE: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "posterize": posterized,
    "solarize": solarized,
}
_FACTORS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "color": _colored,
    "contrast": _contrasted,
    "brightness": _brightened,
    "sharpness": sharpened,
}
