"""Pictures that the notebooks run on where there are none of your own: `cars`, `flowers`, `objects`.

Each writes DIR/<split>/<class>/*.jpg in a new temporary directory and returns DIR. Drawn pictures are easy:
what a network reaches on them says nothing of photos.
"""

from __future__ import annotations

import colorsys
import math
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.demo.vehicles import draw_vehicle

Draw = Callable[[str, random.Random], Image.Image]

PETALS = {
    "daisy": (14, 0.15),
    "dandelion": (40, 0.16),
    "roses": (6, 0.97),
    "sunflowers": (20, 0.12),
    "tulips": (3, 0.9),
}
"""How many, and of what hue."""

OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""The names of CIFAR-10's classes; here, polygons of 3 to 12 corners."""


def cars(train: int = 24, validation: int = 8) -> str:
    """Cars and trucks of 192x144, so many of each class in `train` and `validation`."""
    return _write(("car", "truck"), draw_vehicle, train, validation)


def flowers(train: int = 8, validation: int = 4) -> str:
    """Five kinds of flowers, 240x180."""
    return _write(tuple(PETALS), _flower, train, validation)


def objects(train: int = 20, validation: int = 5) -> str:
    """Ten classes of 32x32."""
    return _write(OBJECTS, _object, train, validation)


def _write(classes: tuple[str, ...], draw: Draw, train: int, validation: int) -> str:
    root = Path(tempfile.mkdtemp())
    for split, count in (("train", train), ("validation", validation)):
        for label in classes:
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                picture = draw(label, random.Random(f"{split} {label} {number}"))  # noqa: S311
                picture.save(root / split / label / f"{number:03}.jpg", quality=90)
    return str(root)


def _flower(label: str, chance: random.Random) -> Image.Image:
    petals, hue = PETALS[label]
    image = Image.new(
        "RGB", (480, 360), _color(0.3 + chance.uniform(-0.06, 0.06), 0.5, chance.uniform(0.3, 0.6))
    )
    ink = ImageDraw.Draw(image)
    x, y, reach = chance.randint(180, 300), chance.randint(140, 220), chance.randint(80, 130)
    paint = _color(
        hue + chance.uniform(-0.03, 0.03), chance.uniform(0.1, 0.3) if label == "daisy" else 0.8, 0.95
    )
    start, wide = chance.uniform(0, 1), reach * min(0.4, 2 / petals)
    for petal in range(petals):
        angle = 2 * math.pi * (petal + start) / petals
        px, py = x + 0.6 * reach * math.cos(angle), y + 0.6 * reach * math.sin(angle)
        ink.line((x, y, px, py), fill=paint, width=int(wide))
        ink.ellipse((px - wide, py - wide, px + wide, py + wide), fill=paint)
    heart = 0.3 * reach if label in ("daisy", "sunflowers") else 0.1 * reach
    ink.ellipse((x - heart, y - heart, x + heart, y + heart), fill=_color(0.1, 0.8, 0.5))
    return image.reduce(2)


def _object(label: str, chance: random.Random) -> Image.Image:
    image = Image.new("RGB", (128, 128), _color(chance.random(), 0.3, chance.uniform(0.5, 0.9)))
    middle, reach = (64 + chance.randint(-12, 12), 64 + chance.randint(-12, 12)), chance.randint(36, 50)
    corners = 3 + OBJECTS.index(label)
    paint = _color(chance.random(), 0.9, chance.uniform(0.2, 0.9))
    ImageDraw.Draw(image).regular_polygon((*middle, reach), corners, chance.randint(-10, 10), fill=paint)
    return image.reduce(4)


def _color(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)
