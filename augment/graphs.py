"""The device backend for samples, one or many: what is done to them, as graphs of TensorFlow."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from augment.draws import Draw, at, flat, nested
from augment.kernels import device, kinds
from augment.program import Describe

Specs = tuple[tuple[tuple[str, ...], str, tuple[int, ...]], ...]
"""What is drawn for a sample: path, dtype and shape of each array."""

AT_ONCE = 8
"""Images in one call of what is compiled."""
LARGEST = 1 << 20
"""Bytes of an image from which on a call gains nothing by taking several."""
COMPILED_FROM = 128
"""Images of one size from which on it is worth a tenth of a second, or one, to compile for them."""


class Device:
    """See `augment.backends.Backend`. A graph takes images of any size; it is pinned to the CPU.

    Of many images of one size what is done to them is compiled, by XLA.
    """

    name: Literal["device"] = "device"

    def __init__(self) -> None:
        self._graph = functools.lru_cache(maxsize=256)(_traced)
        self._compiled = functools.lru_cache(maxsize=32)(_compiled)
        self._asked: collections.Counter[tuple[Describe, tuple[int, ...]]] = collections.Counter()

    def run(self, describe: Describe, image: np.ndarray, draw: Draw) -> np.ndarray:
        values = flat(draw)
        specs = tuple((path, value.dtype.str, value.shape) for path, value in values.items())
        graph = self._graph(describe, image.shape[-1], specs)
        with tf.device("CPU"):
            out = graph(tf.constant(image), *map(tf.constant, values.values()))
        return np.asarray(memoryview(out))

    def run_each(self, describe: Describe, images: Sequence[np.ndarray], draw: Draw) -> list[np.ndarray]:
        by_size: dict[tuple[int, ...], list[int]] = {}
        for number, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(number)
        made: dict[int, np.ndarray] = {}
        for size, numbers in by_size.items():
            self._asked[describe, size] += len(numbers)
            several = len(numbers) >= AT_ONCE // 2 and self._asked[describe, size] >= COMPILED_FROM
            if several and np.prod(size) < LARGEST:
                made |= self._at_once(describe, images, draw, numbers)
            for number in numbers:
                if number not in made:
                    made[number] = self.run(describe, images[number], at(draw, number))
        return [made[number] for number in range(len(images))]

    def _at_once(
        self, describe: Describe, images: Sequence[np.ndarray], draw: Draw, numbers: list[int]
    ) -> dict[int, np.ndarray]:
        """Of those of the images, which have one size, that are enough for a call."""
        values = flat(draw)
        specs = tuple((path, value.dtype.str, value.shape[1:]) for path, value in values.items())
        compiled = self._compiled(describe, images[numbers[0]].shape, specs)
        made: dict[int, np.ndarray] = {}
        if compiled is None:
            return made
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            if len(some) < AT_ONCE // 2:
                break
            all_of_them = some + some[-1:] * (AT_ONCE - len(some))
            batch = np.stack([images[number] for number in all_of_them])
            with tf.device("CPU"):
                drawn = (tf.constant(value[all_of_them]) for value in values.values())
                out = compiled(tf.constant(batch), *drawn)
            made |= zip(some, np.asarray(memoryview(out)), strict=False)
        return made


def _traced(describe: Describe, channels: int, specs: Specs) -> Callable[..., tf.Tensor]:
    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, channels], tf.uint8),
            *(tf.TensorSpec(shape, np.dtype(dtype)) for _, dtype, shape in specs),
        ],
    )
    def computed(image: tf.Tensor, *values: tf.Tensor) -> tf.Tensor:
        height, width = tf.unstack(tf.shape(image)[:2])
        return device.apply(describe(_drawn(specs, values), (height, width)), image)

    graph = computed.get_concrete_function()

    def call(*inputs: tf.Tensor) -> tf.Tensor:
        """Without what `tf.function` does before every call: a millisecond of Python."""
        args = [*inputs, *graph.captured_inputs]
        return tf.raw_ops.PartitionedCall(args=args, Tout=[tf.uint8], f=graph)[0]

    return call


def _compiled(describe: Describe, size: tuple[int, ...], specs: Specs) -> Callable[..., tf.Tensor] | None:
    """Of uint8 [AT_ONCE, *size], and arrays [AT_ONCE, ...]; None where that would not be faster.

    XLA cannot do it, or might not, or each image would take every branch.
    """
    height, width, _ = size
    none = [np.zeros([0, *shape], dtype) for _, dtype, shape in specs]
    kernels = describe(_drawn(specs, none), (height, width))
    slow = kinds.Choose, kinds.Blend, kinds.Custom
    if not device.compiles(kernels) or any(isinstance(kernel, slow) for kernel in kernels):
        return None

    @tf.function(
        autograph=False,
        jit_compile=True,
        input_signature=[
            tf.TensorSpec([AT_ONCE, *size], tf.uint8),
            *(tf.TensorSpec([AT_ONCE, *shape], np.dtype(dtype)) for _, dtype, shape in specs),
        ],
    )
    def computed(images: tf.Tensor, *values: tf.Tensor) -> tf.Tensor:
        return device.apply(describe(_drawn(specs, values), (height, width)), images)

    return computed.get_concrete_function()  # as `PartitionedCall` it would not be compiled


def _drawn(specs: Specs, values: Sequence[tf.Tensor | np.ndarray]) -> Draw:
    return nested({path: value for (path, _, _), value in zip(specs, values, strict=True)})
