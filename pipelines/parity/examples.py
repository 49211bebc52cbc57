"""What is compared: a recipe for each op, the presets or recipes of one's own, and small images."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from augment.codec import encode_png
from augment.errors import RequestError, did_you_mean
from augment.ops import op_types
from augment.recipe import Recipe, load_recipe, parse_recipe, preset_names

COPIES = 2
"""Of each image."""
SIZES = ((40, 56), (57, 43))
"""Height and width of the images, in turn."""
FRAME = "crop_or_pad: {id: frame, height: 48, width: 50}"
"""What comes before an op that has to know the size of its images."""

EXAMPLES = {
    "brightness": "{delta: 0.5}",
    "contrast": "{factor: 0.9}",
    "saturation": "{factor: [0, 3]}",
    "hue": "{delta: [-0.5, 0.5]}",
    "gamma": "{gamma: [0.3, 3]}",
    "flip": "{horizontal: 0.5, vertical: 0.5}",
    "rot90": "{quarter_turns: [0, 2]}",
    "rotation": "{factor: 0.5}",
    "translation": "{height: 0.3, width: 0.3, fill_mode: wrap}",
    "zoom": "{scale: 0.5, fill_mode: constant, fill_value: 77}",
    "width": "{scale: 0.5, fill_mode: nearest}",
    "height": "{scale: 0.5, interpolation: nearest}",
    "shear": "{x: 0.3, y: 0.2}",
    "perspective": "{strength: 0.5}",
    "resize": "{height: 37, width: 51}",
    "crop_or_pad": "{height: 17, width: 50}",
    "random_crop": "{height: 17, width: 23}",
    "pad_and_crop": "{padding: 5, mode: reflect}",
    "central_crop": "{fraction: 0.5}",
    "random_resized_crop": "{height: 17, width: 23}",
    "posterize": "{bits: [1, 3, 6]}",
    "solarize": "{threshold: [0, 256]}",
    "sharpness": "{factor: 0.9}",
    "blur": "{sigma: [0, 3]}",
    "noise": "{sigma: [0, 0.3]}",
    "jpeg_quality": "{quality: [1, 100]}",
    "color_jitter": "{brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}",
    "random_erasing": "{area: [0.1, 0.4]}",
    "cutout": "{side: 9, holes: 2}",
    "elastic": "{strength: [0.2, 0.45]}",
    "one_of": "{ops: [flip: {horizontal: 0.7}, contrast: {factor: 0.3}, invert], weights: [1, 2, 1]}",
    "some_of": "{count: [1, 2], ops: [brightness: {delta: 0.3}, rot90: {quarter_turns: [0, 2]}, grayscale]}",
    "auto_augment": "{policy: cifar10}",
    "sometimes": "{p: 0.5, ops: [contrast: {factor: 0.3, p: 0.5}, invert]}",
}
"""Settings that let each op show what it does. An op that is not here is taken without any."""


class Row(NamedTuple):
    """One line of the table."""

    kind: str
    """op, preset or recipe"""
    name: str
    recipe: Recipe

    @property
    def label(self) -> str:
        return f"{self.kind} {self.name}"


def rows(recipes: Sequence[str], ops: Sequence[str]) -> list[Row]:
    """The recipes and ops that are named; if none is, every op, then every preset.

    Raises RequestError for one that there is not or that is wrong, and for an op whose
    settings nobody has thought of.
    """
    known, presets = op_types(), preset_names()
    for op in ops:
        if op not in known:
            raise RequestError(f"--op {op}: there is no such op; {did_you_mean(op, known)}")
    if not recipes and not ops:
        recipes, ops = presets, [op for op in known if of_op(op)]
    return [
        *(Row("op", op, _needed(op)) for op in ops),
        *(Row("preset" if name in presets else "recipe", name, load_recipe(name)) for name in recipes),
    ]


def without_example() -> list[str]:
    """Ops of which nothing can be shown: they need settings, and EXAMPLES has none."""
    return [op for op in op_types() if of_op(op) is None]


def _needed(op: str) -> Recipe:
    recipe = of_op(op)
    if recipe is None:
        raise RequestError(f"--op {op}: it needs settings; give a recipe that has it, by --recipe")
    return recipe


def of_op(name: str) -> Recipe | None:
    """A recipe of one op, and of what must come before it; None if it needs settings and has no example."""
    entry = f"{name}: {EXAMPLES.get(name, '{}')}"
    for entries in ((entry,), (FRAME, entry)):
        try:
            return parse_recipe("ops:\n" + "".join(f"  - {e}\n" for e in entries), name=name)
        except RequestError:
            continue
    return None


class Sample(NamedTuple):
    """One image in one copy."""

    source: str
    copy: int
    image: np.ndarray
    """uint8 [H, W, C]"""


def samples(count: int, channels: int = 3) -> list[Sample]:
    """About `count` samples, a copy after the other, of images that are made up."""
    images = itertools.islice(_images(), max(1, -(-count // COPIES)))
    sources = [(f"made/up_{number:04}.png", image[..., :channels]) for number, image in enumerate(images)]
    return [Sample(source, copy, image) for copy in range(COPIES) for source, image in sources]


def write(directory: str, made: Iterable[Sample]) -> None:
    """Writes the images as PNG files under their source ids."""
    for sample in made:
        path = os.path.join(directory, sample.source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(encode_png(sample.image))


def _images() -> Iterator[np.ndarray]:
    """Images of both sizes without end: like photos, noise, and what is at the ends of ranges."""
    for number in itertools.count():
        kind = _KINDS[number // len(SIZES) % len(_KINDS)]
        height, width = SIZES[number % len(SIZES)]
        yield kind(height, width, np.random.default_rng(number))


def _like_a_photo(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (5 + c) + y / (9 - 2 * c) + phase) for c, phase in enumerate(rng.uniform(0, 6, 3))]
    levels = 128 + 110 * np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3))
    return np.clip(levels, 0, 255).astype(np.uint8)


def _noise(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def _extremes(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Black, white and the full colors between them, in blocks."""
    blocks = rng.integers(0, 2, (-(-height // 6), -(-width // 6), 3)) * 255
    return blocks.repeat(6, 0).repeat(6, 1)[:height, :width].astype(np.uint8)


def _flat(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    return np.full((height, width, 3), rng.choice((0, 127, 255)), np.uint8)


_KINDS = (_like_a_photo, _noise, _extremes, _like_a_photo, _flat)
