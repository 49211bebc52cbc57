"""What `augshard train` left in its output directories, as a comparison takes it."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import zipfile
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from augment.errors import RequestError
from pipelines.format.bounds import LINE_BYTES
from pipelines.format.inside import read_in
from pipelines.format.layout import RUN as DATASET_RUN
from pipelines.format.layout import shard_file
from pipelines.format.manifest import Manifest, read_manifest
from pipelines.train.arms import NAMES, Arm, named_as
from pipelines.train.identity import RunDocument
from pipelines.train.judging import Shown
from pipelines.train.learned import CLASSES, TASKS, Task
from pipelines.train.output import REQUEST, SHOWN, TEST, read_run
from pipelines.train.request import TrainingRequest, earlier_request

OF_EACH_OUTPUT = ("seed", "shards")
"""In what the requests of outputs that are compared may differ: the augmentation's seed, and its shards."""

_NEEDED = (
    *("batch_size", "deterministic", "devices", "early_stopping", "epochs", "layout", "learning_rate"),
    *("mixed_precision", "model", "plugins", "recipe", "seed", "shards", "split_fractions", "threads"),
    *("validation_fraction", "weights"),
)
"""What the comparison reads of a request."""


@dataclasses.dataclass(frozen=True)
class ArmsDataset:
    """The shards of an output's runs, where they still are what they were."""

    manifest: Manifest
    seconds: float
    """what the command took that wrote the manifest"""
    platform: str
    """of the machine that did"""

    def has(self, arm: Arm) -> bool:
        """Whether all that an arm of shards trains on is among them."""
        request = self.manifest.request
        return (arm.copies or 0) <= request.copies and request.originals >= arm.originals

    def shards(self, arm: Arm) -> tuple[int, int]:
        """Bytes and records of the shards that an arm of shards trains on."""
        split = named_as("train", self.manifest.splits)[0]
        files = [
            self.manifest.files[shard_file(self.manifest.request.name, split, copy, group, groups)]
            for copy in (arm.pool if arm.copies else self.manifest.copies(split))
            for groups in [self.manifest.groups(split, copy)]
            for group in range(groups)
        ]
        return sum(file.bytes for file in files), sum(file.records or 0 for file in files)

    def seconds_for(self, arm: Arm) -> float:
        """The part of the seconds that falls to an arm's shards, by their number of records."""
        return self.seconds * self.shards(arm)[1] / self.manifest.records


