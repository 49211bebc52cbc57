"""Datasets: made, proved, and all of it shown on one that is drawn."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.options import (
    AnnotationsOption,
    DuplicatesOption,
    FindingsOption,
    GroupByOption,
    InputOption,
    LayoutOption,
    PluginOption,
    RecipeForOption,
    RecipeOption,
    SeedOption,
)


def materialize(
    context: typer.Context,
    input: InputOption,  # noqa: A002 (the option's name)
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the dataset is written.")],
    recipe: RecipeOption,
    recipe_for: RecipeForOption = None,
    seed: SeedOption = 0,
    copies: Annotated[
        str | None,
        typer.Option(
            "--copies",
            metavar="N|CLASS=N,...",
            help="Augmented variants of each image, 1 by default; or by class, such as rare=20,common=2.",
        ),
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            "--balance", metavar="max|N", help="As many of every class: as the largest has, or so many."
        ),
    ] = None,
    include_originals: Annotated[
        bool, typer.Option("--include-originals", help="Also write the images that get copies as they are.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="The dataset's name in TFDS; else the recipe's.")
    ] = None,
    augment_splits: Annotated[
        str | None, typer.Option("--augment-splits", help="Splits that get copies, with commas; else train.")
    ] = None,
    split_fractions: Annotated[
        str | None,
        typer.Option("--split-fractions", help="Splits by hash, such as train=0.8,validation=0.1,test=0.1."),
    ] = None,
    group_by: GroupByOption = None,
    duplicates: DuplicatesOption = None,
    layout: LayoutOption = "auto",
    shards: Annotated[int | None, typer.Option("--shards", help="Shards of each split and copy.")] = None,
    shard_size: Annotated[str, typer.Option("--shard-size", help="About how large a shard is.")] = "128MiB",
    max_rejects: Annotated[
        float, typer.Option("--max-rejects", help="The largest part of images that may be unusable.")
    ] = 0.01,
    annotations: AnnotationsOption = None,
    plugin: PluginOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start over in a directory of ours.")
    ] = False,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            help="Who computes the pixels, which are the same: host (NumPy, OpenCV) or device (TensorFlow).",
        ),
    ] = "host",
    runner: Annotated[
        str, typer.Option("--runner", help="embedded, or a runner of Beam's, with its options.")
    ] = "embedded",
) -> None:
    """Write augmented copies of a directory of images as TFRecord shards.

    Run it again to resume what was interrupted, or with more --copies to add some.
    Any option of Beam's may follow.
    """
    from pipelines.commands.materialize import materialize_command

    materialize_command(
        root=input,
        output=output,
        recipe=recipe,
        recipe_for=recipe_for or [],
        seed=seed,
        copies=copies,
        balance=balance,
        include_originals=include_originals,
        name=name,
        augment_splits=augment_splits,
        split_fractions=split_fractions,
        group_by=group_by,
        duplicates=duplicates,
        annotations=annotations,
        layout=layout,
        shards=shards,
        shard_size=shard_size,
        max_rejects=max_rejects,
        plugins=plugin or [],
        overwrite=overwrite,
        backend=backend,
        runner=runner,
        beam_arguments=context.args,
        our_options=[option for parameter in context.command.params for option in parameter.opts],
    )


def audit(
    directory: Annotated[str, typer.Argument(metavar="OUT", help="The dataset, as materialize wrote it.")],
    input: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option("--input", metavar="DIR", help="The images that it was made from."),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option("--samples", metavar="N|all", help="Derived again from their sources; else 200."),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE.html", help="Also write a page to look at.")
    ] = None,
    json: FindingsOption = None,
    sample: Annotated[
        str | None, typer.Option("--sample", metavar="SOURCE", help="Replay one source, op after op ...")
    ] = None,
    copy: Annotated[
        int | None, typer.Option("--copy", metavar="K", help="... in this copy, from 0; -1 for an original.")
    ] = None,
    strip: Annotated[
        str | None,
        typer.Option("--strip", metavar="FILE.png", help="Where the replay's pictures go; else replay.png."),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="Who derives: host or device; else the one that did not write."),
    ] = None,
    group_by: GroupByOption = None,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates",
            help="Also find pictures in two splits that are nearly equal; decodes all of --input.",
        ),
    ] = False,
    annotations: AnnotationsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Prove what is in the shards: whole, and what follows from sources, recipe and seed.

    Exit status: 0 nothing was found, 1 something was, 2 the request is wrong.
    """
    from pipelines.commands.audit import audit_command

    audit_command(
        directory,
        root=input,
        samples=samples,
        report=report,
        json=json,
        sample=sample,
        copy=copy,
        strip=strip,
        backend=backend,
        group_by=group_by,
        duplicates=duplicates,
        annotations=annotations,
        plugins=plugin or [],
    )


def look(
    directory: Annotated[str, typer.Argument(metavar="OUT", help="The dataset, as materialize wrote it.")],
    input: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option("--input", metavar="DIR", help="The images it was made from, to see op after op."),
    ] = None,
    annotations: AnnotationsOption = None,
    findings: Annotated[
        str | None,
        typer.Option("--findings", metavar="FILE", help="What augshard audit --json wrote of it."),
    ] = None,
    port: Annotated[int, typer.Option("--port", help="On 127.0.0.1; else a free one.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address, and open no browser.")
    ] = False,
    plugin: PluginOption = None,
) -> None:
    """Show a dataset in a browser: filter its samples, and see what each op did to one.

    Serves this machine alone, until Ctrl-C.
    """
    from pipelines.commands.look import look_command

    look_command(
        directory,
        root=input,
        annotations=annotations,
        findings=findings,
        port=port,
        browser=not no_browser,
        plugins=plugin or [],
    )


def export(
    context: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="OUT", help="The dataset, as materialize wrote it.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="folders, webdataset, parquet, arrayrecord, coco, yolo or voc."
        ),
    ],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the export is written.")],
    splits: Annotated[
        str | None, typer.Option("--splits", help="Which splits, with commas; else all of them.")
    ] = None,
    copies: Annotated[
        str | None,
        typer.Option("--copies", help="Which copies, with commas, -1 for originals; else all of them."),
    ] = None,
    runner: Annotated[
        str, typer.Option("--runner", help="embedded, or a runner of Beam's, with its options.")
    ] = "embedded",
) -> None:
    """Write a finished dataset as image folders, WebDataset, Parquet, ArrayRecord, COCO, YOLO or Pascal VOC.

    Run it again to go on with what was interrupted. Any option of Beam's may follow.
    """
    from pipelines.commands.export import export_command

    export_command(
        directory,
        to=to,
        output=output,
        splits=splits,
        copies=copies,
        runner=runner,
        beam_arguments=context.args,
        our_options=[option for parameter in context.command.params for option in parameter.opts],
    )


def demo(
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where all of it goes.")] = "demo",
) -> None:
    """Draw a small dataset of cars and trucks and run all of the above on it."""
    from pipelines.demo import demo as run

    run(output)
