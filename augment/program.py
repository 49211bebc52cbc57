"""What a recipe comes to for a sample: kernels in order, with what changes no pixel saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from augment.array_api import is_numpy
from augment.draws import Draw
from augment.kernels.kinds import (
    Channels,
    Gray,
    Hue,
    Kernel,
    Kernels,
    Levels,
    Saturation,
    Window,
)
from augment.kernels.maps import Size
from augment.ops.base import Op
from augment.ops.sequence import Step, row_kernels

Describe = Callable[[Draw, Size], Kernels]
"""What is done to a sample: kernels, from what was drawn for it and the size of the image."""


def program(steps: Sequence[Step], draw: Draw, size: Size) -> Kernels:
    """The kernels of steps, of a recipe's or in a row within it.

    Args:
        draw: of one sample or of a batch, by the ops' ids; empty where all steps are deterministic.
        size: of the image that the first step is given, as for `Op.kernels`.

    What does not fire is not there, of one sample; neither is what only its neighbour needs.
    """
    return joined(row_kernels(steps, draw, size))


def plain_program(ops: Sequence[Op], draw: Draw, size: Size) -> Kernels:
    """The kernels that bring an image of `size` to the recipe's, and do no more."""
    kernels: Kernels = ()
    for op in ops:
        kernels += op.plain_kernels(size)
        size = op.output_size(size) or size
    return joined(kernels)


def joined(kernels: Kernels) -> Kernels:
    """The same levels by fewer or smaller kernels: tables after tables are one, and crops come first.

    Maps after maps are joined where they are made, for that is another resampling.
    """
    if len(kernels) < 2:
        return kernels
    done: list[Kernel] = []
    for kernel in kernels:
        before = done[-1] if done else None
        if isinstance(kernel, Levels) and isinstance(before, Levels) and _of_one_image(before, kernel):
            done[-1] = Levels(table=_after(kernel.table, before.table))
            continue
        place = len(done)
        if isinstance(kernel, Window) and kernel.border != "constant":  # which adds a level of its own
            while place and isinstance(done[place - 1], _BY_PIXEL):
                place -= 1
        done.insert(place, kernel)
    return tuple(done)


_BY_PIXEL = (Levels, Gray, Channels, Hue, Saturation)
"""Kernels that make of a pixel what it is, wherever it stands."""


def _of_one_image(*levels: Levels) -> bool:
    return all(is_numpy(one.table) and one.table.ndim == 2 for one in levels)


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """uint8 [1 or 3, 256]: looking up in the first, then in the second."""
    if len(first) == len(second) == 1:
        return second[0][first]
    channels = max(len(first), len(second))
    both = (np.broadcast_to(table, (channels, 256)) for table in (second, first))
    return np.stack([two[one] for two, one in zip(*both, strict=True)])
