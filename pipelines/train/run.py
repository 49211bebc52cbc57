"""One run: an arm with one seed of the trainer, from where an earlier attempt left it to its end.

The checkpoint is the truth of an unfinished run. What people and programs read
(run.json, history.csv) follows from it, and is written after it.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from augment.errors import RequestError
from augment.mixing import Mixing
from pipelines import storage
from pipelines.format.manifest import json_text
from pipelines.progress import Bar
from pipelines.train import checkpoint
from pipelines.train.arms import Arm, Feed
from pipelines.train.early import EarlyStopping
from pipelines.train.learned import CLASSES
from pipelines.train.models import Model
from pipelines.train.output import (
    CHECKPOINT,
    HISTORY,
    MODEL,
    RUN,
    SHOWN,
    TEST,
    read_run,
    write_table,
    write_text,
)
from pipelines.train.trainer import Answers, TrainEpoch, Trainer

Row = dict[str, Any]
"""An epoch as a line of history.csv; None where a number is missing or is none."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all runs of a comparison have in common, but for their data."""

    model: Model
    epochs: int
    batch: int
    learning_rate: float
    early_stopping: bool
    mixed_precision: bool
    class_weights: bool = False
    mixing: Mixing | None = None


@dataclasses.dataclass(frozen=True)
class Reached:
    """How far a run is: what its checkpoint holds beside variables."""

    initial: str
    """the digest of all variables before the first step"""
    history: tuple[Row, ...] = ()
    early: EarlyStopping = dataclasses.field(default_factory=EarlyStopping)
    best: tuple[np.ndarray, ...] | None = None
    """the weights after the best epoch, where there is early stopping"""


def run_directory(output: str, arm: Arm, seed: int) -> str:
    return os.path.join(output, arm.label, f"seed-{seed}")


def finished_run(directory: str) -> dict[str, Any] | None:
    """What run.json says of a run that is finished; None if it is not."""
    document = read_run(directory)
    return document if document and document["finished"] else None


def train_run(
    feed: Feed,
    settings: Settings,
    *,
    seed: int,
    directory: str,
    initial: str | None,
    environment: dict[str, Any],
    strategy: tf.distribute.Strategy,
) -> dict[str, Any]:
    """Trains, or goes on where an earlier attempt was stopped; what run.json then says.

    Args:
        feed: the arm.
        settings: of the comparison.
        seed: of the trainer.
        directory: for this run alone.
        initial: the digest of the variables with which another arm of that seed began, if there is one.
        environment: where it is trained, for run.json.
        strategy: how to use several devices.

    Raises RequestError for a model that does not fit, or that begins otherwise in each arm.
    """
    trainer = Trainer(
        settings.model,
        feed,
        seed=seed,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        mixed_precision=settings.mixed_precision,
        class_weights=settings.class_weights,
        mixing=settings.mixing,
        strategy=strategy,
    )
    reached = Reached(checkpoint.digest(trainer.variables))
    if initial not in (None, reached.initial):
        raise _other_beginning(settings.model)
    os.makedirs(directory, exist_ok=True)
    saved = os.path.join(directory, CHECKPOINT)
    if os.path.exists(saved):
        reached = _resumed(saved, trainer, reached, settings.model)
    about = _about(feed, settings, seed, trainer, reached, environment)
    steps = math.ceil(feed.train_samples / settings.batch)
    done = len(reached.history) * steps
    with Bar(f"{feed.arm.label}, seed {seed}", "steps", settings.epochs * steps, initial=done) as bar:
        while len(reached.history) < settings.epochs and not reached.early.over:
            epoch = len(reached.history)

            def tick(loss: float, epoch: int = epoch) -> None:
                bar.set_postfix_str(f"epoch {epoch + 1}/{settings.epochs}, loss {loss:.3f}", refresh=False)
                bar.update()

            reached = _one_epoch_more(reached, trainer, feed, settings, tick)
            _save(saved, trainer, reached)
            _publish(directory, {**about, "finished": False}, reached)
    return _finish(directory, about, trainer, feed, reached)


def _other_beginning(model: Model) -> RequestError:
    return RequestError(
        f"--model {model.name}: it begins with other weights each time it is made with one seed; let Keras's "
        "initializers draw them, which follow the seed"
    )


