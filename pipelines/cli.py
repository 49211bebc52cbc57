"""The command line: parses, imports late, calls.

Nothing here may import TensorFlow, Beam, NumPy or pydantic before a command needs
them: they take seconds, and help must not.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from augment.errors import RequestError
from pipelines import process

app = typer.Typer(
    name="augshard",
    help="Materialize image augmentation: shards that hold, bit for bit, what live training sees.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipeOption = Annotated[
    str, typer.Option("--recipe", metavar="NAME|FILE", help="A preset, or a path to a recipe in YAML.")
]
InputOption = Annotated[
    str, typer.Option("--input", metavar="DIR", help="DIR/<class>/... or DIR/<split>/<class>/...")
]
SeedOption = Annotated[int, typer.Option("--seed", help="The augmentation's seed, from 0.")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="A Python module that defines ops. May be repeated."),
]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def materialize(
    context: typer.Context,
    input: InputOption,  # noqa: A002 (the option's name)
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the dataset is written.")],
    recipe: RecipeOption,
    seed: SeedOption = 0,
    copies: Annotated[int, typer.Option("--copies", help="Augmented variants of each image.")] = 1,
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
    layout: Annotated[
        str, typer.Option("--layout", help="What the top folders are: classes, splits, or auto.")
    ] = "auto",
    shards: Annotated[int | None, typer.Option("--shards", help="Shards of each split and copy.")] = None,
    shard_size: Annotated[str, typer.Option("--shard-size", help="About how large a shard is.")] = "128MiB",
    max_rejects: Annotated[
        float, typer.Option("--max-rejects", help="The largest part of images that may be unusable.")
    ] = 0.01,
    plugin: PluginOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start over in a directory of ours.")
    ] = False,
    backend: Annotated[
        str, typer.Option("--backend", help="Who computes the same pixels: host, or device (TensorFlow).")
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
        seed=seed,
        copies=copies,
        include_originals=include_originals,
        name=name,
        augment_splits=augment_splits,
        split_fractions=split_fractions,
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


@app.command()
def preview(
    input: InputOption,  # noqa: A002 (the option's name)
    recipe: RecipeOption,
    output: Annotated[str, typer.Option("--output", metavar="FILE.png", help="The sheet to write.")],
    seed: SeedOption = 0,
    copies: Annotated[int, typer.Option("--copies", min=1, max=50, help="Copies of each image.")] = 5,
    images: Annotated[int, typer.Option("--images", min=1, max=50, help="Images, one a row.")] = 4,
    each_op: Annotated[bool, typer.Option("--each-op", help="Show each op alone, on one image.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Draw a contact sheet of what a recipe does to some of the images."""
    from augment.augmenter import Augmenter
    from augment.recipe import load_recipe
    from pipelines.format.request import load_plugins
    from pipelines.quiet import import_tensorflow
    from pipelines.sources import check_root

    check_root(input)
    load_plugins(plugin or [])
    loaded = load_recipe(recipe)
    Augmenter(loaded, seed)  # which checks the seed
    import_tensorflow()
    from pipelines.preview import preview as draw

    width, height = draw(
        input, loaded, output=output, seed=seed, copies=copies, images=images, each_op=each_op
    )
    sys.stdout.write(f"sheet  {output} ({width}x{height})\n")


@app.command()
def lint(
    recipe: RecipeOption,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="FILE", help="Class names, one a line.")
    ] = None,
    input: Annotated[  # noqa: A002 (the option's name)
        str | None, typer.Option("--input", metavar="DIR", help="Images, whose class folders are read.")
    ] = None,
    layout: Annotated[
        str, typer.Option("--layout", help="What its top folders are: classes, splits, or auto.")
    ] = "auto",
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Also write the findings here.")
    ] = None,
    plugin: PluginOption = None,
) -> None:
    """Say which classes a recipe endangers, by their names: a mirrored "left", a 6 turned to a 9.

    Exit status: 0 nothing was found, 1 something was, 2 the request is wrong.
    """
    from augment.recipe import load_recipe
    from pipelines.format.request import load_plugins
    from pipelines.lint import lint as check

    load_plugins(plugin or [])
    text, found = check(load_recipe(recipe), labels=labels, directory=input, layout=layout, json=json)
    sys.stdout.write(text)
    if found:
        sys.exit(1)


@app.command()
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
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Also write the findings here.")
    ] = None,
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
    plugin: PluginOption = None,
) -> None:
    """Prove what is in the shards: whole, and what follows from sources, recipe and seed.

    Exit status: 0 nothing was found, 1 something was, 2 the request is wrong.
    """
    from pipelines.format.request import load_plugins

    load_plugins(plugin or [])
    if sample is not None or copy is not None:
        if sample is None or copy is None:
            raise RequestError("one sample is given by --sample SOURCE and --copy K together")
        if samples or report or json:
            raise RequestError("--sample replays one sample; leave --samples, --report and --json out")
        from pipelines.commands.audit import replay_command

        replay_command(directory, root=input, sample=sample, copy=copy, strip=strip or "replay.png")
    else:
        if strip:
            raise RequestError(f"--strip {strip}: it takes the pictures of a replay; add --sample and --copy")
        from pipelines.commands.audit import audit_command

        audit_command(directory, root=input, samples=samples, report=report, json=json)


