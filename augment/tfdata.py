"""Live augmentation in tf.data: the samples of a recipe, computed on the host as the job computes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from augment import codec
from augment.augmenter import CORES, NOT_AUGMENTED, Augmenter, check_copy, pixels_form
from augment.beside import Beside, in_elements
from augment.by_class import ByClass
from augment.draws import each
from augment.errors import RequestError
from augment.kernels import kinds
from augment.keys import source_words
from augment.recipe import Recipe, check_classes, check_recipe

_MOST, _BYTES = 128, 1 << 24
"""The samples, and their bytes, that are made in one call of the host, whose draws cost as much for a few."""

_ALIGNED = 64
"""Bytes at a multiple of which an array begins that TensorFlow takes as it is, and does not copy."""

_SHORT = 1 << 17
"""Pixels of an image that kernels of one pass are done with before another thread would pay."""

_ONE_PASS = kinds.Window, kinds.Orient, kinds.Channels, kinds.Levels, kinds.Adapt, kinds.Gray, kinds.Fill


def augment_dataset(
    dataset: tf.data.Dataset,
    recipe: Recipe,
    *,
    seed: int,
    copy: int | tf.Tensor,
    batch_size: int | None = None,
    classes: Sequence[str] | None = None,
) -> tf.data.Dataset:
    """Copy `copy` of every element, in order: live training's epoch number `copy`.

    Args:
        dataset: of dictionaries with `image`, an image file's bytes or uint8
            [H, W, C] of the recipe's channels, and `source`, its source id, or else `tfds_id`,
            as TFDS adds it with `ReadConfig(add_tfds_id=True)`; `objects` and `segmentation_mask` move
            with the image (`augment.beside`), other entries pass through.
        recipe, seed, copy: as for `augment_image`. Within a graph, `copy` may be a tensor, an
            int64 scalar from 0: then one graph serves every epoch.
        batch_size: how many there are to be in a batch, of which the last may have fewer, as after
            `Dataset.batch`, which takes longer. None for no batches.
        classes: the names of the classes, by label, where some have recipes of their own: elements
            then have `label`, an integer.

    Returns the same dictionaries with `image` as uint8 [H, W, C], or in batches [B, H, W, C]; as many
    as there are in `dataset`, if it knows. A sample that cannot be made, for its file cannot be decoded or an
    op of one's own fails, is an error that says which and why, in its place: `ignore_errors` passes
    over it, or over its batch.
    """
    checked_batch_size(batch_size)
    check_recipe(recipe)
    if not isinstance(dataset, tf.data.Dataset):
        raise RequestError(
            f"the dataset is {dataset!r:.60}; it must be a tf.data.Dataset of dictionaries with image and "
            "source (of a directory, pipelines.datasets.from_images makes one)"
        )
    spec = dataset.element_spec
    _checked(spec, recipe)
    beside = in_elements(spec, Augmenter(recipe.of_others, seed))
    if beside is not None and recipe.recipe_for:
        raise RequestError(
            f"recipe {recipe.name}: classes have recipes of their own in it, which move no boxes and masks "
            "here; give the recipe of one, such as recipe.of('car'), or use datasets.from_images"
        )
    if batch_size is not None and not beside:
        return _in_batches(dataset, recipe, seed, copy, classes, int(batch_size))
    live = _one_by_one(dataset, recipe, seed, copy, classes, beside)
    return live if batch_size is None else live.ragged_batch(int(batch_size))


def augment_usable(
    files: tf.data.Dataset,
    recipe: Recipe,
    *,
    seed: int,
    copy: int | tf.Tensor,
    classes: Sequence[str] | None = None,
    beside: Beside | None = None,
) -> tf.data.Dataset:
    """As `augment_dataset`, but what cannot be decoded is left out without a word."""
    return _one_by_one(files, recipe, seed, copy, classes, beside, leave_out=True)


def of_length(dataset: tf.data.Dataset, count: int | None) -> tf.data.Dataset:
    """The same, said to have `count` elements; later ones are left out. `count` is as a cardinality.

    `assert_cardinality` fails where there are fewer, which never ends where errors are ignored.
    """
    if count is None or count == tf.data.UNKNOWN_CARDINALITY:  # None within a graph
        return dataset
    if count == tf.data.INFINITE_CARDINALITY:
        return dataset.repeat()
    nothing = dataset.take(0).filter(lambda *_: False)  # nobody knows of how many elements
    return dataset.concatenate(nothing.repeat()).take(count)  # of what is repeated, no end is known


def checked_batch_size(batch_size: int | None) -> int | None:
    """Raises RequestError for what is no number of samples."""
    if batch_size is not None and not (isinstance(batch_size, (int, np.integer)) and batch_size > 0):
        raise RequestError(f"batch_size is {batch_size!r}; it must be a whole number from 1, or None")
    return batch_size


class _Host:
    """Makes blocks of samples of the elements of a dataset. Used by several threads at once."""

    def __init__(
        self,
        spec: dict[str, tf.TensorSpec],
        recipe: Recipe,
        seed: int,
        copy: int | tf.Tensor,
        classes: Sequence[str] | None,
        beside: Beside | None = None,
    ) -> None:
        """Raises RequestError for a dataset, a seed or a copy that are not to be augmented."""
        self._beside = beside
        self._identity = _checked(spec, recipe)
        self._recipe, self._copy = recipe, copy
        self._augmenters = ByClass(recipe, seed)
        self._classes = _checked_classes(spec, recipe, classes)
        self._plain = not tf.is_tensor(copy) and check_copy(copy) == NOT_AUGMENTED
        image = spec["image"]
        self._encoded, self._of_one_size = image.dtype == tf.string, image.shape.is_fully_defined()
        pixels = math.prod(recipe.image_size)
        if self._of_one_size and not self._encoded:
            pixels = max(pixels, math.prod(image.shape[:2]))
        self.block = max(min(_MOST, _BYTES // (pixels * recipe.channels)), 1)
        if self._encoded or recipe.storage.format == "jpeg":
            # Twice the cores, for order is kept, and a slow block holds up those behind it. AUTOTUNE would
            # begin with less every epoch.
            self._at_once = 2 * CORES
        elif pixels < _SHORT and self._in_one_pass():
            # Much of the work is Python's, which one thread can do at a time: two would hand its lock over
            # with every call of OpenCV, and get less done than one.
            self._at_once = 1
        else:
            self._at_once = CORES

    def _in_one_pass(self) -> bool:
        """Whether there are only kernels that take microseconds for an image that is not large."""
        size = self._recipe.image_size
        try:
            kernels = [
                kernel
                for one in self._augmenters.each
                for kernel in kinds.every(one.kernels(one.draw_copies(source_words([]), 0), size))
            ]
        except Exception:  # noqa: BLE001 (an op's own, which is to be known as that of a sample)
            return False
        return all(isinstance(kernel, _ONE_PASS) for kernel in kernels)

    @property
    def packs(self) -> bool:
        """Whether there can be a batch of images only when they are `packed`."""
        return not (self._encoded or self._of_one_size)

    def packed(self, image: tf.Tensor) -> tf.Tensor:
        """An image in a form of which there can be a batch."""
        return tf.io.serialize_tensor(image) if self.packs else image

    def mapped(self, blocks: tf.data.Dataset, make: Callable[..., Any]) -> tf.data.Dataset:
        """Blocks, which are on their way while others are made; a map runs ahead of who asks by itself."""
        return blocks.prefetch(1).map(make, num_parallel_calls=self._at_once, deterministic=True)

    def who(self, element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """By what a sample is made, beside its image: its source, its label if classes differ, targets."""
        label = (element["label"],) if self._recipe.recipe_for else ()
        return element[self._identity], *label, *((self._beside.taken(element),) if self._beside else ())

    def samples(
        self, who: tuple[tf.Tensor, ...], images: tf.Tensor, *, leave_out: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Of a block: uint8 [k, H, W, C]; why there is none, or "", string [k]; their places, int64 [k];
        what became of targets, string [k]."""

        def block(
            images: np.ndarray, copy: np.ndarray, sources: np.ndarray, *rest: np.ndarray
        ) -> tuple[np.ndarray, ...]:
            labels, names = self._recipe.recipe_for, [""] * len(sources)
            if labels:
                names = [self._named(label) for label in rest[0].tolist()]
            taken = rest[-1] if self._beside else None
            return self._made(sources, names, images, taken, int(copy), leave_out=leave_out)

        # A stateful op would make the map serial.
        dtypes = [tf.uint8, tf.string, tf.int64, tf.string]
        images = images if self._of_one_size and not self._encoded else tf.ensure_shape(images, [None])
        samples, *rest = tf.numpy_function(block, [images, self._copy, *who], dtypes, stateful=False)
        samples = tf.ensure_shape(samples, [None, *self._recipe.image_shape])
        faults, kept, moved = (tf.ensure_shape(part, [None]) for part in rest)
        return samples, faults, kept, moved

    def _made(
        self,
        sources: np.ndarray,
        labels: Sequence[str],
        images: np.ndarray,
        taken: np.ndarray | None,
        copy: int,
        *,
        leave_out: bool,
    ) -> tuple[np.ndarray, ...]:
        samples, faults = _empty((len(sources), *self._recipe.image_shape)), [""] * len(sources)
        moved = [b""] * len(sources)
        unusable = []
        for augmenter, places in self._augmenters.parts(labels):
            draws = {} if self._plain else augmenter.draw_copies(source_words(sources[places]), copy)
            for place, draw in zip(places, each(draws, 1), strict=False):
                try:
                    pixels = self._decoded(images[place], augmenter.recipe)
                    samples[place] = augmenter.sample(pixels, draw, augmented=not self._plain)
                    if self._beside and taken is not None:
                        size, own = pixels.shape[:2], None if self._plain else draw
                        who = sources[place].decode(), labels[place]
                        moved[place] = self._beside.moved(taken[place], *who, size, own)
                except Exception as error:  # noqa: BLE001 (an op's own; raised here it would fail the block)
                    if leave_out and isinstance(error, codec.DecodeError):
                        unusable.append(place)
                    samples[place] = 0
                    source = sources[place].decode(errors="replace")
                    faults[place] = f"{source}: {type(error).__name__}: {error}"
        kept = np.delete(np.arange(len(sources)), unusable)
        whys = np.array([faults[place].encode() for place in kept], object)
        its = np.array([moved[place] for place in kept], object)
        return samples[kept] if unusable else samples, whys, kept, its

    def _named(self, label: int) -> str:
        if not 0 <= label < len(self._classes):
            raise RequestError(f"a label is {label}; there are {len(self._classes)} classes")
        return self._classes[label]

    def _decoded(self, image: np.ndarray | bytes, recipe: Recipe) -> np.ndarray:
        if not isinstance(image, bytes):
            return image
        if self._encoded:
            return recipe.decode_source(image)
        return tf.make_ndarray(tensor_pb2.TensorProto.FromString(image))


