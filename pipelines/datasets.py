"""The two ways to feed a trainer: live from images, or from shards. Same samples, order and pixels.

    live = datasets.from_images(DIR, recipe, seed=0, split="train", copy=3)
    shards = datasets.from_shards(OUT, split="train", copies=[3])

Both yield dictionaries of `image` uint8 [H, W, 3], `label` int64, `source` string
and `copy` int64.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from augment.augmenter import NOT_AUGMENTED, augment_dataset, augment_files
from augment.errors import RequestError, did_you_mean
from augment.ops import Size
from augment.recipe import Recipe
from pipelines import storage
from pipelines.format.inside import path_in
from pipelines.format.layout import shard_file
from pipelines.format.manifest import Manifest, read_manifest
from pipelines.format.records import ShardReader, frames_of, parse
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
    listed = tf.data.Dataset.from_tensor_slices(
        {
            "path": [os.fsencode(source_path(images.root, source.id)) for source in ordered],
            "label": np.array([number[source.label] for source in ordered], np.int64),
            "source": [source.id for source in ordered],
            "copy": np.full(len(ordered), copy, np.int64),
        }
    )
    files = listed if storage.at(images.root).is_file_system else fetched(listed)
    return augmented(files, recipe, seed=seed, copy=copy)


_READERS = 10
"""Objects that are asked for at once, and of which a block is made."""


def fetched(files: tf.data.Dataset) -> tf.data.Dataset:
    """Dictionaries with `path`, which are URLs, with `image` instead: their contents.

    The order stays. An object that is gone or refused has no contents, which no decoder takes.
    """
    pool = ThreadPoolExecutor(_READERS)

    def contents_of(paths: np.ndarray) -> np.ndarray:
        return np.array(list(pool.map(_object, paths)), object)

    @tf.autograph.experimental.do_not_convert
    def with_contents(block: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        read = tf.numpy_function(contents_of, [block.pop("path")], tf.string, stateful=False)
        return {**block, "image": tf.ensure_shape(read, [None])}

    return files.batch(_READERS).map(with_contents).prefetch(2).unbatch()


def _object(url: bytes) -> bytes:
    """An image must not be left out for a fault that passes: so that is waited for, not silently.

    Whatever were raised here would cost a whole block, see `augmented`.
    """
    while True:
        try:
            return storage.at(os.fsdecode(url)).read()
        except (FileNotFoundError, PermissionError):
            return b""
        except Exception as error:  # noqa: BLE001 (of the stores' own libraries)
            why = storage.reason(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            sys.stderr.write(f"augshard: {os.fsdecode(url)}: {why}; trying again\n")
            time.sleep(10)


def contents(file: dict[str, tf.Tensor]) -> tf.Tensor:
    """An image file's bytes, of a dictionary with its `path` or its `image`."""
    return file["image"] if "image" in file else tf.io.read_file(file["path"])


def augmented(files: tf.data.Dataset, recipe: Recipe, *, seed: int, copy: int | tf.Tensor) -> tf.data.Dataset:
    """`augment_files`, also for what was fetched."""
    if "image" in files.element_spec:
        return augment_dataset(files, recipe, seed=seed, copy=copy).ignore_errors()
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

    Nothing of the dataset is run: a plugin of its recipe need not be there. Raises RequestError if the
    directory is no finished dataset, lacks the split, a copy or a file, or its manifest is not to be
    believed; a record that is damaged, or is of another size or class, fails when it is read. How many
    there are is known before.
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
    names = [
        shard_file(manifest.request.name, split, copy, shard, counts.groups)
        for copy in wanted
        for shard in range(counts.groups)
    ]
    paths = [_shard(directory, manifest, name) for name in names]
    stored, size, classes = manifest.request.storage, manifest.image_size, len(manifest.classes)

    @tf.autograph.experimental.do_not_convert
    def parsed(record: tf.Tensor) -> dict[str, tf.Tensor]:
        return parse(record, stored, size, classes)

    records = (_local_records if storage.at(directory).is_file_system else _remote_records)(paths, size)
    count = sum(manifest.files[name].records or 0 for name in names)
    records = records.apply(tf.data.experimental.assert_cardinality(count))
    return records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
        tf.data.AUTOTUNE
    )


def _shard(directory: str, manifest: Manifest, name: str) -> str:
    """The path of a shard. Raises RequestError unless it is there, as large as the manifest says."""
    try:
        path = path_in(directory, name)
        there = os.stat(path).st_size if storage.at(path).is_file_system else manifest.files[name].bytes
    except OSError as error:
        raise RequestError(f"{os.path.join(directory, name)}: {storage.reason(error)}") from None
    if there != manifest.files[name].bytes:
        raise RequestError(
            f"{path}: it has {there:,} bytes; by the manifest it has {manifest.files[name].bytes:,}; "
            f"augshard audit {directory} says what is wrong with it"
        )
    return path


def _local_records(paths: list[str], size: Size) -> tf.data.Dataset:
    """The records of shards, one shard after the other. Each is looked over before TensorFlow reads it:

    a record that says that it has 2**40 bytes ends the process there.
    """

    def checked(path: bytes) -> bytes:
        with open(path, "rb", buffering=0) as file:
            frames_of(file, size)
        return path

    @tf.autograph.experimental.do_not_convert
    def records(path: tf.Tensor) -> tf.data.Dataset:
        sound = tf.ensure_shape(tf.numpy_function(checked, [path], tf.string, stateful=False), [])
        return tf.data.TFRecordDataset(sound, buffer_size=1 << 20)

    return tf.data.Dataset.from_tensor_slices([os.fsencode(path) for path in paths]).flat_map(records)


def _remote_records(urls: list[str], size: Size) -> tf.data.Dataset:
    """The records of shards in a store, a shard at a time: the next is on its way while one is read."""

    def shard(url: bytes) -> np.ndarray:
        reader = ShardReader(url.decode(), size)
        frames = list(reader)
        if reader.damage or not all(frame.sound for frame in frames):
            raise OSError(f"{url.decode()}: it is damaged")
        return np.array([frame.data for frame in frames], object)

    @tf.autograph.experimental.do_not_convert
    def records(url: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(shard, [url], tf.string, stateful=False), [None])

    return tf.data.Dataset.from_tensor_slices(urls).map(records).prefetch(1).unbatch()
