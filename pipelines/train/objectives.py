"""What a model is to bring down, and how its output is read, for each thing that can be learned.

The model for boxes says of each cell of a grid over the image how sure it is, for each class, that the middle
of an object lies there, and where the box is: as in "Objects as Points" (arXiv:1904.07850), without its
blurred targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import keras
import tensorflow as tf

from pipelines.train.learned import CLASSES, MASKS, VOID, Task

MOST_BOXES = 100
"""Said of an image: those that the model is surest of, as COCO's evaluation takes them."""

_BOX_WEIGHT = 5.0
"""Of places in the loss, beside the classes: YOLO's."""


Loss: TypeAlias = keras.losses.Loss | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Objective(Protocol):
    """See above. `y` is as `Feed` gives it, or as `targets` makes it."""

    metrics: list[keras.metrics.Metric]
    """of training, named `score`; none where it takes a whole split to tell"""

    def loss(self) -> Loss:
        """For a model that is not compiled with one."""

    def targets(self, y: tf.Tensor) -> tf.Tensor:
        """What the loss takes."""

    def said(self, output: tf.Tensor) -> tf.Tensor:
        """What a judge takes."""


def objective_of(
    task: Task, classes: int, output: keras.KerasTensor, model: keras.Model, *, mixed: bool
) -> Objective:
    """For a model with its output; `mixed`: whether labels are shares of classes."""
    if task is CLASSES:
        logits = model.compiled and getattr(model.loss, "from_logits", False)
        return Classes(classes, binary=output.shape[-1] == 1, logits=logits, mixed=mixed)
    return Masks() if task is MASKS else Boxes()


