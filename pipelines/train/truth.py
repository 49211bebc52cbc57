"""What is right of a sample, in the form that losses and judges take."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from augment.recipe import Shape
from pipelines.train.learned import BOXES, CLASSES, MASKS, Learned


class Truth:
    """What a model should say of a sample: a label int64; or a mask uint8 [H, W], the class of each pixel or
    VOID; or objects float32 [n, 5], ymin, xmin, ymax, xmax in parts of the sides, and class."""

    def __init__(self, learned: Learned, shape: Shape) -> None:
        """`shape` is that of images."""
        self._learned, self._shape = learned, shape
        self.moves = learned.moves

    def of(self, sample: dict[str, Any]) -> tf.Tensor:
        """That of a sample as `from_shards` and `from_images` give it. Crowds are left out."""
        if self._learned.task is CLASSES:
            return sample["label"]
        if self._learned.task is MASKS:
            ids = tf.cast(sample["segmentation_mask"][..., 0], tf.int32)
            return tf.gather(tf.constant(self._learned.numbers), ids)
        objects = sample["objects"]
        number = tf.cast(objects["label"], tf.float32)
        boxes = tf.concat([objects["bbox"], number[:, tf.newaxis]], axis=1)
        return tf.ensure_shape(tf.boolean_mask(boxes, ~objects["is_crowd"]), [None, 5])

    def batched(self, samples: tf.data.Dataset, batch: int) -> tf.data.Dataset:
        """In batches, in which images with fewer objects have others of class -1."""
        if self._learned.task is not BOXES:
            return samples.batch(batch)
        none = tf.constant(0, tf.uint8), tf.constant(-1, tf.float32)
        return samples.padded_batch(batch, (self._shape, [None, 5]), none)
