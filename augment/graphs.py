"""The device backend for samples one by one: what is done to them, as graphs of TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow as tf

from augment.draws import Draw, flat, nested
from augment.kernels import device
from augment.program import Describe


class Device:
    """See `augment.backends.Backend`. A graph takes images of any size; it is pinned to the CPU."""

    name: Literal["device"] = "device"

    def __init__(self) -> None:
        self._graph = functools.lru_cache(maxsize=256)(_traced)

    def run(self, describe: Describe, image: np.ndarray, draw: Draw) -> np.ndarray:
        values = flat(draw)
        specs = tuple((path, value.dtype.str, value.shape) for path, value in values.items())
        graph = self._graph(describe, image.shape[-1], specs)
        with tf.device("CPU"):
            out = graph(tf.constant(image), *map(tf.constant, values.values()))
        return np.asarray(memoryview(out))


def _traced(
    describe: Describe, channels: int, specs: tuple[tuple[tuple[str, ...], str, tuple[int, ...]], ...]
) -> Callable[..., tf.Tensor]:
    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, None, channels], tf.uint8),
            *(tf.TensorSpec(shape, np.dtype(dtype)) for _, dtype, shape in specs),
        ],
    )
    def computed(image: tf.Tensor, *values: tf.Tensor) -> tf.Tensor:
        height, width = tf.unstack(tf.shape(image)[:2])
        draw = nested({path: value for (path, _, _), value in zip(specs, values, strict=True)})
        return device.apply(describe(draw, (height, width)), image)

    graph = computed.get_concrete_function()

    def call(*inputs: tf.Tensor) -> tf.Tensor:
        """Without what `tf.function` does before every call: a millisecond of Python."""
        args = [*inputs, *graph.captured_inputs]
        return tf.raw_ops.PartitionedCall(args=args, Tout=[tf.uint8], f=graph)[0]

    return call
