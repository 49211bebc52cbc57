"""One recipe entry for every op, and how a single op is put to an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from augment.augmenter import Augmenter, augment_image
from augment.keys import source_words
from augment.recipe import Recipe, parse_recipe

EVERY_OP = (
    "brightness: {delta: 0.5}",
    "contrast: {factor: 0.9}",
    "saturation: {factor: [0, 3]}",
    "hue: {delta: [-0.5, 0.5]}",
    "gamma: {gamma: [0.3, 3]}",
    "grayscale",
    "invert",
    "flip: {horizontal: 0.5, vertical: 0.5}",
    "rot90: {quarter_turns: [0, 2]}",
    "rotation: {factor: 0.5}",
    "translation: {height: 0.3, width: 0.3, fill_mode: wrap}",
    "zoom: {scale: 0.5, fill_mode: constant, fill_value: 77}",
    "width: {scale: 0.5, fill_mode: nearest}",
    "height: {scale: 0.5, interpolation: nearest}",
    "shear: {x: 0.3, y: 0.2}",
    "perspective: {strength: 0.5}",
    "resize: {height: 17, width: 23, method: bicubic, antialias: true}",
    "crop_or_pad: {height: 17, width: 50}",
    "random_crop: {height: 17, width: 23}",
    "pad_and_crop: {padding: 5, mode: reflect}",
    "central_crop: {fraction: 0.5}",
    "random_resized_crop: {height: 17, width: 23}",
    "posterize: {bits: [1, 3, 6]}",
    "solarize: {threshold: [0, 256]}",
    "equalize",
    "autocontrast",
    "sharpness: {factor: 0.9}",
    "blur: {sigma: [0, 3]}",
    "noise: {sigma: [0, 0.3]}",
    "jpeg_quality: {quality: [1, 100]}",
    "color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}",
    "channel_shuffle",
    "random_erasing: {area: [0.1, 0.4]}",
    "cutout: {side: 9, holes: 2}",
    "elastic: {strength: [0.2, 0.45]}",
    "one_of: {ops: [rotation: {factor: 0.1}, contrast: {factor: 0.3}, invert], weights: [1, 2, 1]}",
    "some_of: {count: [1, 2], ops: [hue: {delta: [0.1, 0.4]}, zoom: {scale: 0.5, p: 0.5}, grayscale]}",
    "sometimes: {p: 0.5, ops: [shear: {x: 0.3}, rotation: {factor: 0.1, p: 0.5}, invert]}",
    "rand_augment: {layers: 3, magnitude: 20}",
    "trivial_augment",
    "auto_augment: {policy: svhn, fill_value: 128}",
    "aug_mix: {severity: 5, width: 2, depth: [1, 2]}",
)


def sets_size(entry: str) -> bool:
    """Whether the op decides the size of its output, and therefore takes no p."""
    return entry.startswith(("resize", "crop_or_pad", "random_crop", "random_resized_crop", "central_crop"))


def recipe_of(*entries: str, height: int, width: int) -> Recipe:
    """The entries for images that have this size already."""
    lines = [f"crop_or_pad: {{id: given, height: {height}, width: {width}}}", *entries]
    return parse_recipe("ops:\n" + "".join(f"  - {line}\n" for line in lines), name="test")


@pytest.fixture(scope="session")
def make_recipe() -> Callable[..., Recipe]:
    return recipe_of


@pytest.fixture(scope="session")
def every_op() -> tuple[str, ...]:
    return EVERY_OP


@pytest.fixture(params=EVERY_OP, ids=lambda entry: entry.split(":")[0])
def any_op(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(
    params=[e for e in EVERY_OP if not (sets_size(e) or e.startswith("sometimes"))],
    ids=lambda entry: entry.split(":")[0],
)
def any_op_with_p(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An entry, and the same with p: 0.5."""
    name, _, rest = request.param.partition(":")
    inside = rest.strip(" {}")
    return request.param, f"{name}: {{{inside + ', ' if inside else ''}p: 0.5}}"


@pytest.fixture(scope="session")
def apply_op() -> Callable[..., np.ndarray]:
    """Applies one entry, or several, to an image that has the recipe's size already."""

    def apply(image: np.ndarray, *entries: str, seed: int = 0, copy: int = 0) -> np.ndarray:
        height, width, _ = image.shape
        recipe = recipe_of(*entries, height=height, width=width)
        return augment_image(image, recipe, seed=seed, source="a.png", copy=copy)

    return apply


@pytest.fixture(scope="session")
def make_draws() -> Callable[..., Any]:
    """The recorded draws of entries for `count` sources, as columns or, with rows=True, one by one."""

    def make(
        *entries: str, count: int = 6000, copy: int = 0, size: tuple[int, int] = (40, 56), rows: bool = False
    ) -> Any:
        augmenter = Augmenter(recipe_of(*entries, height=size[0], width=size[1]), seed=0)
        sources = source_words(["a.png", *(str(i) for i in range(1, count))])
        columns = augmenter.recorded(augmenter.draw_copies(sources, copy))
        return [{n: v[i] for n, v in columns.items()} for i in range(count)] if rows else columns

    return make


@pytest.fixture(scope="session")
def furthest() -> Callable[[np.ndarray, np.ndarray], int]:
    """The largest difference between two images, in levels."""

    def measure(a: np.ndarray, b: np.ndarray) -> int:
        assert a.shape == b.shape
        return int(np.abs(np.asarray(a, np.int32) - np.asarray(b, np.int32)).max(initial=0))

    return measure
