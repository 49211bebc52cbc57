"""The layer and a materialized dataset: the same draws, the same pixels, sample by sample."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from blake3 import blake3

from augment import codec
from augment.keys import source_words
from augment.layer import AugmentLayer
from augment.recipe import load_recipe


@pytest.fixture(scope="module")
def rows(images, materialize):
    """The samples table of the augmented split, in three copies."""
    table = pq.read_table(sorted((materialize(images, "--copies", 3) / "samples").glob("train_c*.parquet")))
    assert table.num_rows == 60
    return table.to_pylist()


@pytest.fixture(scope="module")
def layer(recipe_file):
    return AugmentLayer(load_recipe(recipe_file("png")), seed=0, dtype="uint8")


def key_and_copy(rows):
    return source_words(row["source"] for row in rows), np.array([row["copy"] for row in rows], np.int32)


def test_c2_what_the_layer_draws_stands_in_the_samples_table(rows, layer):
    drawn = tf.function(layer.draw)(*map(tf.constant, key_and_copy(rows)))
    assert len(drawn) == 6
    for name, values in drawn.items():
        np.testing.assert_array_equal(values, [row[name] for row in rows], err_msg=name)


def test_c3_what_the_layer_yields_has_the_digests_of_what_is_stored(rows, layer, images):
    call = tf.function(layer, reduce_retracing=True)  # pictures are of twenty sizes
    for row in rows:
        key, copy = key_and_copy([row])
        image = codec.decode((images / row["source"]).read_bytes())
        [pixels] = call({"image": image[tf.newaxis], "key": key, "copy": copy}, training=True).numpy()
        assert blake3(pixels).hexdigest() == row["pixels_blake3"], row["source"]
