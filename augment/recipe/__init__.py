"""Recipes: the named, ordered list of ops with their settings, and the storage.

A recipe is written in YAML:

    description: a mirror and contrast, for photos of cars and trucks
    storage: {format: png}
    ops:
      - resize: {height: 128, width: 128, method: nearest}
      - flip: {horizontal: 0.5}
      - contrast: {factor: 0.5}

or made of the same ops in Python, with the same draws and the same pixels:

    Recipe("mine", [Resize(128, 128, method="nearest"), Flip(horizontal=0.5), Contrast(0.5)])

Classes can have recipes of their own, which make images of the same size, stored alike:

    recipe_for:
      - {classes: [left, right], ops: [{resize: {height: 128, width: 128}}]}
      - {classes: ["6"], recipe: upright.yaml}

Reading is strict: a misspelt key or op is an error that names its nearest
neighbours, a wrong value one that names its range.
"""

from augment.recipe.reading import (
    load_recipe,
    parse_recipe,
    preset_names,
    preset_text,
    recipe_from_document,
    too_much,
)
from augment.recipe.recipe import (
    NAME,
    Recipe,
    Shape,
    Storage,
    channels_of,
    check_classes,
    check_recipe,
)

__all__ = [
    "NAME",
    "Recipe",
    "Shape",
    "Storage",
    "channels_of",
    "check_classes",
    "check_recipe",
    "load_recipe",
    "parse_recipe",
    "preset_names",
    "preset_text",
    "recipe_from_document",
    "too_much",
]