@dataclasses.dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that is finished."""

    arm: Arm
    seed: int
    """of the augmentation"""
    train_seed: int
    document: RunDocument
    """run.json"""
    right: np.ndarray | None
    """bool [n]: which images of the test split it told right; None without that split, or classes"""
    shown: Shown | None = None
    """a few pictures of masks or boxes, if they are there"""

    @property
    def task(self) -> Task:
        return task_of(self.document)

    @property
    def scores(self) -> dict[str, float | None]:
        """By the task's metric on train, validation and test, of the weights that were kept."""
        kept, test = self.document["epochs"][self.document["kept_epoch"]], self.document["test"]
        metric = self.task.metric
        return {
            "train": kept[metric],
            "validation": kept[f"val_{metric}"],
            "test": test and test[metric],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingOutput:
    """One output directory of `augshard train`."""

    request: TrainingRequest
    runs: tuple[FinishedRun, ...]
    """by arm, as NAMES has them, with more and more copies, and by train seed"""
    unfinished: tuple[str, ...]
    """the others, and how far they are, in words"""
    dataset: ArmsDataset | None

    @property
    def seed(self) -> int:
        """Of the augmentation."""
        return int(self.request["seed"])


def read_outputs(directories: Sequence[str]) -> list[TrainingOutput]:
    """Output directories of one request, but for the augmentation's seed and the shards made with it.

    Raises RequestError if they cannot be compared.
    """
    outputs: dict[int, tuple[str, TrainingOutput]] = {}
    for directory in directories:
        output = read_output(directory)
        first_directory, first = next(iter(outputs.values()), (directory, output))
        differing = [
            name.replace("_", " ")
            for name in sorted(first.request.keys() | output.request.keys())
            if name not in OF_EACH_OUTPUT and first.request.get(name) != output.request.get(name)
        ]
        if differing:
            raise RequestError(
                f"{directory}: its runs differ from those of {first_directory} in "
                f"{', '.join(differing)}; give outputs that differ in --seed and --shards alone"
            )
        if output.seed in outputs:
            raise RequestError(
                f"{directory}: its augmentation has seed {output.seed}, and so has that of "
                f"{outputs[output.seed][0]}; give one output of each seed"
            )
        outputs[output.seed] = directory, output
    return [output for _, output in outputs.values()]


def read_output(directory: str) -> TrainingOutput:
    """What is in one output directory. Raises RequestError if it is none, or if a file is damaged."""
    request = earlier_request(directory)
    if request is None:
        raise RequestError(
            f"{directory}: it holds no {REQUEST}, so no augshard train wrote there; give the --output of one"
        )
    missing = next((name for name in _NEEDED if name not in request), None)
    if missing:
        raise RequestError(f"{directory}/{REQUEST}: it is damaged (it has no {missing}); give another output")
    documents, unfinished = [], []
    for run in sorted(glob.glob(os.path.join(glob.escape(directory), "*", "seed-*"))):
        document = read_run(run)
        if document and document.get("finished"):
            documents.append((run, document))
        else:
            place, _, seed = run.rpartition("seed-")
            epochs = len(document.get("epochs", ())) if document else 0
            arm = os.path.basename(os.path.dirname(place))
            unfinished.append(f"{arm}, train seed {seed}: {epochs} of {request['epochs']} epochs")
    runs = [_finished(run, document, request["seed"]) for run, document in documents]
    runs.sort(key=lambda run: (*order(run.arm), run.train_seed))
    shards = next((run.document["environment"]["shards"] for run in runs), None)
    dataset = _dataset(shards, request["shards"]) if shards else None
    return TrainingOutput(request, tuple(runs), tuple(unfinished), dataset)


def order(arm: Arm) -> tuple[int, bool, int]:
    """By what arms are sorted wherever they are listed."""
    return NAMES.index(arm.name), arm.originals, arm.copies or 0


def _finished(directory: str, document: RunDocument, seed: int) -> FinishedRun:
    right = None
    try:
        checked = _Document.model_validate(document)
        arm = Arm(checked.arm, checked.copies, checked.originals)
        if checked.label != arm.label or checked.kept_epoch >= len(checked.epochs):
            raise ValueError("label or kept_epoch")
        _check_scores(document)
        if checked.test and task_of(document) is CLASSES:
            answers = np.loadtxt(os.path.join(directory, TEST), np.int64, delimiter=",", skiprows=1, ndmin=2)
            right = answers[:, 0] == answers[:, 1]
            if len(right) != checked.test.images:
                raise ValueError(f"{TEST} has {len(right)} lines")
    except (ValueError, OSError) as error:  # pydantic's is a ValueError
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else error
        raise RequestError(
            f"{directory}: it is damaged ({where}); remove it to train that arm anew"
        ) from None
    return FinishedRun(arm, seed, checked.train_seed, document, right, _shown(directory))


def _shown(directory: str) -> Shown | None:
    """Pictures are no finding: without them, or with others than ours, there are none."""
    try:
        with np.load(os.path.join(directory, SHOWN)) as kept:
            return Shown(*(kept[name] for name in Shown._fields))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def task_of(document: RunDocument) -> Task:
    """What a run learns, by its run.json."""
    return TASKS[document.get("learns", "classes")]


def _check_scores(document: RunDocument) -> None:
    """Raises ValueError unless the metric's numbers are there, of which a missing one is None."""
    metric, rows = task_of(document).metric, document["epochs"]
    there = [row.get(name, "") for row in rows for name in (metric, f"val_{metric}")]
    if document["test"]:
        there.append(document["test"].get(metric, ""))
    if not all(value is None or isinstance(value, int | float) for value in there):
        raise ValueError(metric)


class _Epoch(BaseModel):
    epoch: int
    copy_: int = Field(alias="copy")
    loss: float | None
    val_loss: float | None
    images: int
    seconds: float = Field(gt=0)
    images_per_second: float
    input_wait_seconds: float
    input_wait_share: float
    weights_sha256: str


class _Test(BaseModel):
    images: int = Field(gt=0)


class _Environment(BaseModel):
    began: str
    platform: str
    python: str
    shards: str | None


class _Document(BaseModel):
    """What is needed of run.json."""

    arm: Literal["none", "shards", "live", "live-layer"]
    copies: int | None
    originals: bool
    label: str
    train_seed: int
    parameters: int
    classes: list[str]
    learns: Literal["classes", "masks", "boxes"] = "classes"
    environment: _Environment
    epochs: list[_Epoch]
    kept_epoch: int = Field(ge=0)
    test: _Test | None


def _dataset(directory: str, fingerprint: str) -> ArmsDataset | None:
    try:
        manifest = read_manifest(directory)
        run = json.loads(read_in(directory, DATASET_RUN, LINE_BYTES))
        there = manifest.fingerprint == fingerprint
        return ArmsDataset(manifest, float(run["seconds"]), str(run["platform"])) if there else None
    except (RequestError, OSError, ValueError, KeyError):  # it need not be there any more
        return None
