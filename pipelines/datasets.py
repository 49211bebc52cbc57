"""The two ways to feed a trainer: live from images, or from shards. Same samples, order and pixels.

    live = datasets.from_images(DIR, recipe, seed=0, split="train", copy=3)
    shards = datasets.from_shards(OUT, split="train", copies=[3])

Both yield dictionaries of `image` uint8 [H, W, 3], `label` int64, `source` string
and `copy` int64.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from augment.augmenter import NOT_AUGMENTED, augment_files
from augment.errors import RequestError, did_you_mean
from augment.recipe import Recipe
from pipelines.format.layout import shard_file
from pipelines.format.manifest import read_manifest
from pipelines.format.records import parse
from pipelines.plan import places, split_of
from pipelines.sources import Folder, Layout, Source, check_root, list_folder, source_path, top_folders


def from_images(
    directory: str,
    recipe: Recipe,
    *,
    seed: int,
    split: str = "train",
    copy: int = 0,
    split_fractions: dict[str, str] | None = None,
    layout: Layout = "auto",
) -> tf.data.Dataset:
    """Live augmentation of a split: what `augshard materialize` writes as its copy `copy`.

    Args:
        directory: as for `--input`.
        recipe: see `augment.load_recipe`.
        seed: of the augmentation.
        split: as the folders or the fractions name it; `train` if there are none.
        copy: from 0, the epoch's number; -1 for images that are not augmented.
        split_fractions: exact decimals by split, as for `--split-fractions`.
        layout: as for `--layout`.

    Images that cannot be used are left out, the same that a materialized dataset
    rejects. Raises RequestError if there is no such split.
    """
    images = list_images(directory, layout=layout, split_fractions=split_fractions)
    ordered = images.ordered(split, seed)
    number = {label: i for i, label in enumerate(images.classes)}
    files = tf.data.Dataset.from_tensor_slices(
        {
            "path": [os.fsencode(source_path(images.root, source.id)) for source in ordered],
            "label": np.array([number[source.label] for source in ordered], np.int64),
            "source": [source.id for source in ordered],
            "copy": np.full(len(ordered), copy, np.int64),
        }
    )
    return augment_files(files, recipe, seed=seed, copy=copy)


@dataclasses.dataclass(frozen=True)
class Images:
    """What a directory of images holds."""

    root: str
    """its absolute path"""
    sources: list[Source]
    """in no particular order"""
    classes: tuple[str, ...]
    """by label"""

    def splits(self) -> list[str]:
        return sorted({source.split for source in self.sources})

    def ordered(self, split: str, seed: int) -> list[Source]:
        """The sources of a split in the order of the plan. Raises RequestError if there is no such split."""
        mine = {source.id: source for source in self.sources if source.split == split}
        if not mine:
            raise RequestError(
                f"input {self.root}: there is no split {split!r}; {did_you_mean(split, self.splits())}"
            )
        return [
            mine[source] for _, source in sorted(zip(places(seed, list(mine)).tolist(), mine, strict=True))
        ]


def list_images(
    directory: str, *, layout: Layout = "auto", split_fractions: dict[str, str] | None = None
) -> Images:
    """Lists a directory of images, as `augshard materialize` does. Raises RequestError if it cannot be."""
    root = check_root(directory)
    folders = [found for found in top_folders(root, layout) if isinstance(found, Folder)]
    sources = [
        found._replace(split=split_of(found.id, split_fractions)) if split_fractions else found
        for folder in folders
        for found in list_folder(root, folder)
        if isinstance(found, Source)
    ]
    return Images(root, sources, tuple(sorted({folder.label for folder in folders})))


def from_shards(
    directory: str, *, split: str = "train", copies: Sequence[int] | None = None
) -> tf.data.Dataset:
    """The records of a split, copy after copy, each in the order of live training.

    Args:
        directory: a finished dataset.
        split: as the manifest names it, without the copy.
        copies: which, in which order; all by default, but for the originals (-1) of a split
            that is augmented.

    Raises RequestError if the directory is no finished dataset, or lacks the split or a copy.
    """
    manifest = read_manifest(directory)
    if split not in manifest.splits:
        raise RequestError(
            f"{directory}: there is no split {split!r}; {did_you_mean(split, manifest.splits)}"
        )
    counts = manifest.splits[split]
    there = manifest.copies(split)
    augmented = [copy for copy in there if copy != NOT_AUGMENTED]
    wanted = (augmented or there) if copies is None else list(copies)
    for copy in wanted:
        if copy not in there:
            raise RequestError(
                f"{directory}: split {split!r} has no copy {copy}; it has {there[0]} to {there[-1]}"
            )
    paths = [
        os.path.join(directory, shard_file(manifest.request.name, split, copy, shard, counts.groups))
        for copy in wanted
        for shard in range(counts.groups)
    ]
    storage, size = manifest.request.parsed_recipe().storage, manifest.image_size

    @tf.autograph.experimental.do_not_convert
    def parsed(record: tf.Tensor) -> dict[str, tf.Tensor]:
        return parse(record, storage, size)

    records = tf.data.TFRecordDataset(paths, buffer_size=1 << 20)
    return records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
        tf.data.AUTOTUNE
    )
