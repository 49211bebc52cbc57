"""Augmentation policies in plain Pillow, as the papers' code and torchvision call it, of what we drew."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from augment.ops.operations import OPERATIONS

Drawn = Mapping[str, float]
"""What the samples table holds of a policy for one sample, without the op's path."""

_BLACK = (0, 0, 0)


def in_turn(drawn: Iterable[Drawn]) -> Callable[[Image.Image], Image.Image]:
    """Does to image after image what was drawn for sample after sample, over and over."""
    samples = itertools.cycle([chains(sample) for sample in drawn])

    def apply(image: Image.Image) -> Image.Image:
        original, *mixed = next(samples)
        if not mixed:
            return applied(original[1], image)
        total = np.float32(original[0]) * np.asarray(image)
        for weight, operations in mixed:
            total += np.float32(weight) * np.asarray(applied(operations, image))
        return Image.fromarray(total.astype(np.uint8))

    return apply


Chain = tuple[float, list[tuple[str, float]]]
"""Its share of the outcome, and its operations with their magnitudes, as Pillow takes them."""


def chains(sample: Drawn) -> list[Chain]:
    """One chain; of aug_mix, the original's share without operations, then the others."""
    if "weight_0" not in sample:
        return [(1.0, _operations(sample, r"op_\d+"))]
    return [
        (float(sample[f"weight_{c}"]), _operations(sample, rf"op_{c}_\d+"))
        for c in range(sum(name.startswith("weight_") for name in sample))
    ]


def _operations(sample: Drawn, names: str) -> list[tuple[str, float]]:
    return [
        (OPERATIONS[int(sample[name])], float(sample[name.replace("op_", "magnitude_", 1)]))
        for name in sorted(sample)
        if re.fullmatch(names, name)
    ]


def applied(operations: list[tuple[str, float]], image: Image.Image) -> Image.Image:
    return functools.reduce(lambda made, each: _operation(*each, made), operations, image)


def _operation(name: str, magnitude: float, image: Image.Image) -> Image.Image:
    match name:
        case "identity":
            return image
        case "autocontrast" | "equalize" | "invert":
            return getattr(ImageOps, name)(image)
        case "posterize" | "solarize":
            return getattr(ImageOps, name)(image, int(magnitude))
        case "rotate":
            return image.rotate(magnitude, Image.Resampling.NEAREST, fillcolor=_BLACK)
        case "shear_x" | "translate_x" | "shear_y" | "translate_y":
            matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
            matrix[{"shear_x": 1, "translate_x": 2, "shear_y": 3, "translate_y": 5}[name]] = magnitude
            how = Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
            return image.transform(image.size, *how, fillcolor=_BLACK)
        case _:
            return getattr(ImageEnhance, name.capitalize())(image).enhance(magnitude)
