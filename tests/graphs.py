"""What is in the graphs of a dataset."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.framework import op_def_registry


def stateful_ops(dataset: tf.data.Dataset) -> Iterator[str]:
    """The stateful ops within the functions that a dataset maps."""
    graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
    assert graph.library.function
    for function in graph.library.function:
        for node in function.node_def:
            definition = op_def_registry.get(node.op)
            if definition is not None and definition.is_stateful:
                yield f"{function.signature.name}: {node.op} {node.name}"
