"""How a DataLoader's worker hands tensors to the process that asked for them.

PyTorch takes new shared memory for each tensor, copies it there and sends a file descriptor, which costs more
than to read the raw images of a batch. Here a worker keeps the memory of its images, and uses it again once
nobody holds them any more; what else a batch has is small, and goes along with the message.

    worker: images = Lender(bytes).take(shape)    which is filled, and yielded as any tensor
    other:  gets a tensor of the same memory; where its last reference goes, the memory is the worker's again

Whoever changes a tensor on the way, in the worker, hands over one of PyTorch's own.
"""

from __future__ import annotations

import itertools
import math
import os
import weakref
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch as pytorch

_MOST = 8
"""Blocks that a worker keeps: what it has made ahead, and what is held by whoever trains."""

_WORKER, _OTHER = 0, 1
"""The last bytes of a block say by whom it is held."""

_NUMBERS = itertools.count()


class Lender:
    """The memory of a worker's images, in blocks of so many bytes. Used by one thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks: list[_Block] = []

    def take(self, shape: tuple[int, ...]) -> pytorch.Tensor:
        """A uint8 tensor that holds anything; of new memory where all blocks are held."""
        free = (block for block in self._blocks if not block.held.any())
        block = next(free, None)
        if block is None and len(self._blocks) < _MOST:
            block = _Block(self._size)
            self._blocks.append(block)
        if block is None:
            return pytorch.empty(shape, dtype=pytorch.uint8)
        block.held[_WORKER] = 1
        lent = _tensor_of(block.memory, shape, _WORKER).as_subclass(_Lent)
        lent.block = block
        return lent


class _Block:
    def __init__(self, size: int) -> None:
        self.memory = pytorch.zeros(size + 2, dtype=pytorch.uint8).share_memory_()
        self.held = self.memory.numpy()[size:]
        self.key = os.getpid(), next(_NUMBERS)
        self.known = False
        """to the other process"""


def _tensor_of(memory: pytorch.Tensor, shape: tuple[int, ...], holder: int) -> pytorch.Tensor:
    """Of a block's memory, which its holder lets go of with the last reference to the tensor or a view."""
    pixels = memory.numpy()[: math.prod(shape)].reshape(shape)
    weakref.finalize(pixels, _let_go, memory.numpy()[-2:], holder, os.getpid()).atexit = False
    return pytorch.from_numpy(pixels)  # which holds the array, as long as anything holds its memory


def _let_go(held: np.ndarray, holder: int, process: int) -> None:
    if os.getpid() == process:  # and not one that was forked from it
        held[holder] = 0
        _forget_the_dead()


class _Lent(pytorch.Tensor):
    """Images in a worker's block. What is computed from them is a tensor as any other."""

    __torch_function__ = pytorch._C._disabled_torch_function_impl
    block: _Block


def _hand_over(lent: _Lent) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    block = lent.block
    if block.held[_OTHER]:  # it is there already, and may be changed
        return pytorch.from_numpy, (lent.numpy().copy(),)
    block.held[_OTHER] = 1
    memory, block.known = None if block.known else block.memory, True
    return _received, (block.key, memory, tuple(lent.shape))


_RECEIVED: dict[tuple[int, int], pytorch.Tensor] = {}
"""The blocks of workers, by their process and number."""


def _received(key: tuple[int, int], memory: pytorch.Tensor | None, shape: tuple[int, ...]) -> pytorch.Tensor:
    if memory is not None:
        _RECEIVED[key] = memory
    return _tensor_of(_RECEIVED[key], shape, _OTHER)


def _forget_the_dead() -> None:
    """Lets go of the blocks of workers that have ended."""
    for process in {process for process, _ in list(_RECEIVED)}:
        try:
            os.kill(process, 0)
        except OSError:
            for key in [key for key in list(_RECEIVED) if key[0] == process]:
                _RECEIVED.pop(key, None)


class _Small(pytorch.Tensor):
    """What is so small that a file descriptor of its own would cost more than to copy it."""

    __torch_function__ = pytorch._C._disabled_torch_function_impl


def small(values: np.ndarray) -> pytorch.Tensor:
    """A tensor of an array's memory, that is handed over as part of the message."""
    return pytorch.from_numpy(values).as_subclass(_Small)


ForkingPickler.register(_Lent, _hand_over)
ForkingPickler.register(_Small, lambda tensor: (pytorch.from_numpy, (tensor.numpy(),)))
