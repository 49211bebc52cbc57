"""The arms of a comparison, and how each of them feeds a model.

An arm is one way to feed the trainer. All arms have the same sources in the same order
each epoch, in the same batches; they differ in where the pixels come from:

none        images brought to size and no more
shards      copies that were materialized
live        the same copies, augmented in the input pipeline
live-layer  the same copies, augmented in the model

Epoch e sees copy e, or where an arm has a pool of K copies, copy e mod K. Where the classes of shards have
copies of their own, an epoch of every arm has each source as often as it has copies: in `shards` those, in
the live arms new ones each epoch, of which the first epoch's are those of the shards.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from augment.array_api import tf
from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError, did_you_mean
from augment.recipe import Recipe, Shape
from pipelines.format.request import Duplicates
from pipelines.sources import Layout
from pipelines.sources.rules import role
from pipelines.train.compatibility import check_annotations, check_compatibility, differing, limited
from pipelines.train.learned import CLASSES, Learned, Task

if TYPE_CHECKING:
    from augment.layer import AugmentLayer
    from pipelines.annotations import Annotations
    from pipelines.train.feeding import Live, Members, Stored
    from pipelines.train.truth import Truth

NAMES = ("none", "shards", "live", "live-layer")

_FIRST = ("train", "training", "validation", "val", "valid", "dev", "eval", "test", "testing")
"""Which split is taken where several have names of one kind; then the others by name."""


def named_as(wanted: str, splits: Iterable[str]) -> list[str]:
    """The splits whose names say that they train, validate or test, the first choice first."""
    known = [split for split in splits if role(split) == wanted]
    return sorted(known, key=lambda split: (_FIRST.index(split) if split in _FIRST else len(_FIRST), split))


MOST_EPOCHS = 1 << 31
"""Copies are int32."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to feed the trainer."""

    name: str
    """one of NAMES"""
    copies: int | None = None
    """the K that epochs use in turn; None: no limit, or for shards as many as there are"""
    originals: bool = False
    """whether the pool begins with the images that are not augmented, before the K copies"""

    def copy(self, epoch: int) -> int:
        """The copy that epoch `epoch`, from 0, sees; NOT_AUGMENTED for the images themselves."""
        if self.name == "none":
            return NOT_AUGMENTED
        return epoch if self.copies is None else self.pool[epoch % len(self.pool)]

    @property
    def pool(self) -> range:
        """The copies that epochs use in turn, where there is a limit; NOT_AUGMENTED is -1."""
        return range(-1 if self.originals else 0, self.copies or 0)

    @property
    def label(self) -> str:
        """What it is called in reports and directories: `live`, `shards-k5`, `shards-originals-k5`."""
        pool = "-originals" if self.originals else ""
        return self.name + pool + ("" if self.copies is None else f"-k{self.copies}")


def parse_arms(names: str, copies: str | None) -> list[Arm]:
    """The arms of `--arms none,shards,live` with `--copies 1,5,originals+5`, in that order.

    Each entry of `copies` makes one arm of `shards`; the others know no limit.
    Raises RequestError for what is neither.
    """
    arms: list[Arm] = []
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in NAMES:
            raise RequestError(f"--arms: there is no arm {name!r}; {did_you_mean(name, NAMES)}")
        if name == "shards" and copies is not None:
            arms += [_of_copies(entry.strip()) for entry in copies.split(",")]
        else:
            arms.append(Arm(name))
    if copies is not None and "shards" not in wanted:
        raise RequestError(
            f"--copies {copies}: it says how many copies the arm shards uses; add shards to --arms"
        )
    for arm in arms:
        if arms.count(arm) > 1:
            raise RequestError(f"--arms {names}: {arm.label} stands there twice; name it once")
    return arms


def _of_copies(entry: str) -> Arm:
    match = re.fullmatch(r"(originals\s*\+\s*)?([1-9][0-9]{0,4})", entry)
    if not match:
        raise RequestError(
            f"--copies: {entry!r} is no number of copies; give a whole number from 1, "
            "or originals+ and such a number"
        )
    return Arm("shards", int(match[2]), originals=bool(match[1]))


