"""`augshard train`: checks what was typed, trains every arm with every seed, and says what came of it.

TensorFlow is imported late, so that most mistakes are answered at once.
"""

from __future__ import annotations

import datetime
import platform
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from augment.errors import RequestError, require
from augment.mixing import Mixing, parse_mixing
from pipelines import storage
from pipelines.annotations import annotations_for
from pipelines.commands.checks import check_range, checked_duplicates, checked_group_by
from pipelines.format.manifest import read_manifest
from pipelines.format.request import load_plugins
from pipelines.images import Images, list_images
from pipelines.plan import parse_fractions
from pipelines.quiet import import_tensorflow
from pipelines.recipes import asked_recipe
from pipelines.sources import check_root, checked_layout
from pipelines.sources.rules import role
from pipelines.train import request as requests
from pipelines.train.arms import Feed, open_feed, parse_arms
from pipelines.train.learned import CLASSES, MASKS, Task, learned_of
from pipelines.train.models import find_model
from pipelines.train.output import locked_output

if TYPE_CHECKING:
    from pipelines.train.run import Settings

LEARNING_RATE = 0.001
"""Of Adam, for models that are not compiled."""

VALIDATION = "0.2"
"""The part of the training images that validates where no split does, nor one tests."""


def train_command(
    *,
    root: str,
    output: str,
    recipe: str,
    recipe_for: Sequence[str] = (),
    arms: str,
    model: str,
    epochs: int,
    seed: int = 0,
    shards: str | None = None,
    copies: str | None = None,
    batch_size: int = 32,
    train_seeds: int = 1,
    learning_rate: float | None = None,
    validation_fraction: str | None = None,
    split_fractions: str | None = None,
    group_by: str | None = None,
    duplicates: str | None = None,
    layout: str = "auto",
    annotations: str | None = None,
    weights: str | None = None,
    early_stopping: bool | None = None,
    mixed_precision: bool = False,
    class_weights: bool = False,
    mix: str | None = None,
    deterministic: bool = True,
    plugins: Sequence[str] = (),
) -> None:
    """Raises RequestError for a wrong request; exits with status 1 if the work fails."""
    require("TensorFlow", "augshard train")
    check_range("--seed", seed, 0, 2**64 - 1)
    check_range("--epochs", epochs, 1, 100_000)
    check_range("--batch-size", batch_size, 1, 100_000)
    check_range("--train-seeds", train_seeds, 1, 1000)
    check_range("--learning-rate", learning_rate, 1e-9, 1000)
    mixing = None if mix is None else _checked_mixing(mix, batch_size, class_weights)
    folders = checked_layout(layout)
    check_root(root)
    beside = annotations_for(root, annotations)
    digests = load_plugins(list(plugins))
    loaded = asked_recipe(recipe, recipe_for)
    fractions = parse_fractions(split_fractions) if split_fractions else None
    by_default = False
    if validation_fraction is None and not fractions:
        there = list_images(root, layout=folders, annotations=beside)
        by_default = _only_trains(there)
        validation_fraction = VALIDATION if by_default else None
    made = split_fractions or validation_fraction
    group_by, together = checked_group_by(group_by, made), checked_duplicates(duplicates, made)
    wanted = parse_arms(arms, copies)
    found = find_model(model, shape=loaded.image_shape, weights=weights)
    fingerprint = read_manifest(shards).fingerprint if shards else None
    with locked_output(output):
        earlier = requests.earlier_request(output)
        images = list_images(
            root,
            layout=folders,
            split_fractions=fractions,
            group_by=group_by,
            duplicates=together,
            annotations=beside,
        )
        images.tell()
        learned = learned_of(images, model=model, task=found.task)
        if learned.moves:
            _check_only_classes(learned.task, mix, class_weights)
        import_tensorflow(requests.threads(earlier))
        import tensorflow as tf

        from pipelines.train.run import Settings

        if deterministic:
            tf.config.experimental.enable_op_determinism()
        feeds = [
            open_feed(
                arm,
                input=root,
                recipe=loaded,
                seed=seed,
                shards=shards,
                layout=folders,
                split_fractions=fractions,
                group_by=group_by,
                duplicates=together,
                validation_fraction=validation_fraction,
                annotations=beside,
                learned=learned,
            )
            for arm in wanted
        ]
        settings = Settings(
            model=found,
            epochs=epochs,
            batch=batch_size,
            learning_rate=LEARNING_RATE if learning_rate is None else learning_rate,
            early_stopping=found.early_stopping if early_stopping is None else early_stopping,
            mixed_precision=mixed_precision,
            class_weights=class_weights,
            mixing=mixing,
        )
        if by_default:
            kept, trains = feeds[0].images("validation"), feeds[0].images()
            sys.stderr.write(
                f"augshard: no split validates or tests, so {kept:,} of {kept + trains:,} images do, "
                f"by the hash of their ids (--validation-fraction {VALIDATION}; with 0 all train, "
                "and nothing is compared)\n"
            )
        _check_fits(feeds[0], settings, learning_rate)
        request = {
            "recipe": loaded.canonical(),
            "seed": seed,
            "plugins": digests,
            "images": images.listing.hexdigest(),
            "layout": layout,
            **({"annotations": beside.format} if beside else {}),
            **({"learns": learned.task.name} if learned.moves else {}),
            "split_fractions": fractions and [list(pair) for pair in fractions.items()],
            "validation_fraction": validation_fraction,
            **({"group_by": group_by} if group_by else {}),
            **({"duplicates": together} if together else {}),
            "shards": fingerprint,
            "model": model,
            "weights": storage.at(weights).digest() if weights else None,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "early_stopping": settings.early_stopping,
            "mixed_precision": mixed_precision,
            **({"class_weights": True} if class_weights else {}),
            **({"mix": str(mixing)} if mixing else {}),
            "deterministic": deterministic,
            **requests.surroundings(),
        }
        requests.keep(output, request, earlier)
        for note in dict.fromkeys(note for feed in feeds for note in feed.notes(epochs)):
            sys.stderr.write(f"augshard: {note}\n")
        if model == "vgg16" and weights is None:
            sys.stderr.write(
                "augshard: warning: without --weights, the frozen base of vgg16 has random weights, and the "
                "features that its head learns from mean nothing\n"
            )
        environment = _environment(input=root, shards=shards)
        runs = _train_all(feeds, settings, range(train_seeds), output, environment)
        from pipelines.report.training.files import write_report
        from pipelines.report.training.summary import as_text
        from pipelines.train.compare import compare
        from pipelines.train.results import read_output

        sys.stdout.write(as_text(runs))
        report = write_report(compare([read_output(output)]), output)  # of earlier commands' runs too
        sys.stdout.write(f"runs    {output}\nreport  {report}\n")


