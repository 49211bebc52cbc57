"""The device backend for samples, one or many: what is done to them, as graphs of TensorFlow."""

from __future__ import annotations

import collections
import functools
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from augment.draws import Draw, at, flat, nested
from augment.kernels import device, kinds
from augment.program import Describe

Specs = tuple[tuple[tuple[str, ...], str, tuple[int, ...]], ...]
"""What is drawn for a sample: path, dtype and shape of each array."""
ConcreteFunction = Any
"""tf.types.experimental.ConcreteFunction"""

AT_ONCE = 4
"""Images in one call of what is compiled."""
LARGEST = 1 << 20
"""Bytes of an image from which on a call gains nothing by taking several."""
FEWEST = 2
"""Images from which on such a call takes less than a graph for each."""
COMPILED_FROM = 128
"""Images of one size from which on it is worth a tenth of a second, or half of one, to compile for them."""
MANY = 32
"""As many at once are the size that a recipe makes, and not of a photo among others: there will be more."""


class Device:
    """See `augment.backends.Backend`. A graph takes images of any size; it is pinned to the CPU.

    Of many images of one size what is done to them is compiled, by XLA.
    """

    name: Literal["device"] = "device"

    def __init__(self) -> None:
        self._graphs = functools.lru_cache(maxsize=256)(_graph)
        self._compiled = functools.lru_cache(maxsize=32)(_compiled)
        self._asked: collections.Counter[tuple[Describe, tuple[int, ...]]] = collections.Counter()
        self._one = threading.Lock()
        """held while a graph is made, which threads would else make more than once"""

    def run(self, describe: Describe, image: np.ndarray, draw: Draw) -> np.ndarray:
        values = flat(draw)
        with self._one:
            graph = self._graphs(describe, (None, None, image.shape[-1]), _specs(values, 0))
        return _called(graph, image, list(values.values()))

    def run_each(self, describe: Describe, images: Sequence[np.ndarray], draw: Draw) -> list[np.ndarray]:
        by_size: dict[tuple[int, ...], list[int]] = {}
        for number, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(number)
        made: dict[int, np.ndarray] = {}
        for size, numbers in by_size.items():
            self._asked[describe, size] += len(numbers)
            many = len(numbers) >= MANY or self._asked[describe, size] >= COMPILED_FROM
            if many and len(numbers) >= FEWEST and np.prod(size) < LARGEST:
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
        with self._one:
            compiled = self._compiled(describe, images[numbers[0]].shape, _specs(values, 1))
        made: dict[int, np.ndarray] = {}
        if compiled is None:
            return made
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            if len(some) < FEWEST:
                break
            all_of_them = some + some[-1:] * (AT_ONCE - len(some))
            batch = np.stack([images[number] for number in all_of_them])
            out = _called(compiled, batch, [value[all_of_them] for value in values.values()])
            made |= zip(some, out, strict=False)
        return made


def _specs(values: Mapping[tuple[str, ...], np.ndarray], axes: int) -> Specs:
    """Of values that have so many axes in front of a sample's own."""
    return tuple((path, value.dtype.str, value.shape[axes:]) for path, value in values.items())


def _called(graph: ConcreteFunction, images: np.ndarray, values: Sequence[np.ndarray]) -> np.ndarray:
    """What a graph makes, without what `tf.function` does before every call: a millisecond of Python."""
    with tf.device("CPU"):
        args = [tf.constant(images), *map(tf.constant, values), *graph.captured_inputs]
        out = tf.raw_ops.PartitionedCall(args=args, Tout=[tf.uint8], f=graph)[0]
    return np.asarray(memoryview(out))


def _graph(
    describe: Describe, shape: tuple[int | None, ...], specs: Specs, *, compiled: bool = False
) -> ConcreteFunction:
    """Of uint8 [*shape] and the arrays of a sample, or, where the shape is of a batch, of as many."""
    batch = shape[:-3]

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec(shape, tf.uint8),
            *(tf.TensorSpec([*batch, *own], np.dtype(dtype)) for _, dtype, own in specs),
        ],
    )
    def computed(images: tf.Tensor, *values: tf.Tensor) -> tf.Tensor:
        kernels = describe(_drawn(specs, values), device.size_of(images))
        if not compiled:
            return device.apply(kernels, images)
        for kernel in kernels:
            # One at a time: XLA would compute what one makes anew for each pixel that the next takes of it.
            apply = functools.partial(device.apply, (kernel,))
            images = tf.function(apply, autograph=False, jit_compile=True)(images)
        return images

    return computed.get_concrete_function()


def _compiled(describe: Describe, size: tuple[int, ...], specs: Specs) -> ConcreteFunction | None:
    """Of uint8 [AT_ONCE, *size], and arrays [AT_ONCE, ...]; None where that would not be faster.

    XLA cannot do it, or might not, or each image would take every branch.
    """
    height, width, _ = size
    none = [np.zeros([0, *shape], dtype) for _, dtype, shape in specs]
    kernels = describe(_drawn(specs, none), (height, width))
    slow = kinds.Choose, kinds.Blend, kinds.Custom
    if not device.compiles(kernels) or any(isinstance(kernel, slow) for kernel in kernels):
        return None
    return _graph(describe, (AT_ONCE, *size), specs, compiled=True)


def _drawn(specs: Specs, values: Sequence[tf.Tensor | np.ndarray]) -> Draw:
    return nested({path: value for (path, _, _), value in zip(specs, values, strict=True)})
