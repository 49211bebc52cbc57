"""Contestant: a tf.data loop written by hand, without Beam.

python -m benchmarks.handwritten {flowers,convnet,cifar10} COPIES OUTPUT INPUT...
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import ExitStack

import numpy as np
import tensorflow as tf

from benchmarks import tutorial
from benchmarks.loops import Files, timed


def loop(recipe: str, copies: int, output: str, files: Files) -> None:
    def augment(number: tf.Tensor, path: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        return number, tutorial.augmented(tf.io.read_file(path), number, recipe, copies)

    dataset = (
        tf.data.Dataset.from_tensor_slices((np.arange(len(files.paths)), files.paths))
        .map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    with ExitStack() as stack:
        writers = [
            stack.enter_context(tf.io.TFRecordWriter(os.path.join(output, f"images-{copy}.tfrecord")))
            for copy in range(copies)
        ]
        for number, images in dataset.as_numpy_iterator():
            path = files.paths[number]
            for copy, (writer, image) in enumerate(zip(writers, images, strict=True)):
                writer.write(tutorial.example(image, files.label(path), path, copy))


def main(recipe: str, copies: str, output: str, *roots: str) -> None:
    timed(functools.partial(loop, recipe, int(copies)), output, roots)


if __name__ == "__main__":
    main(*sys.argv[1:])
