"""Where an arm's pixels come from: stored records, live augmentation, or a model's layer.

Each way takes samples in any order, and yields those in that order; so arms that are given
one order have the same batches. An order is decided by hashing, as everything else: epoch e
sorts sources by the 64 bits of (train seed, e, source id). That needs neither a buffer nor a
state: in memory are the ids, places and labels of all sources, and of pixels and records only
the few hundred that are under way.

All of it can be built in a graph, where the epoch is data: one graph then serves all epochs,
and nothing is built or waited for between two.
"""

from __future__ import annotations

import dataclasses
import decimal
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from augment import codec
from augment.augmenter import CORES, NOT_AUGMENTED, Augmenter
from augment.by_class import ByClass
from augment.draws import at
from augment.errors import RequestError
from augment.keys import source_words
from augment.layer import AugmentLayer
from augment.ops.sizes import CropOrPad
from augment.recipe import Recipe, Shape, check_classes
from augment.tfdata import augment_usable, computed
from pipelines.datasets.beside import ANNOTATION, targets_beside
from pipelines.datasets.selection import shuffled
from pipelines.format.manifest import read_manifest
from pipelines.format.parsing import checked_label, decode_stored, parse_targets
from pipelines.format.stored import StoredCopy
from pipelines.format.targets import Targets
from pipelines.images import Images
from pipelines.live import Account, accounted
from pipelines.plan import split_of
from pipelines.train.truth import Truth

_READ = 32
"""How many records are read at a time."""


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """The sources of one split that are fed, in the order of the plan."""

    split: str
    """in whose folder, or part, they are"""
    ids: np.ndarray
    """str [n]"""
    labels: np.ndarray
    """int64 [n]"""
    copies: np.ndarray | None = None
    """int64 [n], where classes have copies of their own: a source is there as often as it has copies, each
    time with another, from 0; None: once, with the epoch's"""

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def keys(self) -> np.ndarray:
        """uint32 [n, 2]: the 64 bits of each id."""
        return source_words(self.ids)

    def order(self, train_seed: int, epoch: int) -> np.ndarray:
        """int64 [n]: the rows of an epoch, one after the other."""
        return shuffled(self.keys, train_seed, epoch, self.copies)

    def copies_in(self, epoch: int) -> np.ndarray:
        """int64 [n]: those of an epoch in which no copy comes again: the first shows the stored ones."""
        if self.copies is None:
            return np.full(len(self), epoch, np.int64)
        _, of, count = np.unique(self.ids, return_inverse=True, return_counts=True)
        return epoch * count[of] + self.copies

    def where(self, kept: np.ndarray) -> Members:
        """Those for which `kept`, bool [n], holds."""
        copies = None if self.copies is None else self.copies[kept]
        return Members(self.split, self.ids[kept], self.labels[kept], copies)

    def carved(self, fraction: str, groups: Mapping[str, str]) -> tuple[Members, Members]:
        """Those that stay, and the part that is kept for validation, by the hash of their groups or ids.

        Raises RequestError unless `fraction` is a decimal such as 0.1.
        """
        share = decimal.Decimal(fraction if re.fullmatch(r"0?\.[0-9]{1,9}", fraction) else 0)
        if not share:
            raise RequestError(
                f"--validation-fraction is {fraction!r}; it must be a part of the training images, "
                "a decimal such as 0.1, or 0 for none"
            )
        fractions = {"train": format(1 - share, "f"), "validation": format(share, "f")}
        kept = np.array([split_of(groups.get(s, s), fractions) == "train" for s in self.ids], bool)
        return self.where(kept), self.where(~kept)


