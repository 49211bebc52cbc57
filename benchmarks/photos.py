"""Inputs of any size: drawn photos, or a directory's own files under several names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".jpeg")

DRAWN = 128
"""Drawn photos that differ; more images are these again."""


def find_photos(root: Path) -> list[Path]:
    """All JPEG files under a directory, sorted. Raises SystemExit if there is none."""
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SystemExit(f"{root}: it holds no {' or '.join(SUFFIXES)} file; give a directory of photos")
    return found


def draw_photos(
    folder: Path, *, count: int = DRAWN, side: int = 240, square: bool = False, suffix: str = ".jpg"
) -> list[Path]:
    """Draws photo-like images, 4:3 and 3:4 by default, the same ones on every machine.

    As JPEG they have quality 92 and about 4 bits a pixel, as thumbnails of photos, and take as long to
    decode.
    """
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05}{suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        long = side if square else side * 4 // 3
        height, width = (side, long) if number % 4 else (long, side)
        _draw(np.random.default_rng(number), height, width).save(path, quality=92)
    return paths


def _draw(random: np.random.Generator, height: int, width: int) -> Image.Image:
    levels = np.tile(random.uniform(90, 160, 3), (height, width, 1))
    wavelength, amplitude = width, 28.0
    while wavelength >= 1:  # noise that is the weaker the finer it is; mostly gray
        shape = (height // wavelength + 2, width // wavelength + 2)
        gray = random.normal(0, amplitude, (*shape, 1))
        noise = np.float32(gray + random.normal(0, amplitude / 3, (*shape, 3)))
        for channel in range(3):
            coarse = Image.fromarray(noise[..., channel])
            levels[..., channel] += coarse.resize((width, height), Image.Resampling.BICUBIC)
        wavelength //= 2
        amplitude *= 0.86
    rows, columns = np.mgrid[:height, :width]
    for _ in range(6):  # discs, for the sake of edges
        y, x, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(0.05, 0.25) * width
        levels[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] += random.uniform(-70, 70, 3)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def lay_out(photos: Sequence[Path], folder: Path, count: int) -> Path:
    """A directory `<folder>/<class>/*` with `count` names for the photos, each about as often.

    A photo's class is the name of the folder it lies in. Files are hard links where
    the file system allows, and copies elsewhere.
    """
    for number in range(count):
        # With fewer names than photos, these are spread over all of them.
        photo = photos[number % len(photos) if count >= len(photos) else number * len(photos) // count]
        place = folder / photo.parent.name / f"{number:06}{photo.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(photo, place)
        except OSError:
            shutil.copyfile(photo, place)
    return folder