@app.command()
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
    """Compute the same samples in every way (graph, tf.data, job, model, XLA, GPU) and compare them.

    Each cell is the largest difference from augment_image, in levels, and the part of
    pixels that differ; 0 where all are equal. Exit status: 0 if everything is equal but
    for XLA and GPU, 1 if not, 2 if the request is wrong.
    """
    from augment.recipe import Recipe
    from pipelines.format.manifest import json_text
    from pipelines.format.request import Request, load_plugins
    from pipelines.parity.examples import rows, without_example
    from pipelines.quiet import import_tensorflow

    digests = load_plugins(plugin or [])
    wanted = rows(recipe or [], op or [])
    if not 0 <= seed < 2**64:
        raise RequestError(f"--seed is {seed}; it must be from 0 to {2**64 - 1}")
    if json is not None and not os.path.isdir(os.path.dirname(os.path.abspath(json))):
        raise RequestError(f"--json {json}: there is no such directory")
    for name in [] if recipe or op else without_example():
        sys.stderr.write(f"augshard: warning: op {name} is left out: it needs settings; see --recipe\n")
    import_tensorflow()
    from pipelines.engines import choose
    from pipelines.materialize.launch import launch
    from pipelines.parity.report import agrees, as_json, as_text, compare

    def materialized(recipe: Recipe, root: str, output: str, seed: int, copies: int) -> None:
        request = Request(
            name="parity",
            recipe_name=recipe.name,
            recipe=recipe.canonical(),
            seed=seed,
            copies=copies,
            plugins=digests,
        )
        launch(
            request,
            root=root,
            output=output,
            max_rejects=0,
            overwrite=False,
            engine=choose(),
        )

    table = compare(wanted, count=samples, seed=seed, launch=materialized)
    sys.stdout.write(as_text(table))
    if json is not None:
        with open(json, "w", encoding="utf-8") as file:
            file.write(json_text(as_json(table, wanted, count=samples, seed=seed)))
    if not agrees(table):
        sys.exit(1)


@app.command()
def train(
    input: InputOption,  # noqa: A002 (the option's name)
    recipe: RecipeOption,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME|MODULE:FUNCTION",
            help="vgg16, convnet_bn, small_cnn, cifar_cnn, or a function of yours.",
        ),
    ],
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the training images.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the runs are kept.")],
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
        typer.Option("--validation-fraction", help="Keep such a part of train for validation, by hash."),
    ] = None,
    split_fractions: Annotated[
        str | None, typer.Option("--split-fractions", help="As for materialize.")
    ] = None,
    layout: Annotated[str, typer.Option("--layout", help="As for materialize.")] = "auto",
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
        layout=layout,
        weights=weights,
        early_stopping=early_stopping,
        mixed_precision=mixed_precision,
        deterministic=determinism,
        plugins=plugin or [],
    )


@app.command()
def compare(
    outputs: Annotated[list[str], typer.Argument(metavar="RUNS...", help="What augshard train wrote.")],
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where the report goes.")],
) -> None:
    """Compare the runs of several outputs of train, made with augmentations of different seeds.

    Writes report.html and report.json, and for a README table.md and accuracy.svg.
    """
    from pipelines.commands.train import compare_command

    compare_command(outputs=outputs, output=output)


@app.command()
def demo(
    output: Annotated[str, typer.Option("--output", metavar="DIR", help="Where all of it goes.")] = "demo",
) -> None:
    """Draw a small dataset of cars and trucks and run all of the above on it."""
    from pipelines.demo import demo as run

    run(output)


@app.command()
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


def main() -> None:
    """The entry point. Exit status: 0 done, 1 the work failed, 2 the request is wrong, 128 + the signal."""
    process.in_utf_8()
    with process.signals() as stopped:
        try:
            with process.streams():
                status = _run(stopped)
        except OSError as error:  # what was said last could not be written
            sys.stderr.write(f"augshard: {_reason(error)}\n")
            status = 1
    sys.exit(status)


def _run(stopped: process.Signals) -> int:
    """Runs the command that was typed; its exit status."""
    try:
        app([_at_home(argument) for argument in sys.argv[1:]])
    except RequestError as error:
        sys.stderr.write(f"augshard: {error}\n")
        return 2
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            return end.code if isinstance(end.code, int) else int(bool(end.code))
    except OSError as error:  # a disk that is full, a store that does not answer
        if not stopped.number:
            sys.stderr.write(f"augshard: {_reason(error)}\n")
            return 1
    except Exception:
        if not stopped.number:  # by which an import, say, was cut short
            raise
    else:
        return 0
    resumes = sys.argv[1:2] in (["materialize"], ["train"])
    sys.stderr.write(f"augshard: stopped{'; run the same command again to go on' * resumes}\n")
    sys.stdout.flush()
    # Workers' threads are still in TensorFlow, and may crash while Python shuts down. What they write has
    # its name only when it is whole, so they can be left where they are.
    os._exit(stopped.status)


_INTERRUPTED = 130
"""With what status typer, which says nothing, answers KeyboardInterrupt."""


def _at_home(argument: str) -> str:
    """An argument with the ~ that stands for a home, which shells leave alone behind a =."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + os.path.expanduser(value)


def _reason(error: OSError) -> str:
    from pipelines.storage import reason

    return f"{error.filename}: {reason(error)}" if error.filename else reason(error)


if __name__ == "__main__":
    main()
