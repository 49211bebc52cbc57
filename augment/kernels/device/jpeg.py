"""The kernel that makes a JPEG and reads it again."""

from __future__ import annotations

import tensorflow as tf

from augment.kernels import kinds
from augment.kernels.device.arrays import int32


def jpeg(k: kinds.Jpeg, images: tf.Tensor) -> tf.Tensor:
    def one(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, quality = given
        contents = tf.raw_ops.EncodeJpegVariableQuality(images=image, quality=quality)
        decoded = tf.io.decode_jpeg(contents, channels=image.shape[-1], dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(decoded, image.shape)

    quality = tf.broadcast_to(int32(k.quality), tf.shape(images)[:1])
    if images.shape[0] == 1:
        return one((images[0], quality[0]))[tf.newaxis]
    return tf.map_fn(one, (images, quality), fn_output_signature=tf.TensorSpec(images.shape[1:], tf.uint8))
