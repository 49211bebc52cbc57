"""Datasets whose files are objects: what needs no store to be seen."""

from __future__ import annotations

import pytest
import tensorflow as tf

from augment.recipe import Storage
from pipelines.datasets import tfdata
from pipelines.format.parsing import parse
from tests.graphs import stateful_ops


def test_reading_objects_brings_no_stateful_op_into_a_mapped_graph():
    shards = tfdata._remote_records([("s3://bucket/out/flowers-train_c0.tfrecord-00000-of-00001", 1)], (4, 4))
    assert list(stateful_ops(shards)) == []


@pytest.mark.parametrize("stored", ["png", "jpeg", "raw"])
def test_parsing_records_brings_no_stateful_op_into_a_mapped_graph(stored):
    records = tf.data.Dataset.from_tensor_slices([b""])
    parsed = records.map(lambda record: parse(record, Storage(format=stored), (4, 4, 3), classes=2))
    assert list(stateful_ops(parsed)) == []
