"""Recipes: looked at before they are used."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from augment.errors import RequestError
from pipelines.cli.options import (
    AnnotationsOption,
    FindingsOption,
    InputOption,
    LayoutOption,
    PluginOption,
    RecipeForOption,
    RecipeOption,
    SeedOption,
)


def preview(
    input: InputOption,  # noqa: A002 (the option's name)
    recipe: RecipeOption,
    output: Annotated[str, typer.Option("--output", metavar="FILE.png", help="The sheet to write.")],
    recipe_for: RecipeForOption = None,
    seed: SeedOption = 0,
    copies: Annotated[int, typer.Option("--copies", min=1, max=50, help="Copies of each image.")] = 5,
    images: Annotated[int, typer.Option("--images", min=1, max=50, help="Images, one a row.")] = 4,
    each_op: Annotated[bool, typer.Option("--each-op", help="Show each op alone, on one image.")] = False,
    annotations: AnnotationsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Draw a contact sheet of what a recipe does to some of the images."""
    from augment.by_class import ByClass
    from pipelines.annotations import annotations_for
    from pipelines.format.request import load_plugins
    from pipelines.recipes import asked_recipe
    from pipelines.sources import check_root

    check_root(input)
    load_plugins(plugin or [])
    loaded = asked_recipe(recipe, recipe_for or [])
    ByClass(loaded, seed)  # which checks the seed
    from pipelines.preview import preview as draw

    width, height = draw(
        input,
        loaded,
        output=output,
        seed=seed,
        copies=copies,
        images=images,
        each_op=each_op,
        annotations=annotations_for(input, annotations),
    )
    sys.stdout.write(f"sheet  {output} ({width}x{height})\n")


def lint(
    recipe: RecipeOption,
    recipe_for: RecipeForOption = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="FILE", help="Class names, one a line.")
    ] = None,
    input: Annotated[  # noqa: A002 (the option's name)
        str | None, typer.Option("--input", metavar="DIR", help="Images, whose class folders are read.")
    ] = None,
    layout: LayoutOption = "auto",
    json: FindingsOption = None,
    fix: Annotated[
        str | None,
        typer.Option(
            "--fix",
            metavar="FILE.yaml",
            help="Write the recipe that the findings call for: for some classes.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --fix replace a file.")] = False,
    annotations: AnnotationsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Say which classes a recipe endangers, by their names: a mirrored "left", a 6 turned to a 9.

    Exit status: 0 nothing was found, or it was mended, 1 something was, 2 the request is wrong.
    """
    from pipelines.annotations import annotations_for
    from pipelines.format.request import load_plugins
    from pipelines.lint import lint as check
    from pipelines.recipes import asked_recipe

    load_plugins(plugin or [])
    text, found = check(
        asked_recipe(recipe, recipe_for or []),
        labels=labels,
        directory=input,
        layout=layout,
        json=json,
        fix=fix,
        overwrite=overwrite,
        annotations=annotations_for(input, annotations),
    )
    sys.stdout.write(text)
    if found:
        sys.exit(1)


def parity(
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe", metavar="NAME|FILE", help="Compare this. May be repeated; else every op and preset."
        ),
    ] = None,
    op: Annotated[
        list[str] | None, typer.Option("--op", metavar="NAME", help="Compare this op. May be repeated.")
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=100_000, help="Of each recipe, about.")
    ] = 12,
    seed: SeedOption = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Also write the table here.")
    ] = None,
    plugin: PluginOption = None,
) -> None:
    """Compute the same samples in every way (formula, graph, tf.data, job, model, XLA, GPU) and compare them.

    Each cell is the largest difference from augment_image, in levels, and the part of
    pixels that differ; 0 where all are equal. Exit status: 0 if everything is equal, XLA's
    and the GPU's too, 1 if not, 2 if the request is wrong.
    """
    from pipelines.parity.command import parity_command

    parity_command(
        recipes=recipe or [], ops=op or [], samples=samples, seed=seed, json=json, plugins=plugin or []
    )


def recipes(
    preset: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print the YAML of this one.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of recipe files, for editors.")
    ] = False,
    plugin: PluginOption = None,
) -> None:
    """List the preset recipes, print one, or print the JSON Schema by which editors check recipes."""
    from augment.recipe import load_recipe, preset_text
    from pipelines.format.request import load_plugins

    load_plugins(plugin or [])
    if preset is not None and schema:
        raise RequestError(f"--schema is of all recipes; leave {preset!r} out, or --schema")
    if preset is not None:
        load_recipe(preset)
        sys.stdout.write(preset_text(preset))
    elif schema:
        from augment.schema import recipe_schema
        from pipelines.format.manifest import json_text

        sys.stdout.write(json_text(recipe_schema()))
    else:
        from pipelines.recipes import presets_table

        sys.stdout.write(presets_table())
