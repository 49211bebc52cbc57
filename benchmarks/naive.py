"""Contestant (a): the Beam pipeline that anyone would write first.

python -m benchmarks.naive INPUT OUTPUT
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator

import apache_beam as beam
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from benchmarks import tutorial
from benchmarks.measure import timed


def augment(file: fileio.ReadableFile, labels: dict[str, int]) -> Iterator[bytes]:
    """An image file to its augmented records, in eager TensorFlow."""
    path = file.metadata.path
    label = labels[os.path.basename(os.path.dirname(path))]
    contents = tf.constant(file.read())
    for copy, image in enumerate(tutorial.copies(contents, zlib.crc32(path.encode()))):
        yield tutorial.example(image.numpy(), label, path, copy)


def main(root: str, output: str) -> None:
    labels = {name: number for number, name in enumerate(sorted(os.listdir(root)))}
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | fileio.MatchFiles(os.path.join(root, "*", "*.jpg"))
            | fileio.ReadMatches()
            | beam.FlatMap(augment, labels)
            | beam.io.WriteToTFRecord(os.path.join(output, "images"), file_name_suffix=".tfrecord")
        )


if __name__ == "__main__":
    timed(main, *sys.argv[1:])
