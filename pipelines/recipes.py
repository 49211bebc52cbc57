"""The recipes that a command is asked for, and the presets at a glance."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from augment.errors import RequestError
from augment.recipe import Recipe, load_recipe, preset_names
from pipelines import storage


def asked_recipe(recipe: str, recipe_for: Sequence[str] = ()) -> Recipe:
    """What --recipe names, with what --recipe-for, `CLASS=NAME|FILE`, names for classes.

    Raises RequestError if one is wrong, does not fit the others, or a class has two.
    """
    loaded = _load(recipe)
    found = dict(loaded.recipe_for)
    for one in recipe_for:
        label, equals, named = one.partition("=")
        if not (equals and label and named):
            raise RequestError(
                f"--recipe-for is {one!r}; it must be a class with its recipe, such as digits=no_mirror.yaml"
            )
        if label in found:
            raise RequestError(f"--recipe-for {one}: class {label!r} has a recipe already; give it one")
        found[label] = _load(named)
    return dataclasses.replace(loaded, recipe_for=found) if recipe_for else loaded


def _load(recipe: str) -> Recipe:
    return load_recipe(recipe, read=lambda path: storage.at(path).read())


def presets_table() -> str:
    """The presets with their size, storage, ops and description, a line each."""
    rows: list[tuple[str, ...]] = [("NAME", "SIZE", "STORAGE", "OPS", "DESCRIPTION")]
    rows += [_row(load_recipe(name)) for name in preset_names()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _row(recipe: Recipe) -> tuple[str, ...]:
    height, width = recipe.image_size
    kept = recipe.storage
    stored = f"{kept.format} {kept.quality}" if kept.format == "jpeg" else kept.format
    return recipe.name, f"{height}x{width}", stored, ", ".join(op.id for op in recipe.ops), recipe.description