class Stored:
    """Samples that are read from shards."""

    def __init__(self, directory: str, truth: Truth) -> None:
        """Raises RequestError if it is no finished dataset."""
        self.directory, self._truth = directory, truth
        self.manifest = read_manifest(directory)
        self._storage = self.manifest.request.storage
        self._copy = functools.cache(self._open)

    def has(self, split: str, copy: int) -> bool:
        return split in self.manifest.splits and copy in self.manifest.copies(split)

    def members(self, split: str) -> Members:
        """The sources of which there are records."""
        stored, _ = self._copy(split, self.manifest.copies(split)[0])
        return Members(split, np.array(stored.sources, object), stored.labels)

    def each_copy(self, split: str) -> Members:
        """The sources of which there are records, as often as there are copies of them."""
        copies = [copy for copy in self.manifest.copies(split) if copy != NOT_AUGMENTED]
        stored = [self._copy(split, copy)[0] for copy in copies]
        return Members(
            split,
            np.array([source for one in stored for source in one.sources], object),
            np.concatenate([one.labels for one in stored]),
            np.repeat(copies, [len(one.sources) for one in stored]),
        )

    def samples(self, members: Members, rows: tf.Tensor, copy: tf.Tensor) -> tf.data.Dataset:
        """(image uint8 [H, W, C], truth) of those rows, int64 [n], in a copy, or one each, int64."""

        def records(block: np.ndarray, numbers: np.ndarray) -> np.ndarray:
            found = np.empty(len(block), object)
            for number in np.unique(numbers).tolist():
                stored, position_of = self._copy(members.split, number)
                mine = numbers == number
                sources = members.ids[block[mine]]
                found[mine] = stored.read(np.array([position_of[source] for source in sources], np.int64))
            return found

        @tf.autograph.experimental.do_not_convert
        def read(block: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            serialized = tf.numpy_function(records, [block, numbers], tf.string, stateful=False)
            serialized = tf.ensure_shape(serialized, [None])
            spec = {"image": tf.io.FixedLenFeature([], tf.string)}
            if self._truth.moves:
                return tf.io.parse_example(serialized, spec)["image"], serialized
            parsed = tf.io.parse_example(serialized, spec | {"label": tf.io.FixedLenFeature([], tf.int64)})
            return parsed["image"], parsed["label"]

        @tf.autograph.experimental.do_not_convert
        def decoded(image: tf.Tensor, beside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = decode_stored(image, self._storage, self.manifest.image_shape)
            if self._truth.moves:
                targets = self.manifest.targets or Targets(has=())
                return image, self._truth.of(parse_targets(beside, targets, self.manifest.image_shape))
            return image, checked_label(beside, len(self.manifest.classes))

        # Blocks are small and read ahead, so that decoding waits for none of them.
        chosen = rows, tf.broadcast_to(copy, tf.shape(rows))
        blocks = tf.data.Dataset.from_tensor_slices(chosen).batch(_READ).map(read).prefetch(2)
        return blocks.unbatch().map(decoded, num_parallel_calls=2 * CORES, deterministic=True)

    def check(self, members: Members, copies: Iterable[int]) -> None:
        """Raises RequestError unless all of the copies have records of all members."""
        for copy in copies:
            _, position_of = self._copy(members.split, copy)
            missing = [source for source in members.ids if source not in position_of]
            if missing:
                raise RequestError(
                    f"shards {self.directory}: copy {copy} has no record of {missing[0]}, which others have; "
                    "a file that cannot be read for a while leaves that behind; materialize them again "
                    "with --overwrite"
                )

    def _open(self, split: str, copy: int) -> tuple[StoredCopy, dict[str, int]]:
        stored = StoredCopy(self.directory, self.manifest, split, copy)
        return stored, {source: position for position, source in enumerate(stored.sources)}


class Live:
    """Samples that are made from images."""

    def __init__(self, images: Images, recipe: Recipe, seed: int, truth: Truth) -> None:
        """Raises RequestError if the recipe has one for another class, or cannot move what is learned."""
        check_classes(recipe, images.classes)
        self._recipe, self._seed, self._classes = recipe, seed, images.classes
        self._truth = truth
        self._beside = targets_beside(images, recipe, seed) if truth.moves else None
        look = self._beside.look if self._beside else None
        self._account = Account(images.root, look=look, places=images.places)
        self._annotations = {source.id: source.annotation for source in images.sources if self._beside}

    def samples(self, members: Members, rows: tf.Tensor, copy: int | tf.Tensor) -> tf.data.Dataset:
        """(image uint8 [H, W, C], truth) of those rows, int64 [n]; unusable files are left out.

        A copy that is a tensor, an int64 scalar, or [n] where each has its own, is not NOT_AUGMENTED.
        """
        each = not isinstance(copy, int) and copy.shape.rank == 1
        live = (self._of_each if each else self._of_one)(members, rows, copy)
        return live.map(lambda sample: (sample["image"], self._truth.of(sample)))

    def _of_one(self, members: Members, rows: tf.Tensor, copy: int | tf.Tensor) -> tf.data.Dataset:
        """Samples, as dictionaries, of one copy."""

        def augmented(files: tf.data.Dataset) -> tf.data.Dataset:
            return augment_usable(
                files,
                self._recipe,
                seed=self._seed,
                copy=copy,
                classes=self._classes,
                beside=self._beside,
            )

        return self._accounted(members, rows, augmented)

    def _of_each(self, members: Members, rows: tf.Tensor, copies: tf.Tensor) -> tf.data.Dataset:
        """Samples, as dictionaries, each of its own copy."""
        augmenters = ByClass(self._recipe, self._seed)

        def sample(
            contents: bytes, source: bytes, copy: np.ndarray, label: np.ndarray, taken: bytes
        ) -> tuple[np.ndarray, bytes]:
            name, moved = self._classes[int(label)], b""
            augmenter = augmenters.of(name)
            draw = at(augmenter.draw_copies(source_words([source]), int(copy)), 0)
            try:
                pixels = augmenter.recipe.decode_source(contents)
                if self._beside:
                    moved = self._beside.moved(taken, source.decode(), name, pixels.shape[:2], draw)
            except codec.DecodeError:
                return np.zeros([0, 0, 0], np.uint8), b""
            return augmenter.sample(pixels, draw, augmented=True), moved

        @tf.autograph.experimental.do_not_convert
        def made(file: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            taken = self._beside.taken(file) if self._beside else ""
            given = [file["image"], file["source"], file["copy"], file["label"], taken]
            image, moved = tf.numpy_function(sample, given, [tf.uint8, tf.string], stateful=False)
            image = tf.ensure_shape(image, self._recipe.image_shape)
            if self._beside:
                with tf.control_dependencies([image]):  # of one that is unusable nothing moved
                    file = self._beside.given(file, tf.ensure_shape(tf.identity(moved), []))
            return {**file, "image": image}

        return self._accounted(members, rows, _mapped(made), copies)

    def samples_for_layer(self, members: Members, rows: tf.Tensor, copy: tf.Tensor) -> tf.data.Dataset:
        """(what `model_layer`'s layer takes, label): all that draws nothing is done here, as in the job."""
        augmenter = Augmenter(self._recipe, self._seed)

        @tf.autograph.experimental.do_not_convert
        def begun(file: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {**file, "image": computed(augmenter.head, file["image"], self._recipe)}

        @tf.autograph.experimental.do_not_convert
        def for_layer(file: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            number = tf.cast(file["copy"], tf.int32)
            return {"image": file["image"], "key": file["key"], "copy": number}, file["label"]

        return self._accounted(members, rows, _mapped(begun), copy).map(for_layer)

    def usable(self, members: Members) -> Members:
        """Those whose files can be read and decoded, and what is known of them too, found by trying."""
        rows = tf.range(len(members), dtype=tf.int64)

        @tf.autograph.experimental.do_not_convert
        def tried(file: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            image = computed(lambda image: image[:1, :1], file.pop("image"), self._recipe, size=(1, 1))
            return {**file, "image": image}

        if self._beside:
            trial = self._of_one(members, rows, NOT_AUGMENTED)
        else:
            trial = self._accounted(members, rows, _mapped(tried))
        usable = {sample["source"].decode() for sample in trial.as_numpy_iterator()}
        return members.where(np.array([source in usable for source in members.ids], bool))

    def _accounted(
        self,
        members: Members,
        rows: tf.Tensor,
        make: Callable[[tf.data.Dataset], tf.data.Dataset],
        copy: tf.Tensor | None = None,
    ) -> tf.data.Dataset:
        with tf.init_scope():  # outside of the graph, which would hold them all
            every = {
                "label": tf.constant(members.labels),
                "source": tf.constant(members.ids),
                "key": tf.constant(members.keys),
            }
            if self._beside:
                every[ANNOTATION] = tf.constant([self._annotations[source] for source in members.ids])
        chosen = {name: tf.gather(values, rows) for name, values in every.items()}
        if copy is not None:
            chosen["copy"] = tf.broadcast_to(copy, tf.shape(rows))
        files = tf.data.Dataset.from_tensor_slices(chosen)
        return accounted(files, chosen["source"], self._account, make)


def _mapped(function: Callable[..., Any]) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Of what the function fails for, nothing is left."""
    return lambda files: files.map(function, num_parallel_calls=2 * CORES, deterministic=True).ignore_errors()


def members(images: Images, split: str, seed: int, stored: Stored | None, *, train: bool) -> Members:
    """The sources of a split; where there are shards, those of which there are records.

    Where classes have copies of their own there, those of the split to train on are there with each.
    """
    if stored and train and stored.manifest.splits[split].classes is not None:
        return stored.each_copy(split)
    if stored and split in stored.manifest.splits:
        return stored.members(split)
    sources = images.ordered(split, seed)
    number = {label: i for i, label in enumerate(images.classes)}
    ids = np.array([source.id for source in sources], object)
    return Members(split, ids, np.array([number[source.label] for source in sources], np.int64))


def model_layer(recipe: Recipe, seed: int) -> tuple[AugmentLayer, Shape]:
    """The layer for images on which all that draws nothing is done, and the shape of those.

    Raises RequestError if the recipe cannot be split so.
    """
    if recipe.recipe_for:
        raise RequestError(
            f"arm live-layer: recipe {recipe.name} has one of its own for class "
            f"{min(recipe.recipe_for)!r}, and a layer does not know of which class an image is; use "
            "arm live"
        )
    steps = recipe.steps
    first = next((i for i, step in enumerate(steps) if not step.deterministic), len(steps))
    size = steps[first].size if first < len(steps) else recipe.image_size
    if size is None:
        raise RequestError(
            f"arm live-layer: recipe {recipe.name}: images have no one size, to stand in a batch, before its "
            f"{steps[first].ops[0].name}; put a resize before that, or use arm live"
        )
    rest = [op for step in steps[first:] for op in step.ops]
    # A recipe has to say of what size its images are. They are of it already, so this does nothing.
    said = CropOrPad(height=size[0], width=size[1], id=_unused({op.id for op in rest}))
    begun = Recipe(recipe.name, (said, *rest), recipe.storage, channels=recipe.channels)
    return AugmentLayer(begun, seed), (*size, recipe.channels)


def _unused(ids: set[str]) -> str:
    name = "size"
    while name in ids:
        name += "_"
    return name
