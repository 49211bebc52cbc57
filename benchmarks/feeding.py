"""What feeds a model how fast: shards by us and by TFDS, and live augmentation, in images/s to batches.

    python -m benchmarks.feeding [--input DIR] [--images 2000] [--repeats 5] [--json FILE]

README.md in this directory says what each contestant is and how to read the table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
import tensorflow_datasets as tfds

from augment.recipe import Recipe, recipe_from_document
from benchmarks.photos import draw_photos, lay_out
from benchmarks.rates import Rates, report
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

Epochs = Callable[[], tf.data.Dataset]
"""The batches of epochs without end."""


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


def contestants(images: Path, folder: Path) -> Iterator[tuple[str, str, Epochs]]:
    """(storage, name, epochs), ours first in each storage."""
    for storage in ("png", "jpeg", "raw"):
        recipe = recipe_of(storage)
        shards = materialized(images, folder / storage, recipe)
        yield storage, "arm shards", ours(Arm("shards", copies=1), images, shards, recipe)
        yield storage, "TFDS, in order", by_tfds(shards, buffer=0)
        yield storage, "TFDS, shuffled", by_tfds(shards, buffer=1000)
        yield storage, "arm live", ours(Arm("live"), images, shards, recipe)


def rate(epochs: Epochs, images: int) -> float:
    """Images/s over two epochs of `images`, after one in which the pipeline is built and comes up to speed.

    Whole epochs, since a shuffle's buffer is filled at the beginning of each.
    """
    batches = iter(epochs())

    def take(wanted: int) -> int:
        taken = 0
        while taken < wanted:
            taken += len(next(batches)[1])
        return taken

    take(images)
    began = time.perf_counter()
    return take(2 * images) / (time.perf_counter() - began)


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
    rates: Rates = {}
    with tempfile.TemporaryDirectory() as folder:
        images = arguments.input or lay_out(
            draw_photos(Path(folder) / "drawn"), Path(folder) / "images", arguments.images
        )
        everyone = list(contestants(images, Path(folder)))
        an_epoch = len(list_images(str(images)).ordered("train", seed=0))
        for _ in range(arguments.repeats):
            for storage, name, epochs in everyone:
                rates.setdefault((storage, name), []).append(rate(epochs, an_epoch))
    report(rates, done="storage", ours="arm shards", file=arguments.json)


if __name__ == "__main__":
    main()
