"""Mixing in tf.data: a map over batches."""

from __future__ import annotations

import tensorflow as tf

from augment.errors import RequestError
from augment.keys import source_words
from augment.mixing.batch import Mixer, check_input
from augment.mixing.kinds import Mixing

Batch = dict[str, tf.Tensor]


def mix_dataset(
    dataset: tf.data.Dataset,
    mixing: str | Mixing,
    *,
    seed: int,
    classes: int,
    copy: int | tf.Tensor | None = None,
) -> tf.data.Dataset:
    """The same batches, mixed, in order.

    Args:
        dataset: of batches, dictionaries with `image`, uint8 [B, H, W, C], augmented; `label`, whole numbers
            [B]; `source`, string [B], or `tfds_id`, or else `key`, uint32 [B, 2]; and `copy`, whole numbers
            [B], unless it is given. `augment_dataset`, `from_images` and `from_shards` yield them if they are
            asked for a `batch_size`.
        mixing, seed: as for `mix_batch`.
        classes: how many there are.
        copy: the epoch's number, from 0.

    Returns the same dictionaries with `image` mixed and `label` float32 [B, classes]. Raises RequestError for
    batches that are none of these.
    """
    mixer, spec = Mixer(mixing, seed), dataset.element_spec
    if not isinstance(spec, dict):
        raise RequestError(
            "the dataset's elements are no dictionaries; they must be, with 'image' and 'label'"
        )
    identity = next((name for name in ("key", "source", "tfds_id") if name in spec), "key")
    needed = ["image", "label", *["copy"] * (copy is None), *["key"] * (identity == "key")]
    for name in needed:
        check_input(name, spec.get(name))

    @tf.autograph.experimental.do_not_convert
    def mixed(batch: Batch) -> Batch:
        key = batch[identity]
        if identity != "key":
            words = tf.numpy_function(source_words, [key], tf.uint32, stateful=False)
            key = tf.ensure_shape(words, [None, 2])
        number = batch["copy"] if copy is None else tf.broadcast_to(copy, tf.shape(key)[:1])
        return {**batch, **mixed_batch(mixer, {**batch, "key": key, "copy": number}, classes)}

    return dataset.map(mixed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def mixed_batch(mixer: Mixer, batch: Batch, classes: int) -> Batch:
    """`image` and `label` of a batch, mixed, in TensorFlow; it has `image`, `label`, `key` and `copy`."""
    draw = mixer.draw(batch["image"], batch["key"], batch["copy"])
    return {
        "image": mixer.images(draw, batch["image"]),
        "label": mixer.labels(draw, batch["image"], batch["label"], classes),
    }
