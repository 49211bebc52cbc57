"""AugMix: mixes an image with what chains of Pillow's operations make of it."""

from __future__ import annotations

import functools
from typing import Annotated

import numpy as np
from pydantic import Field

from augment.array_api import Array, cast, stack, take, where
from augment.draws import Draw, Uniforms, table
from augment.kernels.kinds import Blend, Kernels
from augment.ops.base import Size
from augment.ops.policy import NONE, Policy, alike, either
from augment.ops.settings import WholeInterval, whole_interval

_LEVELS = 256


class AugMix(Policy):
    """Mixes the image with chains of operations that start from it.

    Hendrycks et al., "AugMix: A simple data processing method to improve robustness and
    uncertainty" (2020), with alpha 1: the chains' shares are drawn from Dirichlet(1, ..., 1),
    the original's from Beta(1, 1), and all of them are mixed in one sum, rounded once.
    A chain's operations are drawn from 9, without those of color; a level is one of 256
    between 0.1 and the severity, where 10 stands for shears by 0.3, translations by a
    third of the side, rotations by 30 degrees (the latter in whole pixels and degrees),
    0 bits and threshold 0. Signs are drawn. Pixels are the nearest, where the
    paper's code interpolates.

    `weight_0` records the original's share, `weight_<c>` that of chain c, each a multiple
    of 1/65536. `op_<c>_<i>` and `magnitude_<c>_<i>` record the i-th operation of chain c as
    rand_augment does; beyond the drawn depth it is identity.
    """

    severity: Annotated[float, Field(ge=0.1, le=10)] = 3.0
    """the highest level of an operation"""
    width: Annotated[int, Field(ge=1, le=8)] = 3
    """how many chains are mixed"""
    depth: Annotated[WholeInterval, whole_interval(1, 8)] = (1, 3)
    """how many operations a chain has; each number in the interval is as likely"""

    def magnitudes(self, size: Size) -> dict[str, np.ndarray]:
        part = (0.1 + (self.severity - 0.1) * (np.arange(_LEVELS) + 0.5) / _LEVELS) / 10
        height, width = size
        return {
            "identity": NONE,
            "autocontrast": NONE,
            "equalize": NONE,
            "rotate": either(np.floor(30 * part)),
            "posterize": alike(4 - np.floor(4 * part)),
            "solarize": alike(256 - np.floor(256 * part)),
            "shear_x": either(0.3 * part),
            "shear_y": either(0.3 * part),
            "translate_x": either(np.floor(width / 3 * part)),
            "translate_y": either(np.floor(height / 3 * part)),
        }

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        space = self.space(self.known(size))
        shares = self._shares(u)
        draw: Draw = {f"weight_{c}": _unit(share) for c, share in enumerate(shares)}
        draw["_weights"] = stack([cast(share, np.int32) for share in shares])
        low, high = self.depth
        operations = {}
        for c in range(1, self.width + 1):
            depth = u.integer(_OF_A_CHAIN * c + 1, high - low + 1) + low
            for i in range(high):
                counter = _OF_A_CHAIN * c + 2 + 3 * i
                position = u.integer(counter, len(space.names) - 1) + 1
                index = 2 * u.integer(counter + 1, _LEVELS) + u.integer(counter + 2, 2)
                within = depth > i
                operations[f"{c}_{i + 1}"] = (
                    where(within, position, depth * 0),
                    where(within, index, depth * 0),
                )
        return draw | space.drawn(operations)

    def _shares(self, u: Uniforms) -> list[Array]:
        """int64 [...] in 65536ths: the original's share and that of each chain; they add up to one.

        Exponentials, divided by their sum, are distributed as Dirichlet(1, ..., 1).
        What rounding down leaves goes to the original.
        """
        exponentials = [
            take(table(_fixed_exponential, np.int64), u.index(_OF_A_CHAIN * c))
            for c in range(1, self.width + 1)
        ]
        total = functools.reduce(lambda one, other: one + other, exponentials)
        mixed = cast(u.index(0), np.int64)
        chains = [e * mixed // total for e in exponentials]
        return [65536 - functools.reduce(lambda one, other: one + other, chains), *chains]

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        each, depth = self.space(size).kernels(draw["_choices"], self.fill_value), self.depth[1]
        chains = [sum(each[start : start + depth], ()) for start in range(0, len(each), depth)]
        return (Blend(weights=draw["_weights"], branches=((), *chains)),)


_OF_A_CHAIN = 64
"""Chain c draws from counter 64 c on, whatever the depth of the others."""


def _unit(share: Array) -> Array:
    return cast(share, np.float32) * np.float32(1 / 65536)  # a power of two: exact


def _fixed_exponential(u: np.ndarray) -> np.ndarray:
    return -np.log(1 - u) * (1 << 24)
