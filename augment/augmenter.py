"""A recipe with a seed: draws for blocks of samples, applied to one image or in tf.data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from augment import codec
from augment.arrays import Array, cast, tf
from augment.draws import Draw, at, recorded
from augment.errors import RequestError
from augment.keys import Words, fold_in, source_key, source_words
from augment.ops.sequence import apply_steps, draw_steps
from augment.recipe import Recipe

NOT_AUGMENTED = -1
"""The copy number of a sample that is only brought to size."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Those that this process may use."""

BLOCK = 128
"""Samples for which live training draws at once."""


class Augmenter:
    """Draws and applies a recipe.

    The pixels of a sample depend on nothing but the source's bytes, the recipe,
    the seed, the source id and the copy number.
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        if not (isinstance(seed, (int, np.integer)) and 0 <= seed < 2**64):
            raise RequestError(f"seed is {seed!r}; it must be a whole number from 0 to 2**64 - 1")
        self.recipe = recipe
        self.seed = int(seed)
        steps = recipe.steps
        first = next((i for i, step in enumerate(steps) if not step.deterministic), len(steps))
        self._head, self._tail = steps[:first], steps[first:]

    def draw(self, source: Words, copy: Array) -> Draw:
        """Draws all parameters for a block of samples.

        Args:
            source: the source ids' 64 bits as uint32 arrays [...] (high, low).
            copy: int32 [...], each from 0.

        Returns arrays [...], by op id and parameter (`augment.draws.Draw`).
        """
        high = cast(copy, np.uint32)
        key = fold_in(source_key(self.seed, source), (high ^ high, high))
        return draw_steps(self.recipe.steps, key)

    def recorded(self, draw: Draw) -> dict[str, Array]:
        """The columns of the samples table: `<path of the op>.<parameter>`, arrays [...]."""
        return recorded(draw)

    def head(self, image: tf.Tensor) -> tf.Tensor:
        """What all copies of a source share: the ops before the first that draws.

        Takes uint8 [H, W, 3].
        """
        return apply_steps(self._head, {}, image)

    def tail(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        """The rest of the ops, for one copy: uint8 [H, W, 3] with scalar draws."""
        return apply_steps(self._tail, draw, image)

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """An image that is not augmented, brought to the recipe's size: uint8 [H, W, 3]."""
        for op in self.recipe.ops:
            image = op.plain(image)
        return image

    def draw_copies(self, source: Array, copy: int) -> Draw:
        """`draw` for one copy of sources [n, 2]; empty for NOT_AUGMENTED."""
        if copy == NOT_AUGMENTED:
            return {}
        return self.draw((source[:, 0], source[:, 1]), cast(source[:, 0] * 0, np.int32) + copy)

    def sample(self, image: tf.Tensor, draw: Draw, *, augmented: bool) -> tf.Tensor:
        """A sample as a reader of the shards sees it: uint8 [H, W, 3], from scalar draws."""
        sample = self.tail(self.head(image), draw) if augmented else self.plain(image)
        return codec.round_trip(sample, self.recipe.storage)


def augment_image(
    image: bytes | str | os.PathLike[str] | np.ndarray | tf.Tensor,
    recipe: Recipe,
    *,
    seed: int,
    source: str,
    copy: int,
) -> np.ndarray:
    """Copy `copy` of one source: uint8 [H, W, 3], equal to the record in a shard.

    Args:
        image: an image file's bytes, its path (a str or a PathLike, which decides no draw: the
            source does), or its decoded pixels, uint8 [H, W, 3].
        recipe: see `load_recipe`.
        seed: in [0, 2**64).
        source: the source id, its path relative to the input root, `/`-separated.
        copy: from 0; -1 for the image brought to size but not augmented.

    Raises RequestError for other copies, seeds or images, or a file that cannot be read, and
    DecodeError for bytes that are no usable image.
    """
    augmenter = Augmenter(recipe, seed)
    block = augmenter.draw_copies(source_words([source]), check_copy(copy))
    draw = at(block, 0)
    if isinstance(image, (str, os.PathLike)):
        try:
            image = Path(image).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise RequestError(f"the image {os.fspath(image)!r} cannot be read ({reason})") from None
    with tf.device("CPU"):
        if isinstance(image, bytes):
            rejection = codec.examine(image)
            if rejection:
                raise codec.DecodeError(rejection)
        try:
            given = tf.convert_to_tensor(image)
        except (ValueError, TypeError):
            raise RequestError(
                f"the image is a {type(image).__name__}; it must be a file's bytes, its path, "
                "or uint8 [H, W, 3]"
            ) from None
        pixels = _pixels(given)
        return augmenter.sample(pixels, draw, augmented=copy != NOT_AUGMENTED).numpy()