def compare_command(*, outputs: Sequence[str], output: str) -> None:
    """Raises RequestError for a wrong request."""
    require("Matplotlib", "augshard compare")
    from pipelines.report.training.files import write_excerpts, write_report
    from pipelines.train.compare import compare
    from pipelines.train.results import read_outputs

    comparison = compare(read_outputs(outputs))
    written = [write_report(comparison, output), *write_excerpts(comparison, output)]
    sys.stdout.write("".join(f"{path}\n" for path in written))


def _only_trains(images: Images) -> bool:
    """Whether no split of theirs is for anything else."""
    return not any(role(split) in ("validation", "test") for split in images.splits())


def _checked_mixing(mix: str, batch_size: int, class_weights: bool) -> Mixing:
    """Raises RequestError for what is no mixing, or does not go with the rest of the request."""
    mixing = parse_mixing(mix, where="--mix")
    if batch_size < mixing.of:
        raise RequestError(
            f"--mix {mix}: it mixes {mixing.of} images of a batch, and --batch-size is {batch_size}; "
            f"let it be {mixing.of} or more"
        )
    if class_weights:
        raise RequestError(
            f"--mix {mix}: a mixed image is of several classes, of which none can weigh its loss; "
            "leave --class-weights out, and balance the copies if classes are of unequal size"
        )
    return mixing


