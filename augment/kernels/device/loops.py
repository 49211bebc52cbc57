"""Loops in graphs, for kernels that do the same with other numbers, one after the other.

A graph that holds all branches of each of them takes seconds to start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import tensorflow as tf

from augment.array_api import is_numpy
from augment.kernels import kinds, maps


def runs(kernels: Sequence[kinds.Kernel]) -> list[list[Any]]:
    """The kernels in order, together those neighbours with branches that differ in their arrays alone."""
    found: list[list[Any]] = []
    before = None
    for kernel in kernels:
        form = repr(_mapped(kernel, _spec)) if isinstance(kernel, (kinds.Choose, kinds.Blend)) else None
        if form and form == before:
            found[-1].append(kernel)
        else:
            found.append([kernel])
        before = form
    return found


def _spec(array: Any) -> tuple[Any, str]:
    return tuple(np.shape(array)), tf.as_dtype(array.dtype).name


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same kernel, kernels or map, with what `change` makes of each of its arrays."""
    if isinstance(value, tuple):
        return tuple(_mapped(each, change) for each in value)
    if not isinstance(value, (kinds.Kernel, *get_args(maps.Map))):
        return value
    record: Any = value
    arrays = kinds.arrays_of(record)
    changed = {}
    for f in dataclasses.fields(record):
        held = getattr(record, f.name)
        changed[f.name] = change(held) if f.name in arrays and held is not None else _mapped(held, change)
    return dataclasses.replace(record, **changed)


def in_turn(run: list[Any], step: Callable[[Any, tf.Tensor], tf.Tensor], state: tf.Tensor) -> tf.Tensor:
    """`state = step(kernel, state)` for each kernel of a run, which within a graph is one loop."""
    if len(run) == 1 or tf.executing_eagerly():
        for kernel in run:
            state = step(kernel, state)
        return state
    held: list[list[Any]] = []
    for kernel in run:
        held.append([])
        _mapped(kernel, held[-1].append)
    arrays = list(zip(*held, strict=True))  # for each of a kernel's arrays, that of every kernel
    alike = [all(is_numpy(array) and np.array_equal(array, each[0]) for array in each) for each in arrays]
    stacked = [each[0] if same else tf.stack(each) for each, same in zip(arrays, alike, strict=True)]

    def body(i: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        own = iter([array if same else array[i] for array, same in zip(stacked, alike, strict=True)])
        return i + 1, tf.ensure_shape(step(_mapped(run[0], lambda _: next(own)), state), state.shape)

    count = len(run)
    return tf.while_loop(lambda i, _: i < count, body, (tf.constant(0), state), maximum_iterations=count)[1]
