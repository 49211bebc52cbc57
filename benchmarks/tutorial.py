"""The recipes as users of TensorFlow write them, which the loops of tf.data and of Beam share.

`flowers` is https://www.tensorflow.org/tutorials/images/data_augmentation; `convnet` turns and shifts in one
resampling by the op that Keras's layers call, without what those do about it; `cifar10` is the preset.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

QUALITY = 95

Seed = tuple[int | tf.Tensor, int]


def flowers_head(contents: tf.Tensor) -> tf.Tensor:
    image = tf.image.resize(tf.io.decode_jpeg(contents, channels=3), [180, 180])
    return tf.image.resize_with_crop_or_pad(image / 255, 186, 186)


def flowers_tail(image: tf.Tensor, seed: Seed) -> tf.Tensor:
    image = tf.image.stateless_random_crop(image, [180, 180, 3], seed)
    return tf.image.stateless_random_brightness(image, 0.5, seed)


def convnet_head(contents: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(tf.io.decode_jpeg(contents, channels=3), [180, 180]) / 255


def convnet_tail(image: tf.Tensor, seed: Seed) -> tf.Tensor:
    image = tf.image.stateless_random_contrast(image, 0.8, 1.2, seed)
    image = tf.image.stateless_random_flip_left_right(image, seed)
    angle, down, right = tf.unstack(tf.random.stateless_uniform([3], seed, -1.0, 1.0))
    sine, cosine = tf.sin(angle * 0.6283185), tf.cos(angle * 0.6283185)
    middle = 89.5
    across = middle - cosine * middle + sine * middle + right * 18
    along = middle - sine * middle - cosine * middle + down * 18
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=[[cosine, -sine, across, sine, cosine, along, 0.0, 0.0]],
        output_shape=[180, 180],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )[0]


def cifar10_head(contents: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(tf.io.decode_png(contents, channels=3), [32, 32]) / 255


def cifar10_tail(image: tf.Tensor, seed: Seed) -> tf.Tensor:
    gray = tf.random.stateless_uniform([], seed) < 0.1
    image = tf.cond(gray, lambda: tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image)), lambda: image)
    image = tf.image.stateless_random_brightness(image, 0.1, seed)
    image = tf.image.stateless_random_contrast(image, 0.8, 1.2, seed)
    return tf.image.stateless_random_flip_left_right(image, seed)


Head, Tail = Callable[[tf.Tensor], tf.Tensor], Callable[[tf.Tensor, Seed], tf.Tensor]
RECIPES: dict[str, tuple[Head, Tail]] = {
    "flowers": (flowers_head, flowers_tail),
    "convnet": (convnet_head, convnet_tail),
    "cifar10": (cifar10_head, cifar10_tail),
}


def encoded(image: tf.Tensor, recipe: str) -> tf.Tensor:
    """float32 [H, W, 3] in [0, 1] as the recipe stores it (a string scalar)."""
    levels = tf.image.convert_image_dtype(image, tf.uint8, saturate=True)
    if recipe == "cifar10":
        return tf.io.encode_png(levels)
    return tf.io.encode_jpeg(levels, format="rgb", quality=QUALITY)


def augmented(contents: tf.Tensor, key: int | tf.Tensor, recipe: str, copies: int) -> list[tf.Tensor]:
    """All copies of an image file, encoded. `key` is the source's part of the seed."""
    head, tail = RECIPES[recipe]
    image = head(contents)
    return [encoded(tail(image, (key, copy)), recipe) for copy in range(copies)]


def example(image: bytes, label: int, source: str, copy: int) -> bytes:
    """A record with the same four features as the job's."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "source": tf.train.Feature(bytes_list=tf.train.BytesList(value=[source.encode()])),
        "copy": tf.train.Feature(int64_list=tf.train.Int64List(value=[copy])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
