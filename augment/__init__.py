"""What happens to one image: seeded, recorded, bit for bit reproducible augmentation.

    import augment
    recipe = augment.load_recipe("flowers")              # a preset, or a path to a recipe
    image = augment.augment_image(jpeg_bytes, recipe, seed=0, source="train/roses/1.jpg", copy=3)
    dataset = augment.augment_dataset(dataset, recipe, seed=0, copy=3)

TensorFlow is imported when something is first computed with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augment.augmenter import Augmenter, augment_dataset, augment_image
    from augment.errors import RequestError
    from augment.recipe import Recipe, load_recipe, parse_recipe

_HOMES = {
    "Augmenter": "augmenter",
    "Recipe": "recipe",
    "RequestError": "errors",
    "augment_dataset": "augmenter",
    "augment_image": "augmenter",
    "load_recipe": "recipe",
    "parse_recipe": "recipe",
}

__all__ = [
    "Augmenter",
    "Recipe",
    "RequestError",
    "augment_dataset",
    "augment_image",
    "load_recipe",
    "parse_recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'augment' has no attribute {name!r}")
    return getattr(importlib.import_module(f"augment.{_HOMES[name]}"), name)
