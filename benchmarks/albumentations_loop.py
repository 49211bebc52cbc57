"""Contestant: the same images by Albumentations, in a process for each core.

    python -m benchmarks.albumentations_loop {flowers,convnet} COPIES OUTPUT INPUT...

It writes TFRecords of the job's four features, a file for each process, by the job's own serializing and
framing, which are faster than TensorFlow's: but no digests, no tables, no order, and nothing to resume by.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence

from benchmarks.measure import PEERS

sys.path.append(str(PEERS))

import albumentations as A
import cv2

from benchmarks.loops import Files, in_processes, timed
from pipelines.format.example import serialize
from pipelines.format.records import framed

# As the recipes of this directory have it; OpenCV's default resampling, as ours there.
HEADS = {
    "flowers": [A.Resize(180, 180), A.PadIfNeeded(186, 186, border_mode=cv2.BORDER_CONSTANT)],
    "convnet": [A.Resize(180, 180)],
}
"""What all copies share, which is computed once."""
TAILS = {
    "flowers": [
        A.RandomCrop(180, 180),
        A.RandomBrightnessContrast(brightness_limit=0.5, contrast_limit=0, p=1),
    ],
    "convnet": [
        A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2, p=1),
        A.HorizontalFlip(p=0.5),
        A.Affine(rotate=(-36, 36), translate_percent=(-0.1, 0.1), border_mode=cv2.BORDER_REFLECT, p=1),
    ],
}


def loop(recipe: str, copies: int, output: str, files: Files) -> None:
    def work(part: int, paths: Sequence[str]) -> None:
        cv2.setNumThreads(1)
        head, tail = A.Compose(HEADS[recipe]), A.Compose(TAILS[recipe], seed=part)
        with open(os.path.join(output, f"images-{part}.tfrecord"), "wb", buffering=1 << 20) as file:
            for path in paths:
                source = head(image=cv2.imread(path, cv2.IMREAD_COLOR_RGB))["image"]
                for copy in range(copies):
                    image = cv2.cvtColor(tail(image=source)["image"], cv2.COLOR_RGB2BGR)
                    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
                    record = serialize(image=encoded, label=files.label(path), source=path, copy=copy)
                    file.write(framed(record))

    in_processes(work, files.paths)


def main(recipe: str, copies: str, output: str, *roots: str) -> None:
    timed(functools.partial(loop, recipe, int(copies)), output, roots)


if __name__ == "__main__":
    main(*sys.argv[1:])
