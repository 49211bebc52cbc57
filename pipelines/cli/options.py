"""The options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

RecipeOption = Annotated[
    str, typer.Option("--recipe", metavar="NAME|FILE", help="A preset, or a path to a recipe in YAML.")
]
RecipeForOption = Annotated[
    list[str] | None,
    typer.Option(
        "--recipe-for",
        metavar="CLASS=NAME|FILE",
        help="Another recipe for one class, of the same size and storage. May be repeated.",
    ),
]
InputOption = Annotated[
    str,
    typer.Option(
        "--input",
        metavar="DIR",
        help="DIR/<class>/... or DIR/<split>/<class>/...; or a dataset of TFDS, TFRecords, WebDataset tars.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="The augmentation's seed, from 0.")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="A Python module that defines ops. May be repeated."),
]
LayoutOption = Annotated[
    str, typer.Option("--layout", help="What the top folders are: classes, splits, or auto.")
]
FindingsOption = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Also write the findings here.")
]
GroupByOption = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        metavar="REGEX",
        help="Its one group, in an image's path, names what splits must not tear: a patient, a video.",
    ),
]
DuplicatesOption = Annotated[
    str | None,
    typer.Option(
        "--duplicates",
        metavar="same-split",
        help="Keep pictures in one split that are equal, or nearly so: each image is looked at before.",
    ),
]
AnnotationsOption = Annotated[
    str | None,
    typer.Option(
        "--annotations",
        metavar="FILE|DIR",
        help="What is in the images: COCO, YOLO, Pascal VOC, masks, a table; or features of records, as "
        "image=NAME,label=NAME.",
    ),
]