class Classes:
    """One class an image. y: int64 [B], or shares, float32 [B, classes]; output: [B, classes] or [B, 1]."""

    def __init__(self, classes: int, *, binary: bool, logits: bool, mixed: bool) -> None:
        self._classes, self._binary, self._mixed = classes, binary, mixed
        self._threshold = 0.0 if logits else 0.5
        self.metrics = [self._accuracy()]

    def loss(self) -> keras.losses.Loss:
        if self._binary:
            return keras.losses.BinaryCrossentropy()
        if self._mixed:
            return keras.losses.CategoricalCrossentropy()
        return keras.losses.SparseCategoricalCrossentropy()

    def _accuracy(self) -> keras.metrics.Metric:
        """How often the class is told; of what is mixed, that of the largest share."""
        if self._binary:
            return keras.metrics.MeanMetricWrapper(self._told, name="score")
        if self._mixed:
            return keras.metrics.CategoricalAccuracy(name="score")
        return keras.metrics.SparseCategoricalAccuracy(name="score")

    def _told(self, shares: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        told = tf.equal(shares > 0.5, outputs > self._threshold)
        return tf.reduce_mean(tf.cast(told, tf.float32), axis=-1)

    def targets(self, y: tf.Tensor) -> tf.Tensor:
        if not (self._binary or self._mixed):
            return y
        shares = y if y.dtype.is_floating else tf.one_hot(y, self._classes)
        return shares[:, 1:] if self._binary else shares

    def said(self, output: tf.Tensor) -> tf.Tensor:
        """int64 [B]"""
        if self._binary:
            return tf.cast(output[:, 0] > self._threshold, tf.int64)
        return tf.argmax(output, axis=-1)


class Masks:
    """A class a pixel. y: uint8 [B, H, W], VOID for none; output: probabilities [B, H, W, classes]."""

    metrics: list[keras.metrics.Metric] = []  # noqa: RUF012 (never added to)

    def loss(self) -> Loss:
        return _of_pixels

    def targets(self, y: tf.Tensor) -> tf.Tensor:
        return y

    def said(self, output: tf.Tensor) -> tf.Tensor:
        """uint8 [B, H, W]"""
        return tf.cast(tf.argmax(output, axis=-1), tf.uint8)


def _of_pixels(y: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """[B]: the mean cross-entropy of an image's pixels but for VOID."""
    numbers = tf.cast(y, tf.int32)
    known = tf.cast(numbers != VOID, output.dtype)
    each = keras.losses.sparse_categorical_crossentropy(numbers * tf.cast(known, tf.int32), output)
    return tf.reduce_sum(each * known, axis=[1, 2]) / tf.maximum(tf.reduce_sum(known, axis=[1, 2]), 1.0)


class Boxes:
    """Objects. y: float32 [B, n, 5], ymin, xmin, ymax, xmax in parts of the sides, and class, -1 for none.

    Output: [B, rows, columns, classes + 4]: of each cell how sure each class is, as a logit, and behind them
    the middle of the box, y and x in parts of the cell, and its height and width in parts of the image.
    """

    metrics: list[keras.metrics.Metric] = []  # noqa: RUF012 (never added to)

    def loss(self) -> Loss:
        return _of_cells

    def targets(self, y: tf.Tensor) -> tf.Tensor:
        return y

    def said(self, output: tf.Tensor) -> tf.Tensor:
        """float32 [B, k, 6]: box, class and score. A cell speaks where none beside it is surer."""
        logits, places = output[..., :-4], output[..., -4:]
        rows, columns, classes = logits.shape[1:]
        sure = tf.sigmoid(logits)
        peaks = tf.where(sure >= tf.nn.max_pool2d(sure, 3, 1, "SAME"), sure, 0.0)
        scores, at = tf.math.top_k(tf.reshape(peaks, [-1, rows * columns * classes]), _most(logits))
        cells = at // classes
        corner = tf.stack([cells // columns, cells % columns], axis=-1)
        its = tf.gather(tf.reshape(places, [-1, rows * columns, 4]), cells, batch_dims=1)
        middle = (tf.cast(corner, tf.float32) + its[..., :2]) / [rows, columns]
        half = its[..., 2:] / 2
        number = tf.cast(at % classes, tf.float32)
        ends = tf.clip_by_value(tf.concat([middle - half, middle + half], axis=-1), 0.0, 1.0)
        return tf.concat([ends, number[..., tf.newaxis], scores[..., tf.newaxis]], axis=-1)


def _most(logits: tf.Tensor) -> int:
    rows, columns, classes = logits.shape[1:]
    return min(MOST_BOXES, rows * columns * classes)


def _of_cells(y: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """[B]: focal loss of the classes of cells, and how far boxes are off, by the number of objects."""
    logits, places = output[..., :-4], output[..., -4:]
    rows, columns, classes = logits.shape[1:]
    y = tf.pad(y, [[0, 0], [0, 1], [0, 0]], constant_values=-1.0)  # so that there is one, of no class
    grid = tf.constant([rows, columns], tf.float32)
    middle, sides = (y[..., :2] + y[..., 2:4]) / 2, y[..., 2:4] - y[..., :2]
    at = tf.clip_by_value(tf.floor(middle * grid), 0.0, grid - 1)
    cell = tf.cast(at[..., 0] * columns + at[..., 1], tf.int32)
    there = y[..., 4] >= 0
    area = sides[..., 0] * sides[..., 1]
    # [B, cells, n]: of several objects in a cell it has the place of the smallest, and the classes of all.
    inside = (cell[:, tf.newaxis] == tf.range(rows * columns)[:, tf.newaxis]) & there[:, tf.newaxis]
    kinds = tf.one_hot(tf.cast(y[..., 4], tf.int32), classes)
    right = tf.minimum(tf.matmul(tf.cast(inside, tf.float32), kinds), 1.0)
    right = tf.reshape(right, [-1, rows, columns, classes])
    sure = tf.sigmoid(logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=right, logits=logits)
    focal = tf.reduce_sum(tf.square(right - sure) * entropy, axis=[1, 2, 3])
    own = tf.concat([middle * grid - at, sides], axis=-1)
    smallest = tf.argmin(tf.where(inside, area[:, tf.newaxis], 2.0), axis=2)
    chosen = tf.gather(own, smallest, batch_dims=1)
    filled = tf.cast(tf.reduce_any(inside, axis=2), tf.float32)
    off = tf.reduce_sum(tf.abs(tf.reshape(places, [-1, rows * columns, 4]) - chosen), axis=2)
    count = tf.maximum(tf.reduce_sum(tf.cast(there, tf.float32), axis=1), 1.0)
    return (focal + _BOX_WEIGHT * tf.reduce_sum(off * filled, axis=1)) / count
