"""Contestant (b): a tf.data loop written by hand, without Beam.

python -m benchmarks.handwritten INPUT OUTPUT
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks import tutorial
from benchmarks.measure import timed


def main(root: str, output: str) -> None:
    paths = sorted(str(path) for path in Path(root).glob("*/*.jpg"))
    labels = {name: number for number, name in enumerate(sorted(os.listdir(root)))}

    def augment(number: tf.Tensor, path: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        return number, tutorial.copies(tf.io.read_file(path), number)

    dataset = (
        tf.data.Dataset.from_tensor_slices((np.arange(len(paths)), paths))
        .map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    with ExitStack() as stack:
        writers = [
            stack.enter_context(tf.io.TFRecordWriter(os.path.join(output, f"images-{copy}.tfrecord")))
            for copy in range(tutorial.COPIES)
        ]
        for number, images in dataset.as_numpy_iterator():
            path = paths[number]
            label = labels[os.path.basename(os.path.dirname(path))]
            for copy, (writer, image) in enumerate(zip(writers, images, strict=True)):
                writer.write(tutorial.example(image, label, path, copy))


if __name__ == "__main__":
    timed(main, *sys.argv[1:])
