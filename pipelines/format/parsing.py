"""Records as TensorFlow reads them, in a graph."""

from __future__ import annotations

import tensorflow as tf

from augment.codec import DecodeError, jpeg, png
from augment.codec.formats import JPEG
from augment.recipe import Shape, Storage


def parse(
    record: tf.Tensor, storage: Storage, shape: Shape, classes: int | None = None
) -> dict[str, tf.Tensor]:
    """A record (string scalar) as image uint8 [H, W, C], label int64, source string, copy int64.

    Fails with tf.errors.InvalidArgumentError for one that is not, or whose label is none of `classes`.
    """
    parsed = tf.io.parse_single_example(
        record,
        {
            "image": tf.io.FixedLenFeature([], tf.string),
            "label": tf.io.FixedLenFeature([], tf.int64),
            "source": tf.io.FixedLenFeature([], tf.string),
            "copy": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    label = parsed["label"] if classes is None else checked_label(parsed["label"], classes)
    return {**parsed, "label": label, "image": decode_stored(parsed["image"], storage, shape)}


def checked_label(label: tf.Tensor, classes: int) -> tf.Tensor:
    """A label, int64 scalar, that numbers one of so many classes; else tf.errors.InvalidArgumentError.

    An assertion would be a stateful op, which makes every ordered map serial.
    """
    known = tf.cast((label >= 0) & (label < classes), tf.int32)
    return tf.reshape(label[tf.newaxis][:known], [])


def decode_stored(contents: tf.Tensor, storage: Storage, shape: Shape) -> tf.Tensor:
    """What a record's bytes mean: uint8 of this shape (H, W, C), as tf.io.decode_image and TFDS read them.

    The pixels and the refusals of `codec.decode_stored`; fails with tf.errors.InvalidArgumentError.
    """
    height, width, channels = shape
    if storage.format == "raw":
        return tf.reshape(tf.io.decode_raw(contents, tf.uint8), shape)
    if storage.format == "png":  # as every PNG of ours begins: eight bits of RGB or gray
        right, decode = _begins(contents, png.header(width, height, channels)), tf.io.decode_png
    else:
        right, decode = _begins(contents, JPEG), tf.io.decode_jpeg
        right &= tf.cond(right, lambda: _of_shape(contents, shape), lambda: False)
    image = tf.cond(right, lambda: decode(contents, channels), lambda: tf.zeros([0, 0, channels], tf.uint8))
    return tf.ensure_shape(image, shape)


def _begins(contents: tf.Tensor, header: bytes) -> tf.Tensor:
    """(`substr` of more than there is would fail, quoting all of the file.)"""
    count = tf.minimum(len(header), tf.strings.length(contents))
    return tf.strings.substr(contents, 0, count) == header


def _of_shape(contents: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Whether a JPEG is of a shape, and decoded soon."""

    def has_few_scans(contents: bytes) -> bool:
        try:
            jpeg.check(contents)
        except DecodeError:
            return False
        return True

    harmless = shape[0] * shape[1] * tf.cast(tf.strings.length(contents), tf.int64) <= jpeg.HARMLESS
    return tf.reduce_all(tf.io.extract_jpeg_shape(contents) == shape) & tf.cond(
        harmless,
        lambda: True,
        lambda: tf.ensure_shape(tf.numpy_function(has_few_scans, [contents], tf.bool, stateful=False), []),
    )
