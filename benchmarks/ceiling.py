"""Contestants (c): decoding, resizing and encoding alone, on all cores; nothing is augmented or written.

    python -m benchmarks.ceiling {tf.data,pillow} INPUT OUTPUT

No program that reads and writes JPEG with the libraries that this project has can
be faster. Which library is the faster one depends on the machine, so both are tried.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf
from PIL import Image

from benchmarks import tutorial
from benchmarks.measure import timed

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_tensorflow(paths: Sequence[str]) -> None:
    def recode(path: tf.Tensor) -> list[tf.Tensor]:
        image = tf.cast(tutorial.resized(tf.io.read_file(path)), tf.uint8)
        # A resolution of its own for each, or the graph would encode once and answer four times.
        return [
            tf.io.encode_jpeg(image, format="rgb", quality=tutorial.QUALITY, x_density=300 + copy)
            for copy in range(tutorial.COPIES)
        ]

    dataset = tf.data.Dataset.from_tensor_slices(paths)
    for _ in dataset.map(recode, num_parallel_calls=CORES, deterministic=False).prefetch(CORES):
        pass


def with_pillow(paths: Sequence[str]) -> None:
    def recode(path: str) -> None:
        size = (tutorial.SIZE, tutorial.SIZE)
        image = Image.open(path).convert("RGB").resize(size, Image.Resampling.BILINEAR)
        for _ in range(tutorial.COPIES):
            image.save(io.BytesIO(), "JPEG", quality=tutorial.QUALITY)

    with ThreadPoolExecutor(CORES) as pool:
        for _ in pool.map(recode, paths):
            pass


def main(library: str, root: str, _: str) -> None:
    recode = {"tf.data": with_tensorflow, "pillow": with_pillow}[library]
    recode(sorted(str(path) for path in Path(root).glob("*/*.jpg")))


if __name__ == "__main__":
    timed(main, *sys.argv[1:])
