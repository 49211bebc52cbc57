"""Training on what was made, and comparing it."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.options import (
    AnnotationsOption,
    DuplicatesOption,
    GroupByOption,
    InputOption,
    PluginOption,
    RecipeForOption,
    RecipeOption,
    SeedOption,
)


def train(
    input: InputOption,  # noqa: A002 (the option's name)
    recipe: RecipeOption,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME|MODULE:FUNCTION",
            help="vgg16, convnet_bn, small_cnn, cifar_cnn; unet of masks, center_grid of boxes; or yours.",
        ),
    ],
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the training images.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the runs are kept.")],
    recipe_for: RecipeForOption = None,
    arms: Annotated[
        str, typer.Option("--arms", help="How to feed the model: none, shards, live, live-layer.")
    ] = "none,shards,live",
    shards: Annotated[
        str | None, typer.Option("--shards", metavar="DIR", help="What augshard materialize wrote.")
    ] = None,
    copies: Annotated[
        str | None,
        typer.Option("--copies", help="How many copies shards may use, such as 1,2,5; else all there are."),
    ] = None,
    seed: SeedOption = 0,
    train_seeds: Annotated[
        int, typer.Option("--train-seeds", help="Train so many times: initial weights and order 0, 1, ...")
    ] = 1,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Images a step.")] = 32,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Of Adam; else 0.001.")
    ] = None,
    validation_fraction: Annotated[
        str | None,
        typer.Option(
            "--validation-fraction",
            help="Keep such a part of train for validation, by hash; 0.2 where only train is there, 0: none.",
        ),
    ] = None,
    split_fractions: Annotated[
        str | None, typer.Option("--split-fractions", help="As for materialize.")
    ] = None,
    group_by: GroupByOption = None,
    duplicates: DuplicatesOption = None,
    layout: Annotated[str, typer.Option("--layout", help="As for materialize.")] = "auto",
    annotations: AnnotationsOption = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="FILE", help="Of the base of vgg16; else random.")
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option(
            "--early-stopping/--no-early-stopping",
            help="Stop when validation gets no better; else as the model has it.",
        ),
    ] = None,
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="Compute in float16 on GPUs, in bfloat16 elsewhere.")
    ] = False,
    mix: Annotated[
        str | None,
        typer.Option(
            "--mix", help="Mix each batch: mixup:ALPHA, cutmix:ALPHA (such as cutmix:1.0) or mosaic."
        ),
    ] = None,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Have all classes weigh the same in the loss.")
    ] = False,
    determinism: Annotated[
        bool, typer.Option("--determinism/--no-determinism", help="Whether two runs have the same weights.")
    ] = True,
    plugin: PluginOption = None,
) -> None:
    """Train one model on none, shards and live augmentation, and compare what comes of it.

    Run it again to go on with what was interrupted, or with more arms, copies or train seeds to add some.
    """
    from pipelines.commands.train import train_command

    train_command(
        root=input,
        output=output,
        recipe=recipe,
        recipe_for=recipe_for or [],
        arms=arms,
        model=model,
        epochs=epochs,
        seed=seed,
        shards=shards,
        copies=copies,
        batch_size=batch_size,
        train_seeds=train_seeds,
        learning_rate=learning_rate,
        validation_fraction=validation_fraction,
        split_fractions=split_fractions,
        group_by=group_by,
        duplicates=duplicates,
        layout=layout,
        annotations=annotations,
        weights=weights,
        early_stopping=early_stopping,
        mixed_precision=mixed_precision,
        mix=mix,
        class_weights=class_weights,
        deterministic=determinism,
        plugins=plugin or [],
    )


def compare(
    outputs: Annotated[list[str], typer.Argument(metavar="RUNS...", help="What augshard train wrote.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the report goes.")],
) -> None:
    """Compare the runs of several outputs of train, made with augmentations of different seeds.

    Writes report.html and report.json, and for a README table.md and accuracy.svg.
    """
    from pipelines.commands.train import compare_command

    compare_command(outputs=outputs, output=output)
