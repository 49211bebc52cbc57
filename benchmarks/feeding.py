"""What feeds a model how fast: shards by us and by TFDS, and live augmentation, in images/s to batches.

Both by the clock and by the processor's time, in which a busy machine shows less.

    python -m benchmarks.feeding [--input DIR] [--images 2000] [--repeats 5] [--json FILE]

README.md in this directory says what each contestant is and how to read the table.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import psutil
import tensorflow as tf
import tensorflow_datasets as tfds

from augment.recipe import Recipe, recipe_from_document
from benchmarks.photos import draw_photos, lay_out
from benchmarks.rates import Rates, report
from pipelines import datasets
from pipelines.engines import choose
from pipelines.format.request import Request
from pipelines.images import list_images
from pipelines.materialize.launch import launch
from pipelines.train.arms import Arm, open_feed

BATCH = 32
SIDE = 180
OPS: list[dict[str, object]] = [
    {"resize": {"height": SIDE, "width": SIDE}},
    {"contrast": {"factor": 0.2}},
    {"flip": {"horizontal": 0.5}},
]

Epochs = Callable[[], Iterable[Any]]
"""The batches of epochs without end: dictionaries, or pairs of images and labels."""


def recipe_of(storage: str) -> Recipe:
    document = {"ops": OPS, "storage": {"format": storage}}
    return recipe_from_document(document, name=f"feeding_{storage}", where="benchmark")


def materialized(images: Path, output: Path, recipe: Recipe) -> Path:
    request = Request(name=recipe.name, recipe_name=recipe.name, recipe=recipe.canonical(), seed=0, copies=1)
    launch(
        request,
        root=str(images),
        output=str(output),
        max_rejects=0,
        overwrite=False,
        engine=choose(),
    )
    return output


def ours(arm: Arm, images: Path, shards: Path, recipe: Recipe) -> Epochs:
    feed = open_feed(arm, input=str(images), recipe=recipe, shards=str(shards))
    return lambda: feed.epochs(0, batch=BATCH, train_seed=0)


def by_from_shards(shards: Path) -> Epochs:
    read = datasets.from_shards(str(shards)).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    return lambda: itertools.chain.from_iterable(read for _ in itertools.count())


def by_numpy(shards: Path) -> Epochs:
    read = datasets.numpy(str(shards))
    return lambda: itertools.chain.from_iterable(read.batches(BATCH) for _ in itertools.count())


def by_torch(shards: Path, *, workers: int) -> Epochs:
    from torch.utils.data import DataLoader

    batches = datasets.torch(str(shards)).batches(BATCH)
    read = DataLoader(batches, batch_size=None, num_workers=workers, persistent_workers=workers > 0)
    return lambda: itertools.chain.from_iterable(read for _ in itertools.count())


def by_tfds(shards: Path, *, buffer: int) -> Epochs:
    """TFDS's reader with its defaults, but it is to read and not to keep a small dataset in memory.

    With a buffer, shuffled as its guide has it.
    """
    builder = tfds.builder_from_directory(str(shards))
    reading = tfds.ReadConfig(try_autocache=False)

    def epochs() -> tf.data.Dataset:
        read = builder.as_dataset(
            split="train_c0", as_supervised=True, shuffle_files=bool(buffer), read_config=reading
        )
        shuffled = read.shuffle(buffer) if buffer else read
        return shuffled.repeat().batch(BATCH).prefetch(tf.data.AUTOTUNE)

    return epochs


def by_bare(shards: Path, storage: str) -> Epochs:
    """A dataset of the files, parsed and decoded on all cores, in order; no more than a batch needs."""
    files = sorted(str(path) for path in shards.glob("*-train_c0.tfrecord-*"))
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parsed(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, features)
        if storage == "raw":
            image = tf.reshape(tf.io.decode_raw(example["image"], tf.uint8), [SIDE, SIDE, 3])
        else:
            image = tf.io.decode_image(example["image"], channels=3, expand_animations=False)
        return tf.ensure_shape(image, [SIDE, SIDE, 3]), example["label"]

    def epochs() -> tf.data.Dataset:
        read = tf.data.TFRecordDataset(files).map(parsed, num_parallel_calls=tf.data.AUTOTUNE)
        return read.repeat().batch(BATCH).prefetch(tf.data.AUTOTUNE)

    return epochs


def contestants(images: Path, folder: Path) -> Iterator[tuple[str, str, Epochs]]:
    """(storage, name, epochs), ours first in each storage."""
    for storage in ("png", "jpeg", "raw"):
        recipe = recipe_of(storage)
        shards = materialized(images, folder / storage, recipe)
        yield storage, "arm shards", ours(Arm("shards", copies=1), images, shards, recipe)
        yield storage, "from_shards", by_from_shards(shards)
        yield storage, "numpy", by_numpy(shards)
        if importlib.util.find_spec("torch"):
            for workers in (0, 2, 4):
                yield storage, f"torch, {workers} workers", by_torch(shards, workers=workers)
        yield storage, "TFDS, in order", by_tfds(shards, buffer=0)
        yield storage, "TFDS, shuffled", by_tfds(shards, buffer=1000)
        yield storage, "TFRecordDataset", by_bare(shards, storage)
        yield storage, "arm live", ours(Arm("live"), images, shards, recipe)


def rate(epochs: Epochs, images: int) -> tuple[float, float]:
    """Images a second, and a second of the processor's, over two epochs of `images`.

    After one in which the pipeline is built and comes up to speed. Whole epochs, since a shuffle's buffer is
    filled at the beginning of each.
    """
    batches = iter(epochs())

    def take(wanted: int) -> int:
        taken = 0
        while taken < wanted:
            batch = next(batches)
            taken += len(batch["label"] if isinstance(batch, dict) else batch[1])
        return taken

    take(images)
    began, worked = time.perf_counter(), processor_seconds()
    taken = take(2 * images)
    return taken / (time.perf_counter() - began), taken / (processor_seconds() - worked)


def processor_seconds() -> float:
    """Of this process and of its workers."""
    me = psutil.Process()
    used = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(times.user + times.system for times in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, metavar="DIR", help="images; else some are drawn")
    parser.add_argument(
        "--images", type=int, default=2000, metavar="N", help="how many to draw [%(default)s]"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes")
    arguments = parser.parse_args()
    if arguments.images < 8 * BATCH or arguments.repeats < 1:
        parser.error(f"--images must be at least {8 * BATCH}, and --repeats at least 1")
    by_clock: Rates = {}
    by_processor: Rates = {}
    with tempfile.TemporaryDirectory() as folder:
        images = arguments.input or lay_out(
            draw_photos(Path(folder) / "drawn"), Path(folder) / "images", arguments.images
        )
        everyone = list(contestants(images, Path(folder)))
        an_epoch = len(list_images(str(images)).ordered("train", seed=0))
        for _ in range(arguments.repeats):
            for storage, name, epochs in everyone:
                clock, processor = rate(epochs, an_epoch)
                by_clock.setdefault((storage, name), []).append(clock)
                by_processor.setdefault((storage, name), []).append(processor)
    for rates, file in ((by_processor, None), (by_clock, arguments.json)):
        sys.stdout.write("of the processor's time\n" if rates is by_processor else "\nby the clock\n")
        report(rates, done="storage", ours="numpy", file=file)


if __name__ == "__main__":
    main()
