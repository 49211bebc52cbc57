"""Contestant of `benchmarks.beside`: the same images by Albumentations, a process for each core.

python -m benchmarks.albumentations_job COPIES INPUT OUTPUT

Each process writes its JPEGs one after the other into a file, with their lengths: no digests, no tables,
no order, and nothing to resume by.
"""

from __future__ import annotations

import multiprocessing
import os
import struct
import sys
from pathlib import Path

import albumentations as A
import cv2

from benchmarks.measure import timed


def work(part: int, parts: int, copies: int, root: str, output: str) -> None:
    cv2.setNumThreads(1)
    # As benchmarks/convnet_jpeg.yaml; OpenCV's default resampling, as ours there.
    steps = [
        A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2, p=1),
        A.HorizontalFlip(p=0.5),
        A.Affine(rotate=(-36, 36), translate_percent=(-0.1, 0.1), border_mode=cv2.BORDER_REFLECT, p=1),
    ]
    resize, augment = A.Resize(180, 180), A.Compose(steps, seed=part)
    paths = sorted(Path(root).glob("*/*.jpg"))[part::parts]
    with open(os.path.join(output, f"images-{part}"), "wb") as file:
        for path in paths:
            source = resize(image=cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))["image"]
            for _ in range(copies):
                image = cv2.cvtColor(augment(image=source)["image"], cv2.COLOR_RGB2BGR)
                encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
                file.write(struct.pack("<Q", len(encoded)) + encoded)


def main(copies: str, root: str, output: str) -> None:
    parts = len(os.sched_getaffinity(0))
    processes = [
        multiprocessing.Process(target=work, args=(part, parts, int(copies), root, output))
        for part in range(parts)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(process.exitcode)


if __name__ == "__main__":
    timed(main, *sys.argv[1:])
