"""Kernels in order, joined where that changes no pixel."""

from __future__ import annotations

import numpy as np

from augment.arrays import is_numpy
from augment.kernels.kinds import Kernel, Kernels, Levels


def joined(kernels: Kernels) -> Kernels:
    """The same kernels with tables after tables made one, which is exact.

    Maps after maps are joined where they are made, for that is another resampling.
    """
    done: list[Kernel] = []
    for kernel in kernels:
        before = done[-1] if done else None
        if isinstance(kernel, Levels) and isinstance(before, Levels) and _of_one_image(before, kernel):
            done[-1] = Levels(table=_after(kernel.table, before.table))
        else:
            done.append(kernel)
    return tuple(done)


def _of_one_image(*levels: Levels) -> bool:
    return all(is_numpy(one.table) and np.ndim(one.table) == 2 for one in levels)


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """uint8 [1 or 3, 256]: looking up in the first, then in the second."""
    channels = max(len(first), len(second))
    both = (np.broadcast_to(table, (channels, 256)) for table in (second, first))
    return np.stack([two[one] for two, one in zip(*both, strict=True)])
