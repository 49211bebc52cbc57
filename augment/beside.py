"""What stands beside images in tf.data, and moves with them: boxes and masks in the form of TFDS.

An element of `augment_dataset` may have, as TFDS reads COCO, Pascal VOC, Oxford's pets and many more,

    objects            a dictionary of bbox, float32 [n, 4] (ymin, xmin, ymax, xmax, in parts of the
                       sides), and of others, [n, ...], which stay with their boxes
    segmentation_mask  uint8 [H, W, 1], of the image's size

Whatever else sounds as if it were tied to places in the image is refused, for it would not move.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from augment.augmenter import Augmenter
from augment.draws import Draw
from augment.errors import RequestError
from augment.kernels.maps import Size
from augment.targets import UNIT, Object, moved


class Beside(Protocol):
    """What moves with the images of a dataset. Used by several threads at once."""

    def taken(self, element: dict[str, Any]) -> tf.Tensor:
        """What an element has that moves, in a string."""

    def moved(self, taken: bytes, source: str, label: str, size: Size, draw: Draw | None) -> bytes:
        """What becomes of that in a sample of an image of `size`; without a draw it is not augmented."""

    def given(self, element: dict[str, Any], moved: tf.Tensor) -> dict[str, Any]:
        """The element with what became of it."""


_PLACES = re.compile(
    "(?:^|_)(?:bbox|box|boxes|bboxes|polygons?|masks?|segmentations?|keypoints?|landmarks?|points?|corners?|areas?)(?:_|$)"
)
"""Names of what is tied to places in an image."""

_MASK, _OBJECTS, _BOX = "segmentation_mask", "objects", "bbox"


def in_elements(spec: dict[str, Any], augmenter: Augmenter) -> TensorsBeside | None:
    """What moves with the images of a dataset's elements; None if nothing does.

    Raises RequestError for what would have to, and cannot.
    """
    objects, mask = spec.get(_OBJECTS), spec.get(_MASK)
    boxes = objects.get(_BOX) if isinstance(objects, dict) else None
    for path in _paths({name: part for name, part in spec.items() if name != "image"}):
        if _PLACES.search(path[-1]) and path not in ((_OBJECTS, _BOX), (_MASK,)):
            raise RequestError(
                f"the dataset's {'/'.join(path)!r} is tied to places in the image, and would stay where it "
                "was while the image moves; what moves is objects/bbox, float32 [n, 4], and "
                "segmentation_mask, uint8 [H, W, 1]: take it out, or give it one of these forms"
            )
    if boxes is None and mask is None:
        return None
    if boxes is not None and not _is(boxes, tf.float32, [None, 4]):
        raise RequestError(f"the dataset's 'objects/bbox' is {boxes}; it must be float32 [n, 4]")
    for name, part in objects.items() if isinstance(objects, dict) and boxes is not None else ():
        if not isinstance(part, tf.TensorSpec) or part.shape.rank == 0:
            raise RequestError(
                f"the dataset's 'objects/{name}' is {part}; beside boxes it must be a tensor [n, ...], which "
                "stays with its boxes: take it out, or give it this form"
            )
    if mask is not None and not _is(mask, tf.uint8, [None, None, 1]):
        raise RequestError(f"the dataset's 'segmentation_mask' is {mask}; it must be uint8 [H, W, 1]")
    reason = augmenter.why_no_targets()
    if reason:
        raise RequestError(f"recipe {augmenter.recipe.name}: targets cannot move with its images: {reason}")
    return TensorsBeside(augmenter, has_boxes=boxes is not None, has_mask=mask is not None)


def _paths(spec: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, part in spec.items():
        if isinstance(part, dict):
            yield from _paths(part, (*above, name))
        else:
            yield *above, name


def _is(spec: Any, dtype: tf.DType, shape: list[int | None]) -> bool:
    return isinstance(spec, tf.TensorSpec) and spec.dtype == dtype and spec.shape.is_compatible_with(shape)


class TensorsBeside:
    """See `Beside`: boxes and a mask as tensors."""

    def __init__(self, augmenter: Augmenter, *, has_boxes: bool, has_mask: bool) -> None:
        self._augmenter, self._has_boxes, self._has_mask = augmenter, has_boxes, has_mask

    def taken(self, element: dict[str, Any]) -> tf.Tensor:
        boxes = element[_OBJECTS][_BOX] if self._has_boxes else tf.zeros([0, 4])
        mask = element[_MASK] if self._has_mask else tf.zeros([0, 0, 1], tf.uint8)
        both = [tf.io.serialize_tensor(boxes), tf.io.serialize_tensor(mask)]
        return tf.io.serialize_tensor(tf.stack(both))

    def moved(self, taken: bytes, source: str, label: str, size: Size, draw: Draw | None) -> bytes:
        boxes, mask = map(_array, _array(taken))
        geometry = self._augmenter.geometry(size, draw)
        height, width = size
        sides = np.array([width, height, width, height]) * UNIT
        places = np.floor(boxes[:, [1, 0, 3, 2]].astype(np.float64) * sides + 0.5).astype(np.int64)
        objects = tuple(Object("", (box[0], box[1], box[2], box[3])) for box in places.tolist())
        if self._has_mask and mask.shape[:2] != size:
            raise RequestError(
                f"its segmentation_mask has {mask.shape[0]}x{mask.shape[1]} pixels, and the image has "
                f"{height}x{width}"
            )
        found = moved(objects, mask[..., 0] if self._has_mask else None, geometry)
        height, width = geometry.size
        corners = np.array([one.box for one in found.objects], np.float64).reshape(-1, 4)[:, [1, 0, 3, 2]]
        values = [
            (corners / (np.array([height, width, height, width]) * UNIT)).astype(np.float32),
            np.array(found.numbers, np.int64),
            np.zeros([0, 0, 1], np.uint8) if found.mask is None else found.mask[..., np.newaxis],
        ]
        return _bytes(np.array([_bytes(value) for value in values], object))

    def given(self, element: dict[str, Any], moved: tf.Tensor) -> dict[str, Any]:
        parts = tf.ensure_shape(tf.io.parse_tensor(moved, tf.string), [3])
        result = dict(element)
        if self._has_boxes:
            kept = tf.ensure_shape(tf.io.parse_tensor(parts[1], tf.int64), [None])
            result[_OBJECTS] = {name: tf.gather(part, kept) for name, part in element[_OBJECTS].items()}
            result[_OBJECTS][_BOX] = tf.ensure_shape(tf.io.parse_tensor(parts[0], tf.float32), [None, 4])
        if self._has_mask:
            size = self._augmenter.recipe.image_size
            result[_MASK] = tf.ensure_shape(tf.io.parse_tensor(parts[2], tf.uint8), [*size, 1])
        return result


def _array(serialized: bytes) -> np.ndarray:
    """What `tf.io.serialize_tensor` was given."""
    array: np.ndarray = tf.make_ndarray(tensor_pb2.TensorProto.FromString(serialized))
    return array


def _bytes(array: np.ndarray) -> bytes:
    """What `tf.io.parse_tensor` makes the array of."""
    return tf.make_tensor_proto(array).SerializeToString()
