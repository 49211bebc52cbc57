"""Contestants that decode, resize and encode, on all cores: nothing is augmented, nothing written.

    python -m benchmarks.recode {tensorflow,opencv,simplejpeg,pillow} SIDE COPIES OUTPUT INPUT...

No program that reads and writes JPEG with the libraries that this project has can be faster. Which of them
is the fastest depends on the machine, so all are tried: TensorFlow with the threads of tf.data, the others
in a process for each core, with one thread each.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence

from benchmarks.loops import Files, in_processes, timed
from benchmarks.measure import CORES

QUALITY = 95


def tensorflow(side: int, copies: int) -> Callable[[Sequence[str]], None]:
    import tensorflow as tf

    def recode(path: tf.Tensor) -> list[tf.Tensor]:
        decoded = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.cast(tf.image.resize(decoded, [side, side]), tf.uint8)
        # A resolution of its own for each, or the graph would encode once and answer four times.
        return [
            tf.io.encode_jpeg(image, format="rgb", quality=QUALITY, x_density=300 + copy)
            for copy in range(copies)
        ]

    def loop(paths: Sequence[str]) -> None:
        dataset = tf.data.Dataset.from_tensor_slices(list(paths))
        for _ in dataset.map(recode, num_parallel_calls=CORES, deterministic=False).prefetch(CORES):
            pass

    return loop


def each(recode: Callable[[str], object]) -> Callable[[Sequence[str]], None]:
    """A loop over files in processes."""

    def work(_: int, paths: Sequence[str]) -> None:
        for path in paths:
            recode(path)

    return lambda paths: in_processes(work, paths)


def opencv(side: int, copies: int) -> Callable[[Sequence[str]], None]:
    import cv2

    cv2.setNumThreads(1)

    def recode(path: str) -> None:
        image = cv2.resize(cv2.imread(path, cv2.IMREAD_COLOR), (side, side))
        for _ in range(copies):
            cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])

    return each(recode)


def simplejpeg(side: int, copies: int) -> Callable[[Sequence[str]], None]:
    """With OpenCV's resizing, and its and TensorFlow's sampling of colors."""
    import cv2
    import simplejpeg

    cv2.setNumThreads(1)

    def recode(path: str) -> None:
        with open(path, "rb") as file:
            image = cv2.resize(simplejpeg.decode_jpeg(file.read()), (side, side))
        for _ in range(copies):
            simplejpeg.encode_jpeg(image, quality=QUALITY, colorsubsampling="420")

    return each(recode)


def pillow(side: int, copies: int) -> Callable[[Sequence[str]], None]:
    from PIL import Image

    def recode(path: str) -> None:
        image = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        for _ in range(copies):
            image.save(io.BytesIO(), "JPEG", quality=QUALITY)

    return each(recode)


LIBRARIES = {loop.__name__: loop for loop in (tensorflow, opencv, simplejpeg, pillow)}


def main(library: str, side: str, copies: str, output: str, *roots: str) -> None:
    loop = LIBRARIES[library](int(side), int(copies))

    def recode(_: str, files: Files) -> None:
        loop(files.paths)

    timed(recode, output, roots)


if __name__ == "__main__":
    main(*sys.argv[1:])
