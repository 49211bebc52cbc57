"""The operations that augmentation policies are made of, as Pillow does them.

Policies were searched with Pillow, so these are its results bit for bit, and apart from
the ordinary ops: they truncate where Pillow truncates, resample by the nearest pixel,
and fill with one level. A magnitude is not drawn from an interval but is one of a few:
a sample draws an index, and what Pillow computes in float64 from a magnitude (a
rotation's matrix, say) is looked up in a table.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from augment.array_api import Array, is_numpy, stack, take, transposed
from augment.draws import Draw
from augment.kernels import tables
from augment.kernels.kinds import Adapt, Enhance, Kernels, Levels, Warp, Window, choose
from augment.kernels.maps import AFFINE_BITS, Affine, Size

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


@dataclasses.dataclass(frozen=True, eq=False)
class Space:
    """Operations to choose from for images of a size, with the magnitudes that each of them can have.

    A magnitude is what Pillow is given: degrees counter-clockwise, kept bits, the
    threshold of solarize, the factor of ImageEnhance, the coefficient of the affine map
    for shears, whole pixels for translations. Positive ones shear and translate to the
    left and up. It is 0 for operations without one.

    A choice is an operation with a magnitude: its position in the flat `magnitudes`.
    """

    names: tuple[str, ...]
    magnitudes: np.ndarray
    """float64 [operations, indices]"""
    size: Size

    @classmethod
    def of(cls, magnitudes: Mapping[str, np.ndarray], size: Size) -> Space:
        """From float64 [indices] by operation; those without a magnitude are [1] or [indices]."""
        names = tuple(name for name in OPERATIONS if name in magnitudes)
        return cls(names, np.stack(np.broadcast_arrays(*[magnitudes[name] for name in names])), size)

    def drawn(self, chosen: Mapping[str, tuple[Array, Array]]) -> Draw:
        """What is recorded of operations, and what `kernels` needs of them.

        `chosen` are, by the end of their columns' names, their positions and indices, int32 [...].
        The choices are `_choices` [..., operations], in the same order.
        """
        numbers = np.array([OPERATIONS.index(name) for name in self.names], np.int32)
        flat = self.magnitudes.astype(np.float32).ravel()
        draw: Draw = {}
        choices = []
        for suffix, (position, index) in chosen.items():
            choices.append(position * self.magnitudes.shape[1] + index)
            draw[f"op_{suffix}"] = take(numbers, position)
            draw[f"magnitude_{suffix}"] = take(flat, choices[-1])
        draw["_choices"] = stack(choices)
        return draw

    def kernels(self, choices: Array, fill: int) -> list[Kernels]:
        """What each of the choices int32 [..., n] comes to."""
        if is_numpy(choices) and np.ndim(choices) == 1:
            return [_alone(self, choice, fill) for choice in choices.tolist()]
        choices = transposed(choices)
        kinds = self._kinds
        numbers = sum(take(kind.here, choices) * number for number, kind in enumerate(kinds.values()))
        values = {name: kind.values(choices) for name, kind in kinds.items()}
        return [
            choose(
                numbers[i],
                [
                    functools.partial(_KINDS[name], v if v is None else v[i], fill)
                    for name, v in values.items()
                ],
            )
            for i in range(choices.shape[0])
        ]

    def at(self, choice: int) -> tuple[str, Any]:
        """The kind of kernel that a choice is, and what that takes."""
        position, index = divmod(choice, self.magnitudes.shape[1])
        return _KIND_OF[self.names[position]](float(self.magnitudes[position, index]), self.size)

    @functools.cached_property
    def _kinds(self) -> dict[str, _Kind]:
        found: dict[str, _Kind] = {}
        for choice in range(self.magnitudes.size):
            name, value = self.at(choice)
            found.setdefault(name, _Kind(self.magnitudes.size)).add(choice, value)
        return found


class _Kind:
    """Which choices are of a kind of kernel, and what they take: as a table, for a drawn choice."""

    def __init__(self, choices: int) -> None:
        self.here = np.zeros(choices, np.int32)
        self._entry = np.zeros(choices, np.int32)
        self._values: list[Any] = []
        self._known: dict[bytes, int] = {}

    def add(self, choice: int, value: np.ndarray | None) -> None:
        self.here[choice] = 1
        self._entry[choice] = self._known.setdefault(
            b"" if value is None else value.tobytes(), len(self._known)
        )
        if len(self._known) > len(self._values):
            self._values.append(value)

    def values(self, choices: Array) -> Array | None:
        """What these choices take; where one is of another kind, what the first of this takes."""
        if self._values[0] is None:
            return None
        return take(np.stack(self._values), take(self._entry, choices))


@functools.lru_cache(maxsize=8192)
def _alone(space: Space, choice: int, fill: int) -> Kernels:
    """For one sample, with what is faster and has the same pixels: nothing, or a window for a shift."""
    kind, value = space.at(choice)
    if kind == "levels" and np.array_equal(value, _IDENTITY):
        return ()
    if kind == "moved" and np.array_equal(value[[0, 1, 3, 4]], _UNTURNED):
        left, top = (value[[2, 5]] + (1 << (AFFINE_BITS - 1)) >> AFFINE_BITS).astype(np.int32)
        height, width = space.size
        return (Window(top=top, left=left, height=height, width=width, fill=fill),)
    return _KINDS[kind](value, fill)


_KINDS: dict[str, Callable[[Array, int], Kernels]] = {
    "levels": lambda table, _: (Levels(table=table),),
    "moved": lambda matrix, fill: (
        Warp(map=Affine(matrix), interpolation="nearest", border="constant", fill=fill),
    ),
    "equalize": lambda *_: (Adapt(rule=tables.EQUALIZE),),
    "autocontrast": lambda *_: (Adapt(rule=tables.AUTOCONTRAST),),
    "contrast": lambda factor, _: (Adapt(rule=tables.CONTRAST_WITH_GRAY, factor=factor),),
    "color": lambda factor, _: (Enhance(base="gray", factor=factor),),
    "sharpness": lambda factor, _: (Enhance(base="smooth", factor=factor),),
}
"""The kernels that operations come to: what is drawn chooses among these and what they take, so that a
graph holds few branches."""

Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f) of the map (x, y) -> (a x + b y + c, d x + e y + f) from output to input."""


