"""The arms of a comparison, and how each of them feeds a model.

An arm is one way to feed the trainer. All arms have the same sources in the same order
each epoch, in the same batches; they differ in where the pixels come from:

none        images brought to size and no more
shards      copies that were materialized
live        the same copies, augmented in the input pipeline
live-layer  the same copies, augmented in the model

Epoch e sees copy e, or where an arm has a pool of K copies, copy e mod K.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from augment.augmenter import NOT_AUGMENTED
from augment.layer import AugmentLayer
from augment.ops import Size
from augment.recipe import Recipe
from pipelines.sources import Layout

NAMES = ("none", "shards", "live", "live-layer")


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
        member = epoch if self.copies is None else epoch % (self.copies + self.originals)
        return member - self.originals  # NOT_AUGMENTED is -1, so originals are member 0

    @property
    def label(self) -> str:
        """What it is called in reports and directories: `live`, `shards-k5`, `shards-originals-k5`."""
        pool = "-originals" if self.originals else ""
        return self.name + pool + ("" if self.copies is None else f"-k{self.copies}")


@dataclasses.dataclass(frozen=True)
class Feed:
    """One arm, bound to its data."""

    arm: Arm
    classes: tuple[str, ...]
    """by label"""
    image_size: Size
    """height and width of what the model behind the augmentation sees, in every arm"""
    train_samples: int
    """those of an epoch; where there are no shards, images that turn out unusable still count"""
    layer: AugmentLayer | None
    """what a live-layer model begins with; its images are of `layer_size`"""
    layer_size: Size | None
    validation: str | None
    """the split for `evaluation` that validates, if there is one"""
    test: str | None
    """the split for `evaluation` that tests, if there is one"""

    def epoch(self, number: int, *, batch: int, train_seed: int) -> tf.data.Dataset:
        """The batches of epoch `number`, from 0, the last of which may be smaller.

        Yields (x, y) with y int64 [B]. x is uint8 [B, height, width, 3]; in live-layer a
        dictionary of what AugmentLayer takes, `image` [B, *layer_size, 3], `key` and `copy`.
        The order is a function of `train_seed`, the epoch and the sources' ids, the same in
        every arm; it depends on no state, global seeds included.
        """
        raise NotImplementedError

    def evaluation(self, split: str, *, batch: int) -> tf.data.Dataset:
        """A split's images, brought to size and not augmented, in a fixed order.

        Yields (x, y), x uint8 [B, height, width, 3] of `image_size` in every arm: in
        live-layer it is for the model behind the layer.
        """
        raise NotImplementedError

    def notes(self, epochs: int) -> list[str]:
        """What a user should know before so many epochs begin, such as that copies are reused."""
        raise NotImplementedError


def open_feed(
    arm: Arm,
    *,
    input: str,  # noqa: A002 (the option's name)
    recipe: Recipe,
    seed: int = 0,
    shards: str | None = None,
    layout: Layout = "auto",
    split_fractions: dict[str, str] | None = None,
    validation_fraction: str | None = None,
) -> Feed:
    """Binds an arm to images, and to shards made from them.

    Args:
        input: the directory of images, as for `--input`.
        recipe, seed: of the augmentation.
        shards: a finished dataset; what is stored there need not be read from images.
        layout, split_fractions: as for `augshard materialize`.
        validation_fraction: a decimal such as 0.1: that part of the training images, by the
            hash of their ids, is kept for validation.

    Raises RequestError if these do not fit each other, or the arm.
    """
    raise NotImplementedError


def parse_arms(names: str, copies: str | None) -> list[Arm]:
    """The arms of `--arms none,shards,live` with `--copies 1,5,originals+5`, in that order.

    Each entry of `copies` makes one arm of `shards`; the others know no limit.
    Raises RequestError for what is neither.
    """
    raise NotImplementedError