@dataclasses.dataclass(frozen=True, eq=False)
class Feed:
    """One arm, bound to its data."""

    arm: Arm
    """for shards, with the number of copies that it uses"""
    task: Task
    classes: tuple[str, ...]
    """of what is learned, by the number that a model gives them"""
    image_shape: Shape
    """height, width and channels of what the model behind the augmentation sees, in every arm"""
    layer: AugmentLayer | None
    """what a live-layer model begins with; its images are of `layer_shape`"""
    layer_shape: Shape | None
    seed: int
    """of the augmentation"""
    validation: str | None
    """the split for `evaluation` that validates, if there is one"""
    test: str | None
    """the split for `evaluation` that tests, if there is one"""
    _train: Members
    _evaluated: dict[str, Members]
    _live: Live
    _stored: Stored | None
    _truth: Truth

    @property
    def train_samples(self) -> int:
        """Those of an epoch."""
        return len(self._train)

    def images(self, split: str | None = None) -> int:
        """How many a split for `evaluation` has; None: those that it trains on."""
        return len(set((self._evaluated[split] if split else self._train).ids))

    def copy(self, epoch: int) -> int:
        """The copy that epoch `epoch`, from 0, sees, as for `Arm.copy`.

        Where classes have copies of their own, which round of them: shards have one.
        """
        return 0 if self.arm.name == "shards" and self._train.copies is not None else self.arm.copy(epoch)

    @property
    def class_weights(self) -> np.ndarray:
        """float32 [classes]: n / (k * n_c) for a class of n_c of an epoch's n samples, k classes having any.

        So all classes weigh the same in an epoch's loss, and a sample 1 on average.
        """
        counts = np.bincount(self._train.labels, minlength=len(self.classes))
        return (len(self._train) / np.count_nonzero(counts) / np.maximum(counts, 1)).astype(np.float32)

    def epochs(self, first: int, *, batch: int, train_seed: int, named: bool = False) -> tf.data.Dataset:
        """The batches of epoch `first`, from 0, and of those after it, without end.

        Every epoch has ceil(train_samples / batch) of them, the last of which may be smaller.
        Yields (x, y) with y as `truth.Truth` has it, [B, ...]. x is uint8 [B, *image_shape]; in
        live-layer a dictionary of what AugmentLayer takes, `image` [B, *layer_shape], `key` and `copy`.
        With `named` it yields (x, y, who): a dictionary of `key`, uint32 [B, 2], and `copy`, int64 [B], by
        which a batch is mixed. It is the same in every arm: the copy is that of live training.
        The order is a function of `train_seed`, the epoch and the sources' ids, the same in
        every arm; it depends on no state, global seeds included.
        """

        def begin(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            order = self._train.order(train_seed, int(epoch))
            fresh = self._train.copies_in(int(epoch))[order]
            if self._train.copies is None:
                return order, np.array(self.arm.copy(int(epoch)), np.int64), fresh
            return order, self._train.copies[order] if self.arm.name == "shards" else fresh, fresh

        @tf.autograph.experimental.do_not_convert
        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            begun = tf.numpy_function(begin, [epoch], [tf.int64] * 3, stateful=False)
            shapes = [None], [] if self._train.copies is None else [None], [None]
            rows, copy, fresh = map(tf.ensure_shape, begun, shapes)
            samples = self._samples(rows, copy)
            if named:
                with tf.init_scope():  # outside of the graph, which would hold them all
                    keys = tf.constant(self._train.keys)
                who = {"key": tf.gather(keys, rows), "copy": fresh}
                both = tf.data.Dataset.zip(samples, tf.data.Dataset.from_tensor_slices(who))
                samples = both.map(lambda sample, who: (*sample, who))
            # A file that cannot be read for once would be left out, and this epoch not the one of other arms.
            samples = samples.apply(tf.data.experimental.assert_cardinality(self.train_samples))
            return self._truth.batched(samples, batch)

        return tf.data.Dataset.range(first, MOST_EPOCHS).flat_map(of_epoch).prefetch(tf.data.AUTOTUNE)

    def epoch(self, number: int, *, batch: int, train_seed: int) -> tf.data.Dataset:
        """Epoch `number` of `epochs` alone."""
        batches = -(-self.train_samples // batch)
        return self.epochs(number, batch=batch, train_seed=train_seed).take(batches)

    def _samples(self, rows: tf.Tensor, copy: tf.Tensor) -> tf.data.Dataset:
        if self.arm.name == "live-layer":
            return self._live.samples_for_layer(self._train, rows, copy)
        if self.arm.name == "live":
            return self._live.samples(self._train, rows, copy)
        if self.arm.name == "shards" and self._stored:
            return self._stored.samples(self._train, rows, copy)
        return self._plain(self._train, rows)

    def evaluation(self, split: str, *, batch: int) -> tf.data.Dataset:
        """A split's images, brought to size and not augmented, in a fixed order.

        Yields (x, y), x uint8 [B, *image_shape] in every arm: in
        live-layer it is for the model behind the layer.
        """
        members = self._evaluated[split]
        samples = self._plain(members, tf.range(len(members), dtype=tf.int64))
        return self._truth.batched(samples, batch).prefetch(tf.data.AUTOTUNE)

    def _plain(self, members: Members, rows: tf.Tensor) -> tf.data.Dataset:
        """Images that are not augmented: from shards if they are there, else the same from images."""
        if self._stored and self._stored.has(members.split, NOT_AUGMENTED):
            return self._stored.samples(members, rows, tf.constant(NOT_AUGMENTED, tf.int64))
        return self._live.samples(members, rows, NOT_AUGMENTED)

    def notes(self, epochs: int) -> list[str]:
        """What a user should know before so many epochs begin, such as that copies are reused."""
        notes = []
        if self.arm.copies is not None and epochs > len(self.arm.pool):
            pool = "the originals and " * self.arm.originals + _counted(self.arm.copies)
            rule = (
                f"epoch e sees number e mod {len(self.arm.pool)} of them, the originals being number 0"
                if self.arm.originals
                else f"epoch e sees copy e mod {self.arm.copies}"
            )
            notes.append(f"{self.arm.label}: {epochs} epochs share {pool}; {rule}")
        other = differing(self._stored.manifest) if self._stored else []
        if other:
            notes.append(
                f"the shards were made with {', '.join(other)}: live pixels may differ from theirs by a "
                "level here and there"
            )
        return notes


def _counted(copies: int) -> str:
    return f"{copies} {'copy' if copies == 1 else 'copies'}"


def open_feed(
    arm: Arm,
    *,
    input: str,  # noqa: A002 (the option's name)
    recipe: Recipe,
    seed: int = 0,
    shards: str | None = None,
    layout: Layout = "auto",
    split_fractions: dict[str, str] | None = None,
    group_by: str | None = None,
    duplicates: Duplicates | None = None,
    validation_fraction: str | None = None,
    annotations: Annotations | None = None,
    learned: Learned | None = None,
) -> Feed:
    """Binds an arm to images, and to shards made from them.

    Args:
        input: the directory of images, as for `--input`.
        recipe, seed: of the augmentation.
        shards: a finished dataset; what is stored there need not be read from images.
        layout, split_fractions, group_by, duplicates: as for `augshard materialize`.
        validation_fraction: a decimal such as 0.1: that part of the training images, by the
            hash of their ids, or of what splits must not tear, is kept for validation; 0 as None: no part.
        annotations: what lies beside the images.
        learned: of them; else the class of each.

    Raises RequestError if these do not fit each other, or the arm.
    """
    from pipelines.images import list_images
    from pipelines.train.feeding import Live, Stored, members, model_layer
    from pipelines.train.truth import Truth

    images = list_images(
        input,
        layout=layout,
        split_fractions=split_fractions,
        group_by=group_by,
        duplicates=duplicates,
        annotations=annotations,
    )
    learned = learned or Learned(CLASSES, images.classes)
    truth = Truth(learned, recipe.image_shape)
    stored = Stored(shards, truth) if shards is not None else None
    there = images.splits()
    train = next(iter(named_as("train", there)), None)
    if train is None:
        raise RequestError(
            f"input {images.root}: there is no split named train to train on; it has "
            f"{', '.join(there) or 'no images'}"
        )
    if stored:
        made_by = (
            split_fractions,
            group_by if split_fractions else None,
            duplicates if split_fractions else None,
        )
        check_annotations(stored.directory, stored.manifest, images)
        check_compatibility(stored.directory, stored.manifest, images, recipe, seed, made_by)
    if arm.name == "live-layer" and learned.moves:
        raise RequestError(
            f"arm live-layer: a layer augments images, and what is learned of them, {learned.task.name}, "
            "would stay where it was; use arm live"
        )
    if arm.name == "shards":
        arm = limited(arm, train, stored)
    elif arm.originals:
        raise RequestError(f"arm {arm.label}: only the arm shards takes originals among its copies")
    fed = {
        split: members(images, split, seed, stored, train=split == train)
        for split in there
        if split == train or role(split) in ("validation", "test")
    }
    train_members = fed.pop(train)
    validation = next(iter(named_as("validation", fed)), None)
    carved = validation_fraction if validation_fraction != "0" else None
    if carved is not None:
        if validation or split_fractions:
            raise RequestError(
                f"--validation-fraction {carved}: it takes images out of {train} where nothing "
                "else says which validate, and "
                + (f"there is a split {validation}" if validation else "--split-fractions does")
                + "; leave it out"
            )
        validation = "validation"
        train_members, fed[validation] = train_members.carved(carved, images.groups)
    live = Live(images, recipe, seed, truth)
    if stored is None:
        train_members = live.usable(train_members)
    elif arm.name == "shards" and train_members.copies is None:
        stored.check(train_members, arm.pool)
    for split, some in {train: train_members, **fed}.items():
        if not len(some):
            raise RequestError(
                f"input {images.root}: no image is left in split {split}"
                + ("; --validation-fraction says what part of train is taken, 0 for none" if carved else "")
            )
    layer, layer_shape = model_layer(recipe, seed) if arm.name == "live-layer" else (None, None)
    return Feed(
        arm=arm,
        task=learned.task,
        classes=learned.classes,
        image_shape=recipe.image_shape,
        layer=layer,
        layer_shape=layer_shape,
        seed=seed,
        validation=validation,
        test=next(iter(named_as("test", fed)), None),
        _train=train_members,
        _evaluated=fed,
        _live=live,
        _stored=stored,
        _truth=truth,
    )
