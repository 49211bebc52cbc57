"""`augshard recipes`: the presets at a glance."""

from __future__ import annotations

from augment.recipe import Recipe, load_recipe, preset_names


def presets_table() -> str:
    """The presets with their size, storage, ops and description, a line each."""
    rows: list[tuple[str, ...]] = [("NAME", "SIZE", "STORAGE", "OPS", "DESCRIPTION")]
    rows += [_row(load_recipe(name)) for name in preset_names()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _row(recipe: Recipe) -> tuple[str, ...]:
    height, width = recipe.image_size
    storage = recipe.storage
    stored = f"{storage.format} {storage.quality}" if storage.format == "jpeg" else storage.format
    return recipe.name, f"{height}x{width}", stored, ", ".join(op.id for op in recipe.ops), recipe.description
