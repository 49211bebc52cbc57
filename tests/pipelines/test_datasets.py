"""Datasets whose files are objects: what needs no store to be seen."""

from __future__ import annotations

from pipelines import datasets
from tests.graphs import stateful_ops


def test_reading_objects_brings_no_stateful_op_into_a_mapped_graph():
    shards = datasets._remote_records(["s3://bucket/out/flowers-train_c0.tfrecord-00000-of-00001"])
    assert list(stateful_ops(shards)) == []
