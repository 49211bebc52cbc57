"""Live augmentation beside Keras's layers and tf.image: images/s from memory to batches.

    python -m benchmarks.live [--images 4096] [--repeats 5] [--json FILE]

README.md in this directory says what each contestant is and how to read the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

import augment
from augment.recipe import recipe_from_document
from benchmarks.rates import Rates, report, table

SIDE = 180
BATCH = 32
IN_MEMORY = 256

Pipeline = Callable[[tf.data.Dataset], tf.data.Dataset]
"""From dictionaries of an image, its number and its source id to batches of images."""

SIZED: dict[str, object] = {"crop_or_pad": {"height": SIDE, "width": SIDE}}
RECIPES: dict[str, list[dict[str, object]]] = {
    "contrast, flip": [SIZED, {"contrast": {"factor": 0.5}}, {"flip": {"horizontal": 0.5}}],
    "car_or_truck_convnet": [
        SIZED,
        {"contrast": {"factor": 0.2}},
        {"flip": {"horizontal": 0.5}},
        {"rotation": {"factor": 0.1}},
        {"translation": {"height": 0.1, "width": 0.1}},
    ],
}


def ours(ops: list[dict[str, object]]) -> Pipeline:
    recipe = recipe_from_document({"ops": ops}, name="benchmark", where="benchmark")

    def pipeline(images: tf.data.Dataset) -> tf.data.Dataset:
        augmented = augment.augment_dataset(images, recipe, seed=0, copy=0, batch_size=BATCH)
        return augmented.map(lambda batch: batch["image"]).prefetch(tf.data.AUTOTUNE)

    return pipeline


def layers(names: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keras's own layers, as the tutorials stack them."""
    every: list[keras.Layer] = [keras.layers.RandomContrast(0.5), keras.layers.RandomFlip("horizontal")]
    if names == "car_or_truck_convnet":
        every[0] = keras.layers.RandomContrast(0.2)
        every += [keras.layers.RandomRotation(0.1), keras.layers.RandomTranslation(0.1, 0.1)]

    def apply(image: tf.Tensor) -> tf.Tensor:
        for layer in every:
            image = layer(image, training=True)
        return image

    return apply


def keras_by_one(names: str) -> Pipeline:
    apply = layers(names)

    def pipeline(images: tf.data.Dataset) -> tf.data.Dataset:
        mapped = images.map(lambda sample: apply(sample["image"]), num_parallel_calls=tf.data.AUTOTUNE)
        return mapped.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    return pipeline


def keras_by_batch(names: str) -> Pipeline:
    apply = layers(names)

    def pipeline(images: tf.data.Dataset) -> tf.data.Dataset:
        batches = images.batch(BATCH)
        mapped = batches.map(lambda batch: apply(batch["image"]), num_parallel_calls=tf.data.AUTOTUNE)
        return mapped.prefetch(tf.data.AUTOTUNE)

    return pipeline


def stateless(images: tf.data.Dataset) -> tf.data.Dataset:
    """tf.image with a seed for each image, as TensorFlow's guide has it."""

    def apply(sample: dict[str, tf.Tensor]) -> tf.Tensor:
        seed = tf.stack([sample["number"], 0])
        image = tf.image.stateless_random_contrast(sample["image"], 0.5, 1.5, seed)
        return tf.image.stateless_random_flip_left_right(image, seed)

    mapped = images.map(apply, num_parallel_calls=tf.data.AUTOTUNE)
    return mapped.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def contestants() -> Iterator[tuple[str, str, Pipeline]]:
    """(recipe, name, pipeline), ours first in each recipe."""
    for names, ops in RECIPES.items():
        yield names, "augment_dataset", ours(ops)
        yield names, "Keras, one by one", keras_by_one(names)
        yield names, f"Keras, by {BATCH}", keras_by_batch(names)
        if names == "contrast, flip":
            yield names, "tf.image.stateless_*", stateless


def rate(pipeline: Pipeline, photos: tf.data.Dataset, images: int) -> tuple[float, float]:
    """Images/s, and per second of processor time, after the first eighth, of a stream that goes on."""
    batches = iter(pipeline(photos.repeat()))
    warm = images // BATCH // 8
    for _ in range(warm):
        next(batches)
    began, used = time.perf_counter(), time.process_time()
    rest = images // BATCH - warm
    for _ in range(rest):
        next(batches)
    done = rest * BATCH
    return done / (time.perf_counter() - began), done / (time.process_time() - used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4096, metavar="N", help="a measurement [%(default)s]")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes")
    arguments = parser.parse_args()
    if arguments.images < 8 * BATCH or arguments.repeats < 1:
        parser.error(f"--images must be at least {8 * BATCH}, and --repeats at least 1")
    pixels = np.random.default_rng(0).integers(0, 256, (IN_MEMORY, SIDE, SIDE, 3), np.uint8)
    numbers = np.arange(IN_MEMORY)
    samples = {"image": pixels, "number": numbers, "source": numbers.astype(bytes)}
    photos = tf.data.Dataset.from_tensor_slices(samples).cache()
    everyone = list(contestants())
    rates: Rates = {(recipe, name): [] for recipe, name, _ in everyone}
    by_processor: Rates = {(recipe, name): [] for recipe, name, _ in everyone}
    for repeat in range(arguments.repeats + 1):  # the first warms up
        for recipe, name, pipeline in everyone:
            measured, of_processor = rate(pipeline, photos, arguments.images)
            if repeat:
                rates[recipe, name].append(measured)
                by_processor[recipe, name].append(of_processor)
    report(rates, done="recipe", ours="augment_dataset", file=arguments.json)
    sys.stdout.write("\nper second of processor time\n" + table(by_processor, "augment_dataset"))


if __name__ == "__main__":
    main()