def _check_only_classes(task: Task, mix: str | None, class_weights: bool) -> None:
    """Raises RequestError for what is of labels alone."""
    if mix is not None:
        raise RequestError(
            f"--mix {mix}: it mixes images with their labels, and what is learned here is {task.name}; "
            "leave it out"
        )
    if class_weights:
        raise RequestError(
            f"--class-weights: they go by the label of an image, and what is learned here is {task.name}; "
            "leave it out"
        )


def _check_fits(feed: Feed, settings: Settings, learning_rate: float | None) -> None:
    """Raises RequestError if the data or the model make the request wrong; before anything is written."""
    if len(feed.classes) < 2 and feed.task is CLASSES:
        raise RequestError("there is only one class; it takes two or more to train a classifier")
    if len(feed.classes) < 2 and feed.task is MASKS:
        raise RequestError("masks have id 0 alone; it takes two or more to learn them")
    if settings.early_stopping and not feed.validation:
        raise RequestError(
            "early stopping goes by the validation loss, and there is no validation split; carve one by "
            "--validation-fraction 0.1, or train all epochs with --no-early-stopping"
        )
    from pipelines.train.models import check_model

    model, name = settings.model.build(feed.image_shape, len(feed.classes)), settings.model.name
    check_model(name, model, shape=feed.image_shape, classes=len(feed.classes), task=feed.task)
    if model.compiled and feed.task is not CLASSES:
        raise RequestError(
            f"--model {name}: it is compiled, and the loss of {feed.task.name} is the trainer's own; leave "
            "its compile out"
        )
    if model.compiled and learning_rate is not None:
        raise RequestError(
            f"--model {name}: it is compiled, so its optimizer has a learning rate of its own; "
            "leave --learning-rate out"
        )
    if settings.mixing and model.compiled and "sparse" in _name_of(model.loss):
        raise RequestError(
            f"--model {name}: it is compiled with a loss that takes a label as a number, and by --mix a "
            "label is the shares of classes; compile it with categorical_crossentropy, or not at all"
        )


def _name_of(loss: Any) -> str:
    """Of a loss that Keras was given: its name, a function or a Loss."""
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", loss))


def _train_all(
    feeds: Sequence[Feed],
    settings: Settings,
    seeds: Sequence[int],
    output: str,
    environment: dict[str, Any],
) -> list[dict[str, Any]]:
    """Trains what is not trained yet, a seed after the other; what run.json says of each run."""
    import tensorflow as tf

    from pipelines.train.run import finished_run, run_directory, train_run
    from pipelines.train.trainer import default_strategy

    strategy, runs = default_strategy(), []
    for seed in seeds:
        initial = None
        for feed in feeds:
            directory = run_directory(output, feed.arm, seed)
            run = finished_run(directory)
            try:
                run = run or train_run(
                    feed,
                    settings,
                    seed=seed,
                    directory=directory,
                    initial=initial,
                    environment={**environment, "replicas": strategy.num_replicas_in_sync},
                    strategy=strategy,
                )
            except (tf.errors.OpError, OSError) as error:
                said = (getattr(error, "message", None) or str(error)).strip().splitlines()[0]
                sys.stderr.write(f"augshard: {feed.arm.label}, seed {seed}: {said}\n")
                sys.exit(1)
            initial = run["initial_weights_sha256"]
            runs.append(run)
    return runs


def _environment(**paths: str | None) -> dict[str, Any]:
    """What may differ between runs of one request: time, place and paths."""
    return {
        "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: path and storage.at(path).absolute() for name, path in paths.items()},
    }