def _resumed(saved: str, trainer: Trainer, begun: Reached, model: Model) -> Reached:
    best, state = checkpoint.restore(saved, trainer.variables)
    if state["initial"] != begun.initial:
        raise _other_beginning(model)
    reached = Reached(
        begun.initial, tuple(state["history"]), EarlyStopping(**state["early"]), tuple(best) or None
    )
    if checkpoint.digest(trainer.variables) != reached.history[-1]["weights_sha256"]:
        raise RequestError(f"{saved}: it is damaged; remove it to train that arm anew")
    return reached


def _save(saved: str, trainer: Trainer, reached: Reached) -> None:
    state = {
        "initial": reached.initial,
        "history": reached.history,
        "early": dataclasses.asdict(reached.early),
    }
    checkpoint.save(saved, trainer.variables, reached.best or (), state)


def _one_epoch_more(
    reached: Reached, trainer: Trainer, feed: Feed, settings: Settings, tick: Callable[[float], None]
) -> Reached:
    epoch = len(reached.history)
    trained = trainer.train(epoch, tick)
    judged = trainer.answers(feed.validation) if feed.validation else None
    digest = checkpoint.digest(trainer.variables)
    row = _row(feed.task.metric, epoch, feed.copy(epoch), trained, judged, digest)
    early, best = reached.early, reached.best
    if settings.early_stopping and judged:
        early = early.after(epoch, judged.loss)
        if early.best_epoch == epoch:
            best = tuple(map(np.asarray, trainer.model.weights))
    return Reached(reached.initial, (*reached.history, row), early, best)


def _row(
    metric: str, epoch: int, copy: int, trained: TrainEpoch, judged: Answers | None, weights: str
) -> Row:
    return {
        "epoch": epoch,
        "copy": copy,
        "loss": _number(trained.loss),
        metric: None if trained.score is None else _number(trained.score),
        "val_loss": judged and _number(judged.loss),
        f"val_{metric}": judged and _number(judged.score),
        "images": trained.images,
        "seconds": round(trained.seconds, 6),
        "images_per_second": round(trained.images / trained.seconds, 3),
        "input_wait_seconds": round(trained.input_wait_seconds, 6),
        "input_wait_share": round(trained.input_wait_seconds / trained.seconds, 6),
        "weights_sha256": weights,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _about(
    feed: Feed,
    settings: Settings,
    seed: int,
    trainer: Trainer,
    reached: Reached,
    environment: dict[str, Any],
) -> dict[str, Any]:
    return {
        "arm": feed.arm.name,
        "copies": feed.arm.copies,
        "originals": feed.arm.originals,
        "label": feed.arm.label,
        "train_seed": seed,
        "model": settings.model.name,
        "parameters": trainer.model.count_params(),
        "classes": list(feed.classes),
        **({"learns": feed.task.name} if feed.task is not CLASSES else {}),
        "validation": feed.validation,
        "initial_weights_sha256": reached.initial,
        "environment": environment,
    }


def _publish(directory: str, document: dict[str, Any], reached: Reached) -> None:
    """Writes history.csv, and then run.json."""
    write_table(os.path.join(directory, HISTORY), reached.history)
    document = {**document, "epochs": reached.history}
    write_text(os.path.join(directory, RUN), json_text(document))


def _finish(
    directory: str, about: dict[str, Any], trainer: Trainer, feed: Feed, reached: Reached
) -> dict[str, Any]:
    if reached.best is not None:
        trainer.model.set_weights(reached.best)
    test, pictured = None, feed.task is not CLASSES
    last = feed.test or (feed.validation if pictured else None)
    answers = trainer.answers(last) if last else None
    if answers and pictured:
        with open(os.path.join(directory, SHOWN), "wb") as file:
            np.savez_compressed(file, **answers.shown._asdict())
    if answers and feed.test:
        write_table(os.path.join(directory, TEST), answers.judge.lines())
        test = {
            "split": feed.test,
            "images": answers.images,
            "loss": _number(answers.loss),
            feed.task.metric: _number(answers.score),
        }
    model = os.path.join(directory, MODEL)
    trainer.model.save(f"{model}.part.keras")
    storage.Local(directory).place(f"{model}.part.keras", MODEL)
    about = {
        **about,
        "finished": True,
        "kept_epoch": len(reached.history) - 1 if reached.best is None else reached.early.best_epoch,
        "test": test,
    }
    _publish(directory, about, reached)
    os.remove(os.path.join(directory, CHECKPOINT))
    return {**about, "epochs": list(reached.history)}