def _pixels(image: tf.Tensor) -> tf.Tensor:
    """What a caller gives for an image, as uint8 [H, W, 3]. Raises RequestError for anything else."""
    if image.dtype == tf.string and image.shape.rank in (0, None):
        return codec.decode(image)
    if image.dtype != tf.uint8 or not image.shape.is_compatible_with([None, None, 3]):
        shape = "" if image.shape.rank is None else f" {image.shape.as_list()}"
        raise RequestError(
            f"the image is {image.dtype.name}{shape}; it must be a file's bytes or uint8 [H, W, 3]"
        )
    return tf.ensure_shape(image, [None, None, 3])


def augment_dataset(
    dataset: tf.data.Dataset, recipe: Recipe, *, seed: int, copy: int | tf.Tensor
) -> tf.data.Dataset:
    """Copy `copy` of every element, in order: live training's epoch number `copy`.

    Args:
        dataset: of dictionaries with `image`, an image file's bytes or uint8
            [H, W, 3], and `source`, its source id, or else `tfds_id`, as TFDS adds it
            with `ReadConfig(add_tfds_id=True)`; other entries pass through.
        recipe, seed, copy: as for `augment_image`. Within a graph, `copy` may be a tensor, an
            int64 scalar from 0: then one graph serves every epoch.

    Returns the same dictionaries with `image` as uint8 [H, W, 3].
    """

    def pixels(element: dict[str, tf.Tensor]) -> tf.Tensor:
        return _pixels(element["image"])

    live = _live(dataset, recipe, seed, copy, pixels)
    count = tf.get_static_value(dataset.cardinality())  # which `unbatch` forgets, and `fit` shows
    if count is None or count == tf.data.UNKNOWN_CARDINALITY:
        return live
    return live.apply(tf.data.experimental.assert_cardinality(count))


def _live(
    dataset: tf.data.Dataset,
    recipe: Recipe,
    seed: int,
    copy: int | tf.Tensor,
    pixels: Callable[[dict[str, tf.Tensor]], tf.Tensor],
) -> tf.data.Dataset:
    spec = dataset.element_spec
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
    flat = tf.nest.flatten(spec, expand_composites=True)
    augmenter = Augmenter(recipe, seed)
    plain = not tf.is_tensor(copy) and check_copy(copy) == NOT_AUGMENTED

    @tf.autograph.experimental.do_not_convert
    def packed(element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        # A variant holds an image of any size without a copy of it, so that they fit into a block.
        components = tf.nest.flatten(element, expand_composites=True)
        return element[identity], tf.raw_ops.OptionalFromValue(components=components)

    def drawn(source: np.ndarray, number: np.ndarray) -> list[np.ndarray]:
        return tf.nest.flatten(augmenter.draw_copies(source_words(source), int(number)))

    @tf.autograph.experimental.do_not_convert
    def with_draws(source: tf.Tensor, element: tf.Tensor) -> tuple[Draw, tf.Tensor]:
        # Ids are hashed outside of the graph, so draws may as well be made there: the graph
        # of dozens of them would take most of a second to start, every epoch anew.
        none = {} if plain else augmenter.draw_copies(source_words([]), 0)
        likes = tf.nest.flatten(none)
        dtypes = [like.dtype for like in likes]
        draws = tf.numpy_function(drawn, [source, copy], dtypes, stateful=False) if likes else []
        shaped = [
            tf.ensure_shape(values, [None, *like.shape[1:]])
            for values, like in zip(draws, likes, strict=True)
        ]
        return tf.nest.pack_sequence_as(none, shaped), element

    @tf.autograph.experimental.do_not_convert
    def augmented(draw: Draw, packed_element: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.raw_ops.OptionalGetValue(
            optional=packed_element,
            output_types=[s.dtype for s in flat],
            output_shapes=[s.shape for s in flat],
        )
        element = tf.nest.pack_sequence_as(spec, values, expand_composites=True)
        image = augmenter.sample(pixels(element), draw, augmented=not plain)
        return {**element, "image": image}

    blocks = dataset.map(packed).batch(BLOCK).map(with_draws)
    return (
        blocks.unbatch()
        # Twice, for order is kept, and a slow image holds up those behind it. AUTOTUNE would begin
        # with less every epoch. The map runs ahead by itself: a prefetch behind it only costs.
        .map(augmented, num_parallel_calls=2 * CORES, deterministic=True)
    )


def check_copy(copy: int) -> int:
    if not (isinstance(copy, (int, np.integer)) and NOT_AUGMENTED <= copy < 2**31):
        raise RequestError(f"copy is {copy!r}; it must be a whole number from 0, or -1 for no augmentation")
    return int(copy)
