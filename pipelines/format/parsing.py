"""Records as TensorFlow reads them, in a graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from augment.codec import DecodeError, jpeg, png
from augment.codec.formats import JPEG
from augment.recipe import Shape, Storage
from pipelines.format.targets import Targets


def parse(
    record: tf.Tensor,
    storage: Storage,
    shape: Shape,
    classes: int | None = None,
    targets: Targets | None = None,
    *,
    labeled: bool = True,
) -> dict[str, Any]:
    """A record (string scalar) as image uint8 [H, W, C], label int64, source string, copy int64; and targets.

    These are as `parse_targets` has them. Fails with tf.errors.InvalidArgumentError for one that is not, or
    whose label is none of `classes`.
    """
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "source": tf.io.FixedLenFeature([], tf.string),
        "copy": tf.io.FixedLenFeature([], tf.int64),
    }
    if labeled:
        spec["label"] = tf.io.FixedLenFeature([], tf.int64)
    parsed = dict(tf.io.parse_single_example(record, spec))
    if labeled and classes is not None:
        parsed["label"] = checked_label(parsed["label"], classes)
    parsed["image"] = decode_stored(parsed["image"], storage, shape)
    return parsed if targets is None else parsed | parse_targets(record, targets, shape)


def parse_targets(record: tf.Tensor, targets: Targets, shape: Shape) -> dict[str, Any]:
    """What a record (string scalar) has beside its image, as TFDS reads it.

    `objects`: a dictionary of bbox float32 [n, 4], id and label int64 [n], is_crowd bool [n], keypoints
    float32 [n, k, 3] and segmentation, a ragged float32 [n, polygons, corners, 2]; `labels` int64 [m];
    `segmentation_mask` uint8 [H, W, 1]: as many of these as the dataset has.
    """
    spec: dict[str, Any] = {}
    if targets.labels:
        spec["labels"] = _several([], tf.int64)
    if "mask" in targets.has:
        spec["segmentation_mask"] = tf.io.FixedLenFeature([], tf.string)
    if targets.has_objects:
        spec |= {f"objects/{name}": _several([], tf.int64) for name in ("id", "is_crowd", "label")}
        spec["objects/bbox"] = _several([4], tf.float32)
    if "keypoints" in targets.has:
        spec["objects/keypoints"] = _several([len(targets.keypoints), 3], tf.float32)
    if "polygons" in targets.has:
        spec[f"{_RAGGED}flat_values"] = _several([2], tf.float32)
        spec |= {f"{_RAGGED}row_lengths_{rank}": _several([], tf.int64) for rank in (0, 1)}
    if not spec:  # of labels and columns alone
        return {}
    parsed = tf.io.parse_single_example(record, spec)
    found = {name: value for name, value in parsed.items() if "/" not in name}
    if "mask" in targets.has:
        found["segmentation_mask"] = decode_stored(found["segmentation_mask"], Storage(), (*shape[:2], 1))
    if targets.labels:
        found["labels"] = _checked(found["labels"], _numbers(found["labels"], len(targets.labels)))
    objects = {name[8:]: value for name, value in parsed.items() if name.count("/") == 1}
    if targets.has_objects:
        count = tf.shape(objects["label"])[0]
        alike = tf.reduce_all([tf.shape(value)[0] == count for value in objects.values()])
        right = alike & _numbers(objects["label"], len(targets.classes))
        objects["label"] = _checked(objects["label"], right)
        objects["is_crowd"] = tf.cast(objects["is_crowd"], tf.bool)
        if "polygons" in targets.has:
            objects["segmentation"] = _outlines(parsed, count)
        found["objects"] = objects
    return found


def _outlines(parsed: dict[str, tf.Tensor], count: tf.Tensor) -> tf.RaggedTensor:
    """Of so many objects. Ragged tensors check themselves by assertions, which are stateful: see below."""
    flat, *lengths = (
        parsed[f"{_RAGGED}{part}"] for part in ("flat_values", "row_lengths_0", "row_lengths_1")
    )
    rows = [tf.cast(tf.shape(each)[0], tf.int64) for each in (lengths[1], flat)]
    fits = [tf.reduce_sum(each) == held for each, held in zip(lengths, rows, strict=True)]
    right = tf.reduce_all([*fits, *(tf.reduce_all(each >= 0) for each in lengths)])
    flat = _checked(flat, right & (tf.shape(lengths[0])[0] == count))
    return tf.RaggedTensor.from_nested_row_lengths(flat, lengths, validate=False)


def _numbers(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Whether all of them, int64 [n], number one of so many classes."""
    return tf.reduce_all((labels >= 0) & (labels < classes))


def _checked(values: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The same, or tf.errors.InvalidArgumentError; see `checked_label`."""
    return tf.reshape(values[tf.newaxis][: tf.cast(right, tf.int32)], tf.shape(values))


_RAGGED = "objects/segmentation/ragged_"


def _several(shape: list[int], dtype: tf.DType) -> tf.io.FixedLenSequenceFeature:
    return tf.io.FixedLenSequenceFeature(shape, dtype, allow_missing=True)


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