def _one_by_one(
    dataset: tf.data.Dataset,
    recipe: Recipe,
    seed: int,
    copy: int | tf.Tensor,
    classes: Sequence[str] | None,
    targets: Beside | None = None,
    *,
    leave_out: bool = False,
) -> tf.data.Dataset:
    spec = dataset.element_spec
    host = _Host(spec, recipe, seed, copy, classes, targets)
    beside = {name: part for name, part in spec.items() if name != "image"}
    components = tf.nest.flatten(beside, expand_composites=True)

    @tf.autograph.experimental.do_not_convert
    def packed(element: dict[str, tf.Tensor]) -> tuple[tuple[tf.Tensor, ...], tf.Tensor, tf.Tensor]:
        image = host.packed(element["image"])
        others = {name: part for name, part in element.items() if name != "image"}
        # What stands beside an image may be of any size: a variant holds it, so that it fits into a block.
        values = tf.nest.flatten(others, expand_composites=True)
        return host.who(element), image, tf.raw_ops.OptionalFromValue(components=values)

    @tf.autograph.experimental.do_not_convert
    def made(who: tuple[tf.Tensor, ...], images: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, ...]:
        samples, faults, kept, moved = host.samples(who, images, leave_out=leave_out)
        return samples, faults, tf.gather(others, kept) if leave_out else others, moved

    @tf.autograph.experimental.do_not_convert
    def unpacked(
        sample: tf.Tensor, fault: tf.Tensor, others: tf.Tensor, moved: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        values = tf.raw_ops.OptionalGetValue(
            optional=others,
            output_types=[s.dtype for s in components],
            output_shapes=[s.shape for s in components],
        )
        others = tf.nest.pack_sequence_as(beside, values, expand_composites=True)
        image = _sound(sample, fault)
        if targets is not None:
            with tf.control_dependencies([image]):  # which says what is wrong, where something is
                others = targets.given(others, tf.identity(moved))
        return {**others, "image": image}

    live = host.mapped(dataset.map(packed).batch(host.block), made).unbatch().map(unpacked)
    # `unbatch` forgets how many there are, which `fit` shows.
    return live if leave_out else of_length(live, tf.get_static_value(dataset.cardinality()))


def _in_batches(
    dataset: tf.data.Dataset,
    recipe: Recipe,
    seed: int,
    copy: int | tf.Tensor,
    classes: Sequence[str] | None,
    batch_size: int,
) -> tf.data.Dataset:
    host = _Host(dataset.element_spec, recipe, seed, copy, classes)

    @tf.autograph.experimental.do_not_convert
    def packed(element: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**element, "image": host.packed(element["image"])}

    @tf.autograph.experimental.do_not_convert
    def made(block: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        samples, faults, _, _ = host.samples(host.who(block), block["image"])
        return {**block, "image": samples}, faults

    @tf.autograph.experimental.do_not_convert
    def checked(batch: dict[str, tf.Tensor], faults: tf.Tensor) -> dict[str, tf.Tensor]:
        return {**batch, "image": _sound(batch["image"], faults)}

    block = max(host.block // batch_size, 1) * batch_size
    images = dataset.map(packed) if host.packs else dataset
    live = host.mapped(images.batch(block), made)
    live = (live if block == batch_size else live.rebatch(batch_size)).map(checked)
    return of_length(live, tf.get_static_value(dataset.batch(batch_size).cardinality()))


def _empty(shape: tuple[int, ...]) -> np.ndarray:
    """uint8, such that TensorFlow need not copy it."""
    memory = np.empty(math.prod(shape) + _ALIGNED, np.uint8)
    first = -memory.ctypes.data % _ALIGNED
    return memory[first : first + math.prod(shape)].reshape(shape)


def _sound(image: tf.Tensor, faults: tf.Tensor) -> tf.Tensor:
    """The same, or an error where there is a fault."""

    def failed() -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(_fail, [faults], tf.uint8, stateful=False), image.shape)

    return tf.cond(tf.reduce_all(tf.equal(faults, "")), lambda: image, failed)


def _fail(faults: np.ndarray | bytes) -> np.ndarray:
    raise SampleError(next(fault for fault in np.ravel(faults).tolist() if fault).decode())


class SampleError(RequestError):
    """A sample that cannot be made of its source."""


def computed(
    make: Callable[[np.ndarray], np.ndarray],
    image: tf.Tensor,
    recipe: Recipe,
    *,
    size: tuple[int | None, int | None] = (None, None),
) -> tf.Tensor:
    """What the host makes of an image in a graph, by a stateless op: uint8 [H, W, C].

    Args:
        make: of uint8 [H, W, C].
        image: an image file's bytes, a string scalar.
        recipe: by which they are decoded.
        size: of what is made, where it is known.

    A stateful op anywhere in a graph, even in a branch that is not taken, would make every ordered map
    serial. Fails for bytes that cannot be decoded; `codec.examine` says why.
    """

    def on_host(contents: bytes) -> np.ndarray:
        try:
            pixels = recipe.decode_source(contents)
        except codec.DecodeError:  # raised here it would leave a screenful on stderr for every file
            return np.zeros([0, 0, 0], np.uint8)
        return make(pixels)

    made = tf.numpy_function(on_host, [image], tf.uint8, stateful=False)
    return tf.ensure_shape(made, (*size, recipe.channels))


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


def _checked_classes(
    spec: dict[str, tf.TensorSpec], recipe: Recipe, classes: Sequence[str] | None
) -> Sequence[str]:
    """The names by label. Raises RequestError if classes differ, and it is not known which there are."""
    if not recipe.recipe_for:
        return ()
    label = spec.get("label")
    if classes is None or label is None or not label.dtype.is_integer or label.shape.rank != 0:
        raise RequestError(
            f"recipe {recipe.name}: class {min(recipe.recipe_for)!r} has a recipe of its own in it, "
            "so it takes classes=[...], the names by label, and elements that have an integer 'label'"
        )
    check_classes(recipe, classes)
    return classes
