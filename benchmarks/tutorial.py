"""The augmentation of TensorFlow's tutorial on data augmentation, as its users write it.

What the contestants share, so that they differ in nothing but how they run it.
See https://www.tensorflow.org/tutorials/images/data_augmentation.
"""

from __future__ import annotations

import tensorflow as tf

SIZE = 180
PADDED = 186
DELTA = 0.5
QUALITY = 95
COPIES = 4


def resized(contents: tf.Tensor) -> tf.Tensor:
    """A JPEG file's bytes as float32 [SIZE, SIZE, 3] in [0, 255]."""
    return tf.image.resize(tf.io.decode_jpeg(contents, channels=3), [SIZE, SIZE])


def encoded(image: tf.Tensor) -> tf.Tensor:
    """uint8 [SIZE, SIZE, 3] as JPEG (a string scalar)."""
    return tf.io.encode_jpeg(image, format="rgb", quality=QUALITY)


def copies(contents: tf.Tensor, key: int | tf.Tensor) -> list[tf.Tensor]:
    """All augmented copies of a JPEG file, as JPEG. `key` is the source's part of the seed."""
    padded = tf.image.resize_with_crop_or_pad(resized(contents) / 255, PADDED, PADDED)
    samples = []
    for copy in range(COPIES):
        seed = (key, copy)
        image = tf.image.stateless_random_crop(padded, [SIZE, SIZE, 3], seed)
        image = tf.image.stateless_random_brightness(image, DELTA, seed)
        samples.append(encoded(tf.image.convert_image_dtype(image, tf.uint8, saturate=True)))
    return samples


def example(image: bytes, label: int, source: str, copy: int) -> bytes:
    """A record with the same four features as the job's."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "source": tf.train.Feature(bytes_list=tf.train.BytesList(value=[source.encode()])),
        "copy": tf.train.Feature(int64_list=tf.train.Int64List(value=[copy])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
