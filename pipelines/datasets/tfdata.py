"""tf.data of images and of shards.

Both yield dictionaries of `image`, `label`, `source` and `copy`; or pairs of image and label, for
`as_supervised`; or batches of either, for a `batch_size`, of which the last may have fewer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from augment.errors import RequestError
from augment.ops import Size
from augment.recipe import Recipe, check_recipe
from augment.tfdata import augment_usable, checked_batch_size, of_length
from pipelines import storage
from pipelines.annotations import annotations_for
from pipelines.datasets.arrays import Samples
from pipelines.datasets.beside import ANNOTATION, targets_beside
from pipelines.datasets.selection import check_shuffle, chosen_copies
from pipelines.format.inside import path_in
from pipelines.format.layout import shard_file
from pipelines.format.manifest import Manifest, read_manifest
from pipelines.format.parsing import parse
from pipelines.format.records import ShardReader, frames_of
from pipelines.format.request import Duplicates
from pipelines.format.tfds import supervised
from pipelines.images import having, list_images
from pipelines.live import Account, accounted
from pipelines.sources import Layout, Reject
from pipelines.sources.groups import checked_pattern

_READ = 32
"""How many records are read at a time, where they are shuffled."""


def from_images(
    directory: str,
    recipe: Recipe,
    *,
    seed: int,
    split: str = "train",
    copy: int = 0,
    split_fractions: dict[str, str] | None = None,
    group_by: str | None = None,
    duplicates: Duplicates | None = None,
    class_copies: Mapping[str, int] | None = None,
    balance: Literal["max"] | int | None = None,
    annotations: str | None = None,
    layout: Layout = "auto",
    on_reject: Callable[[Reject], object] | None = None,
    as_supervised: bool = False,
    batch_size: int | None = None,
) -> tf.data.Dataset:
    """Live augmentation of a split: what `augshard materialize` writes as its copy `copy`.

    Args:
        directory: as for `--input`.
        recipe: see `augment.load_recipe`.
        seed: of the augmentation.
        split: as the folders or the fractions name it; `train` if there are none.
        copy: from 0, the epoch's number; -1 for images that are not augmented.
        split_fractions: exact decimals by split, as for `--split-fractions`.
        group_by, duplicates: as for `--group-by` and `--duplicates`; with the latter, every image
            is looked at before.
        class_copies, balance: as for `--copies` by class, where classes that are not named get one, and
            `--balance`: then only the sources that have copy `copy` there are yielded. Without them all are.
        annotations, layout: as for `--annotations` and `--layout`. What is annotated moves with the images,
            and is there as `from_shards` gives it.
        on_reject: is called with each image that cannot be used, once; else they are said on stderr.
        as_supervised, batch_size: see above.

    Images that cannot be used are left out, the same that a materialized dataset
    rejects. How many were listed is known before, and `len` gives it: those that turn out to be of no use
    when they are decoded are among them. A fault that may pass, and one of an op, is raised. Raises
    RequestError if there is no such split, and for an input that `augshard materialize` refuses.
    """
    checked_batch_size(batch_size)
    check_recipe(recipe)
    if group_by is not None:
        checked_pattern(group_by)
    images = list_images(
        directory,
        layout=layout,
        split_fractions=split_fractions,
        group_by=group_by,
        duplicates=duplicates,
        annotations=annotations_for(directory, annotations),
    )
    images.warn()
    beside = targets_beside(images, recipe, seed)
    account = Account(images.root, on_reject, beside.look if beside else None, images.places)
    for reject in images.rejects:
        account.add(reject)
    ordered = images.ordered(split, seed)
    if class_copies is not None or balance is not None:
        ordered = having(ordered, copy, class_copies, balance)
    number = {label: i for i, label in enumerate(images.classes)}
    sources = tf.constant([source.id for source in ordered])
    elements = {"source": sources, "copy": np.full(len(ordered), copy, np.int64)}
    if images.labeled:
        elements["label"] = np.array([number[source.label] for source in ordered], np.int64)
    if beside:
        elements[ANNOTATION] = tf.constant([source.annotation for source in ordered])
    listed = tf.data.Dataset.from_tensor_slices(elements)

    def augmented(files: tf.data.Dataset) -> tf.data.Dataset:
        return augment_usable(files, recipe, seed=seed, copy=copy, classes=images.classes, beside=beside)

    samples = accounted(listed, sources, account, augmented)
    learned = supervised(images.classes, images.targets)
    return _given(of_length(samples, len(ordered)), learned, as_supervised, batch_size)


def from_shards(
    directory: str,
    *,
    split: str = "train",
    copies: Sequence[int] | None = None,
    shuffle: int | None = None,
    epoch: int = 0,
    as_supervised: bool = False,
    batch_size: int | None = None,
) -> tf.data.Dataset:
    """The records of a split, copy after copy, each in the order of live training.

    Args:
        directory: a finished dataset.
        split: as the manifest names it, without the copy.
        copies: which, in which order; all by default, but for the originals (-1) of a split
            that is augmented.
        shuffle: a seed, by which each copy is in an order of its own, that of `augshard train`; None for
            the order of live training. Nothing is buffered: records are read where they lie.
        epoch: how often all of this has been read before, which decides the order if it is shuffled: of n
            copies, the k-th is ordered as epoch `n * epoch + k`.
        as_supervised, batch_size: see above.

    Nothing of the dataset is run: a plugin of its recipe need not be there. Raises RequestError if the
    directory is no finished dataset, lacks the split, a copy or a file, or its manifest is not to be
    believed; a record that is damaged, or is of another size or class, fails when it is read. How many
    there are is known before.
    """
    check_shuffle(shuffle, epoch)
    checked_batch_size(batch_size)
    manifest = read_manifest(directory)
    wanted = chosen_copies(directory, manifest, split, copies)
    names = [
        shard_file(manifest.request.name, split, copy, shard, groups)
        for copy in wanted
        for groups in [manifest.groups(split, copy)]
        for shard in range(groups)
    ]
    shards = [(_shard(directory, manifest, name), manifest.files[name].records or 0) for name in names]
    stored, shape, classes = manifest.request.storage, manifest.image_shape, len(manifest.classes)

    @tf.autograph.experimental.do_not_convert
    def parsed(record: tf.Tensor) -> dict[str, tf.Tensor]:
        return parse(record, stored, shape, classes, manifest.targets, labeled=manifest.labeled)

    if shuffle is not None:
        records = _shuffled_records(Samples(directory, split, copies, shuffle, epoch))
    elif storage.at(directory).is_file_system:
        records = _local_records(shards, manifest.image_size)
    else:
        records = _remote_records(shards, manifest.image_size)
    records = of_length(records, sum(count for _, count in shards))
    samples = records.map(parsed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return _given(samples, manifest.supervised, as_supervised, batch_size).prefetch(tf.data.AUTOTUNE)


def _given(
    samples: tf.data.Dataset, learned: str | None, as_supervised: bool, batch_size: int | None
) -> tf.data.Dataset:
    """Samples in the form that is asked for. Raises RequestError for pairs where nothing is `learned`."""
    if as_supervised:
        if learned is None:
            raise RequestError(
                "as_supervised: images of this dataset have neither a label nor a mask, only objects; take "
                "them from the dictionaries"
            )
        samples = samples.map(lambda sample: (sample["image"], sample[learned]))
    if batch_size is None:
        return samples
    several = isinstance(samples.element_spec, dict) and {"objects", "labels"} & samples.element_spec.keys()
    return samples.ragged_batch(batch_size) if several else samples.batch(batch_size)


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


def _shuffled_records(samples: Samples) -> tf.data.Dataset:
    """The records of samples in their order, read where they lie, a few at a time and ahead."""

    @tf.autograph.experimental.do_not_convert
    def records(numbers: tf.Tensor) -> tf.Tensor:
        read = tf.numpy_function(samples.records, [numbers], tf.string, stateful=False)
        return tf.ensure_shape(read, [None])

    return tf.data.Dataset.range(len(samples)).batch(_READ).map(records).prefetch(2).unbatch()


def _local_records(shards: list[tuple[str, int]], size: Size) -> tf.data.Dataset:
    """The records of shards, one shard after the other, of each as many as are said.

    A shard is looked over before TensorFlow reads it: a record that says that it has 2**40 bytes ends
    the process there.
    """

    def checked(path: bytes, count: np.int64) -> bytes:
        with open(path, "rb", buffering=0) as file:
            starts, _ = frames_of(file, size)
        _check_count(os.fsdecode(path), len(starts), count)
        return path

    @tf.autograph.experimental.do_not_convert
    def records(path: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
        sound = tf.ensure_shape(tf.numpy_function(checked, [path, count], tf.string, stateful=False), [])
        return tf.data.TFRecordDataset(sound, buffer_size=1 << 20)

    return _listed(shards).flat_map(records)


def _listed(shards: list[tuple[str, int]]) -> tf.data.Dataset:
    """Their paths, string, and how many records they are to have, int64."""
    paths = np.array([os.fsencode(path) for path, _ in shards], object)
    return tf.data.Dataset.from_tensor_slices((paths, np.array([count for _, count in shards], np.int64)))


def _check_count(path: str, there: int, count: np.int64) -> None:
    if there != count:
        raise ValueError(f"{path}: it has {there:,} records; by the manifest it has {count:,}")


def _remote_records(shards: list[tuple[str, int]], size: Size) -> tf.data.Dataset:
    """As `_local_records`, of objects, a shard at a time: the next is on its way while one is read."""

    def shard(url: bytes, count: np.int64) -> np.ndarray:
        reader = ShardReader(url.decode(), size)
        frames = list(reader)
        if reader.damage or not all(frame.sound for frame in frames):
            raise OSError(f"{url.decode()}: it is damaged")
        _check_count(url.decode(), len(frames), count)
        return np.array([frame.data for frame in frames], object)

    @tf.autograph.experimental.do_not_convert
    def records(url: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(shard, [url, count], tf.string, stateful=False), [None])

    return _listed(shards).map(records).prefetch(1).unbatch()
