"""The ways to feed a trainer: live from images, or from shards. Same samples, order and pixels.

    live = datasets.from_images(DIR, recipe, seed=0, split="train", copy=3)
    shards = datasets.from_shards(OUT, split="train", copies=[3])
    samples = datasets.numpy(OUT, split="train", copies=[3])  # or datasets.torch

All yield dictionaries of `image` uint8 [H, W, C], of the recipe's channels, `label` int64, `source` string
and `copy` int64. The first two are tf.data; the others need no TensorFlow, and read any sample by its number.

Each comes in when it is asked for, with the library that it is made for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.datasets.arrays import numpy
    from pipelines.datasets.pytorch import torch
    from pipelines.datasets.tfdata import from_images, from_shards

__all__ = ["from_images", "from_shards", "numpy", "torch"]

_HOMES = {"from_images": "tfdata", "from_shards": "tfdata", "numpy": "arrays", "torch": "pytorch"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