def fixed_matrix(matrix: Matrix) -> np.ndarray:
    """int64 [6]: the map as Pillow's Image.transform rounds it, by AFFINE and NEAREST.

    That has 65536ths, from the middle of a pixel to a place whose whole part is the pixel's number;
    a Warp's places are half a pixel less.
    """
    a, b, c, d, e, f = matrix
    row = np.array([a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5])
    fixed = np.floor(row * 65536.0 + 0.5).astype(np.int64) << (AFFINE_BITS - 16)
    return fixed - np.array([0, 0, 1, 0, 0, 1]) * (1 << (AFFINE_BITS - 1))


def _rotation(degrees: float, size: Size) -> Matrix:
    """As Image.rotate makes it: about the middle of the image, rounded to 15 digits."""
    angle = -math.radians(degrees % 360.0)
    cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
    x, y = size[1] / 2, size[0] / 2
    return cos, sin, cos * -x + sin * -y + x, -sin, cos, -sin * -x + cos * -y + y


Kind = Callable[[float, Size], tuple[str, Any]]


def _moved(matrix: Callable[[float, Size], Matrix]) -> Kind:
    return lambda by, size: ("moved", fixed_matrix(matrix(by, size)))


def _leveled(table: Callable[[Any], np.ndarray]) -> Kind:
    return lambda by, _: ("levels", table(np.int64(by)))


def _scaled(factor: float, _: Size) -> tuple[str, np.ndarray]:
    return "levels", tables.scaled(fixed_factor(factor))


def _enhanced(kind: str) -> Kind:
    return lambda factor, _: (kind, fixed_factor(factor))


def fixed_factor(factor: float) -> Any:
    """int64 []: the float32 that Pillow makes of it, in fixed point."""
    return np.int64(np.float64(np.float32(factor)) * (1 << tables.FACTOR_BITS))


_UNTURNED = np.array([1, 0, 0, 1]) << AFFINE_BITS
_IDENTITY = tables.LEVELS[np.newaxis].astype(np.uint8)

_KIND_OF: dict[str, Kind] = {
    "identity": lambda *_: ("levels", _IDENTITY),
    "autocontrast": lambda *_: ("autocontrast", None),
    "equalize": lambda *_: ("equalize", None),
    "invert": lambda *_: ("levels", tables.inverted()),
    "rotate": _moved(_rotation),
    "posterize": _leveled(tables.posterized),
    "solarize": _leveled(tables.solarized),
    "color": _enhanced("color"),
    "contrast": _enhanced("contrast"),
    "brightness": _scaled,
    "sharpness": _enhanced("sharpness"),
    "shear_x": _moved(lambda by, _: (1.0, by, 0.0, 0.0, 1.0, 0.0)),
    "shear_y": _moved(lambda by, _: (1.0, 0.0, 0.0, by, 1.0, 0.0)),
    "translate_x": _moved(lambda by, _: (1.0, 0.0, by, 0.0, 1.0, 0.0)),
    "translate_y": _moved(lambda by, _: (1.0, 0.0, 0.0, 0.0, 1.0, by)),
}
"""For each operation, of a magnitude and the size of the image, the kind of kernel and what that takes."""
