"""Contestant: the Beam pipeline that anyone would write first.

python -m benchmarks.naive {flowers,convnet} COPIES OUTPUT INPUT...
"""

from __future__ import annotations

import functools
import os
import sys
import zlib
from collections.abc import Iterator

import apache_beam as beam
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from benchmarks import tutorial
from benchmarks.loops import Files, timed


def augment(file: fileio.ReadableFile, files: Files, recipe: str, copies: int) -> Iterator[bytes]:
    """An image file to its augmented records, in eager TensorFlow."""
    path = file.metadata.path
    contents, key = tf.constant(file.read()), zlib.crc32(path.encode())
    for copy, image in enumerate(tutorial.augmented(contents, key, recipe, copies)):
        yield tutorial.example(image.numpy(), files.label(path), path, copy)


def loop(recipe: str, copies: int, output: str, files: Files) -> None:
    root = os.path.dirname(os.path.dirname(files.paths[0]))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | fileio.MatchFiles(os.path.join(root, "*", "*"))
            | fileio.ReadMatches()
            | beam.FlatMap(augment, files, recipe, copies)
            | beam.io.WriteToTFRecord(os.path.join(output, "images"), file_name_suffix=".tfrecord")
        )


def main(recipe: str, copies: str, output: str, *roots: str) -> None:
    timed(functools.partial(loop, recipe, int(copies)), output, roots)


if __name__ == "__main__":
    main(*sys.argv[1:])
