"""Live augmentation in tf.data: the samples of a recipe, computed on the host as the job computes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from augment import codec
from augment.augmenter import CORES, NOT_AUGMENTED, Augmenter, check_copy, pixels_form
from augment.draws import at
from augment.errors import RequestError
from augment.keys import source_words
from augment.recipe import Recipe

_MOST, _BYTES = 64, 1 << 23
"""The samples, and their bytes, that are made in one call of the host, which costs as much as a small one."""


def augment_dataset(
    dataset: tf.data.Dataset, recipe: Recipe, *, seed: int, copy: int | tf.Tensor
) -> tf.data.Dataset:
    """Copy `copy` of every element, in order: live training's epoch number `copy`.

    Args:
        dataset: of dictionaries with `image`, an image file's bytes or uint8
            [H, W, C] of the recipe's channels, and `source`, its source id, or else `tfds_id`,
            as TFDS adds it with `ReadConfig(add_tfds_id=True)`; other entries pass through.
        recipe, seed, copy: as for `augment_image`. Within a graph, `copy` may be a tensor, an
            int64 scalar from 0: then one graph serves every epoch.

    Returns the same dictionaries with `image` as uint8 [H, W, C].
    """
    spec = dataset.element_spec
    identity = _checked(spec, recipe)
    pixels, beside = spec["image"], {name: part for name, part in spec.items() if name != "image"}
    components = tf.nest.flatten(beside, expand_composites=True)
    augmenter = Augmenter(recipe, seed)
    plain = not tf.is_tensor(copy) and check_copy(copy) == NOT_AUGMENTED
    encoded, of_one_size = pixels.dtype == tf.string, pixels.shape.is_fully_defined()
    largest = math.prod(recipe.image_shape)
    if of_one_size and not encoded:
        largest = max(largest, math.prod(pixels.shape))

    def decoded(given: np.ndarray | bytes) -> np.ndarray:
        if not isinstance(given, bytes):
            return given
        return codec.decode(given, recipe.channels) if encoded else _unpacked(given)

    def block(sources: np.ndarray, images: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        draws = {} if plain else augmenter.draw_copies(source_words(sources), int(number))
        samples, faults = np.zeros((len(sources), *recipe.image_shape), np.uint8), [_NO_FAULT] * len(sources)
        for place, image in enumerate(images):
            try:
                samples[place] = augmenter.sample(decoded(image), at(draws, place), augmented=not plain)
            except Exception as error:  # noqa: BLE001 (an op's own; raised here it would fail the whole block)
                faults[place] = f"{type(error).__name__}: {error}"
        return samples, np.array([fault.encode() for fault in faults], object)

    @tf.autograph.experimental.do_not_convert
    def packed(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = element["image"]
        if encoded:
            image = tf.ensure_shape(image, [])
        elif not of_one_size:
            image = tf.io.serialize_tensor(image)
        others = {name: part for name, part in element.items() if name != "image"}
        # What stands beside an image may be of any size: a variant holds it, so that it fits into a block.
        values = tf.nest.flatten(others, expand_composites=True)
        return element[identity], image, tf.raw_ops.OptionalFromValue(components=values)

    @tf.autograph.experimental.do_not_convert
    def made(source: tf.Tensor, image: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # A stateful op would make the map serial.
        dtypes = [tf.uint8, tf.string]
        samples, faults = tf.numpy_function(block, [source, image, copy], dtypes, stateful=False)
        return tf.ensure_shape(samples, [None, *recipe.image_shape]), tf.ensure_shape(faults, [None]), others

    @tf.autograph.experimental.do_not_convert
    def unpacked(sample: tf.Tensor, fault: tf.Tensor, others: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.raw_ops.OptionalGetValue(
            optional=others,
            output_types=[s.dtype for s in components],
            output_shapes=[s.shape for s in components],
        )
        # The one op without a state that fails with words of ours: it fails one sample, not its block. The 0
        # that it gives has to decide something, or what a graph is optimized to does without it.
        first = tf.strings.to_number(fault, tf.int32)
        sample = tf.ensure_shape(sample[first:], recipe.image_shape)
        return {**tf.nest.pack_sequence_as(beside, values, expand_composites=True), "image": sample}

    live = (
        dataset.map(packed)
        .batch(max(min(_MOST, _BYTES // largest), 1))
        # Twice, for order is kept, and a slow block holds up those behind it. AUTOTUNE would begin
        # with less every epoch. The map runs ahead by itself: a prefetch behind it only costs.
        .map(made, num_parallel_calls=2 * CORES, deterministic=True)
        .unbatch()
        .map(unpacked)
    )
    count = tf.get_static_value(dataset.cardinality())  # which `unbatch` forgets, and `fit` shows
    if count is None or count == tf.data.UNKNOWN_CARDINALITY:
        return live
    return live.apply(tf.data.experimental.assert_cardinality(count))


_NO_FAULT = "0"


def _unpacked(serialized: bytes) -> np.ndarray:
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(serialized))


def computed(
    make: Callable[[np.ndarray], np.ndarray],
    image: tf.Tensor,
    *,
    shape: tuple[int | None, int | None, int],
) -> tf.Tensor:
    """What the host makes of an image in a graph, by a stateless op: uint8 of a shape [H, W, C].

    Args:
        make: of uint8 [H, W, C].
        image: an image file's bytes, a string scalar.

    A stateful op anywhere in a graph, even in a branch that is not taken, would make every ordered map
    serial. Fails for bytes that cannot be decoded; `codec.examine` says why.
    """

    def on_host(contents: bytes) -> np.ndarray:
        try:
            pixels = codec.decode(contents, shape[2])
        except codec.DecodeError:  # raised here it would leave a screenful on stderr for every file
            return np.zeros([0, 0, 0], np.uint8)
        return make(pixels)

    made = tf.numpy_function(on_host, [image], tf.uint8, stateful=False)
    return tf.ensure_shape(made, shape)


def _checked(spec: dict[str, tf.TensorSpec], recipe: Recipe) -> str:
    """The entry that says who a sample is. Raises RequestError for a dataset that cannot be augmented."""
    if not isinstance(spec, dict):
        raise RequestError(
            "the dataset's elements are no dictionaries; they must be, with 'image' and "
            "'source' (from TFDS: leave out as_supervised, and give ReadConfig(add_tfds_id=True))"
        )
    identity = "source" if "source" in spec else "tfds_id"
    if not {"image", identity} <= spec.keys():
        had = ", ".join(map(repr, spec))
        raise RequestError(f"the dataset's elements have {had}; they must have 'image' and 'source'")
    if spec[identity].dtype != tf.string:
        raise RequestError(f"the dataset's {identity!r} is {spec[identity].dtype.name}; it must be string")
    image = spec["image"]
    encoded = image.dtype == tf.string and image.shape.rank in (0, None)
    if not encoded and (
        image.dtype != tf.uint8 or not image.shape.is_compatible_with([None, None, recipe.channels])
    ):
        shape = "" if image.shape.rank is None else f" {image.shape.as_list()}"
        raise RequestError(
            f"the image is {image.dtype.name}{shape}; it must be a file's bytes or "
            f"{pixels_form(recipe, image.shape.as_list() if shape else [])}"
        )
    return identity
