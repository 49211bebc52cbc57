"""Live augmentation in tf.data: the samples of a recipe, computed on the host as the job computes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from augment import codec
from augment.augmenter import CORES, NOT_AUGMENTED, Augmenter, check_copy, pixels_form
from augment.draws import flat, nested
from augment.errors import RequestError
from augment.keys import source_words
from augment.recipe import Recipe

BLOCK = 128
"""Samples for which draws are made at once."""


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
    components = tf.nest.flatten(spec, expand_composites=True)
    augmenter = Augmenter(recipe, seed)
    plain = not tf.is_tensor(copy) and check_copy(copy) == NOT_AUGMENTED
    likes = {} if plain else flat(augmenter.draw_copies(source_words([]), 0))

    def drawn(source: np.ndarray, number: np.ndarray) -> list[np.ndarray]:
        return list(flat(augmenter.draw_copies(source_words(source), int(number))).values())

    def sample(image: np.ndarray, *values: np.ndarray) -> np.ndarray:
        draw = nested(dict(zip(likes, values, strict=True)))
        return augmenter.sample(image, draw, augmented=not plain)

    @tf.autograph.experimental.do_not_convert
    def packed(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        # A variant holds an image of any size without a copy of it, so that they fit into a block.
        values = tf.nest.flatten(element, expand_composites=True)
        return element[identity], tf.raw_ops.OptionalFromValue(components=values)

    @tf.autograph.experimental.do_not_convert
    def with_draws(source: tf.Tensor, element: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        dtypes = [like.dtype for like in likes.values()]
        draws = tf.numpy_function(drawn, [source, copy], dtypes, stateful=False) if likes else []
        shaped = (
            tf.ensure_shape(values, [None, *like.shape[1:]])
            for values, like in zip(draws, likes.values(), strict=True)
        )
        return tuple(shaped), element

    @tf.autograph.experimental.do_not_convert
    def augmented(draws: tuple[tf.Tensor, ...], packed_element: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.raw_ops.OptionalGetValue(
            optional=packed_element,
            output_types=[s.dtype for s in components],
            output_shapes=[s.shape for s in components],
        )
        element = tf.nest.pack_sequence_as(spec, values, expand_composites=True)
        return {**element, "image": computed(sample, element["image"], *draws, shape=recipe.image_shape)}

    live = (
        dataset.map(packed)
        .batch(BLOCK)
        .map(with_draws)
        .unbatch()
        # Twice, for order is kept, and a slow image holds up those behind it. AUTOTUNE would begin
        # with less every epoch. The map runs ahead by itself: a prefetch behind it only costs.
        .map(augmented, num_parallel_calls=2 * CORES, deterministic=True)
    )
    count = tf.get_static_value(dataset.cardinality())  # which `unbatch` forgets, and `fit` shows
    if count is None or count == tf.data.UNKNOWN_CARDINALITY:
        return live
    return live.apply(tf.data.experimental.assert_cardinality(count))


def computed(
    make: Callable[..., np.ndarray],
    image: tf.Tensor,
    *values: tf.Tensor,
    shape: tuple[int | None, int | None, int],
) -> tf.Tensor:
    """What the host makes of an image in a graph, by a stateless op: uint8 of a shape [H, W, C].

    Args:
        make: of uint8 [H, W, C] and the values.
        image: an image file's bytes, a string scalar, or its pixels.

    A stateful op anywhere in a graph, even in a branch that is not taken, would make every ordered map
    serial. Fails for bytes that cannot be decoded; `codec.examine` says why.
    """

    def on_host(given: np.ndarray | bytes, *values: np.ndarray) -> np.ndarray:
        try:
            pixels = codec.decode(given, shape[2]) if isinstance(given, bytes) else given
        except codec.DecodeError:  # raised here it would leave a screenful on stderr for every file
            return np.zeros([0, 0, 0], np.uint8)
        return make(pixels, *values)

    made = tf.numpy_function(on_host, [image, *values], tf.uint8, stateful=False)
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
