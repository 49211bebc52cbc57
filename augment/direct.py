"""Calling a traced graph without what `tf.function` does before every call: a millisecond of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from augment.arrays import tf


def direct_call(graph: Any) -> Callable[..., tuple[tf.Tensor, ...]]:
    """From the flat inputs of a `tf.types.experimental.ConcreteFunction` to its flat outputs."""
    outputs = [tensor.dtype for tensor in graph.outputs]

    def call(*inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.raw_ops.PartitionedCall(args=[*inputs, *graph.captured_inputs], Tout=outputs, f=graph)
        )

    return call
