"""What happens to one image: seeded, recorded, bit for bit reproducible augmentation.

    import augment
    recipe = augment.load_recipe("flowers")              # a preset, or a path to a recipe
    image = augment.augment_image(jpeg_bytes, recipe, seed=0, source="train/roses/1.jpg", copy=3)
    dataset = augment.augment_dataset(dataset, recipe, seed=0, copy=3)
    layer = augment.AugmentLayer(recipe, seed=0)         # the same in a Keras model, on its device

What an op does, kernels say in integers (`augment.kernels`), and two backends compute them to the same bits
(`augment.backends`). TensorFlow is imported for the second of them, tf.data and the layer alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from augment.augmenter import Augmenter, augment_image
    from augment.errors import RequestError
    from augment.keys import source_words
    from augment.layer import AugmentLayer, MixLayer, export_inference
    from augment.mixing.batch import mix_batch
    from augment.mixing.tfdata import mix_dataset
    from augment.recipe import Recipe, Storage, load_recipe, parse_recipe
    from augment.tfdata import augment_dataset

_HOMES = {
    "AugmentLayer": "layer",
    "Augmenter": "augmenter",
    "MixLayer": "layer",
    "Recipe": "recipe",
    "RequestError": "errors",
    "Storage": "recipe",
    "augment_dataset": "tfdata",
    "augment_image": "augmenter",
    "export_inference": "layer",
    "load_recipe": "recipe",
    "mix_batch": "mixing.batch",
    "mix_dataset": "mixing.tfdata",
    "parse_recipe": "recipe",
    "source_words": "keys",
}

__all__ = [
    "AugmentLayer",
    "Augmenter",
    "MixLayer",
    "Recipe",
    "RequestError",
    "Storage",
    "augment_dataset",
    "augment_image",
    "export_inference",
    "load_recipe",
    "mix_batch",
    "mix_dataset",
    "parse_recipe",
    "source_words",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("augshard")
    if name not in _HOMES:
        raise AttributeError(f"module 'augment' has no attribute {name!r}")
    return getattr(importlib.import_module(f"augment.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
