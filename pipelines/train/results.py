"""What `augshard train` left in its output directories, as a comparison takes it."""

from __future__ import annotations

import dataclasses
import glob
import json
import os

import numpy as np

from augment.errors import RequestError
from pipelines.format.layout import RUN as DATASET_RUN
from pipelines.format.layout import shard_file
from pipelines.format.manifest import Manifest, read_manifest
from pipelines.train.arms import NAMES, TRAIN, Arm
from pipelines.train.output import REQUEST, TEST, read_run
from pipelines.train.request import Request, earlier_request
from pipelines.train.verdict import Run

OF_EACH_OUTPUT = ("seed", "shards")
"""In what the requests of outputs that are compared may differ: the augmentation's seed, and its shards."""


@dataclasses.dataclass(frozen=True)
class Dataset:
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
        split = next(split for split in TRAIN if split in self.manifest.splits)
        groups = self.manifest.splits[split].groups
        files = [
            self.manifest.files[shard_file(self.manifest.request.name, split, copy, group, groups)]
            for copy in arm.pool
            for group in range(groups)
        ]
        return sum(file.bytes for file in files), sum(file.records or 0 for file in files)

    def seconds_for(self, arm: Arm) -> float:
        """The part of the seconds that falls to an arm's shards, by their number of records."""
        return self.seconds * self.shards(arm)[1] / self.manifest.records


@dataclasses.dataclass(frozen=True, eq=False)
class Finished:
    """A run that is finished."""

    arm: Arm
    seed: int
    """of the augmentation"""
    train_seed: int
    document: Run
    """run.json"""
    right: np.ndarray | None
    """bool [n]: which images of the test split it told right; None without that split"""

    @property
    def accuracies(self) -> dict[str, float | None]:
        """On train, validation and test, of the weights that were kept."""
        kept, test = self.document["epochs"][self.document["kept_epoch"]], self.document["test"]
        return {
            "train": kept["accuracy"],
            "validation": kept["val_accuracy"],
            "test": test and test["accuracy"],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Output:
    """One output directory of `augshard train`."""

    request: Request
    runs: tuple[Finished, ...]
    """by arm, as NAMES has them, with more and more copies, and by train seed"""
    unfinished: tuple[str, ...]
    """the others, and how far they are, in words"""
    dataset: Dataset | None

    @property
    def seed(self) -> int:
        """Of the augmentation."""
        return int(self.request["seed"])


def read_outputs(directories: list[str]) -> list[Output]:
    """Output directories of one request, but for the augmentation's seed and the shards made with it.

    Raises RequestError if they cannot be compared.
    """
    outputs: dict[int, tuple[str, Output]] = {}
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


def read_output(directory: str) -> Output:
    """What is in one output directory. Raises RequestError if it is none, or if a file is damaged."""
    request = earlier_request(directory)
    if request is None:
        raise RequestError(
            f"{directory}: it holds no {REQUEST}, so no augshard train wrote there; give the --output of one"
        )
    runs, unfinished, shards = [], [], None
    for run in glob.glob(os.path.join(glob.escape(directory), "*", "seed-*")):
        document = read_run(run)
        try:
            if document and document["finished"]:
                runs.append(_finished(run, document, int(request["seed"])))
                shards = shards or document["environment"]["shards"]
            else:
                epochs = len(document["epochs"]) if document else 0
                label, _, seed = run.rpartition("seed-")
                place = os.path.basename(os.path.dirname(label))
                unfinished.append(f"{place}, train seed {seed}: {epochs} of {request['epochs']} epochs")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise RequestError(
                f"{run}: it is damaged ({type(error).__name__}: {error}); remove it to train that arm anew"
            ) from None
    runs.sort(key=lambda run: (*order(run.arm), run.train_seed))
    dataset = _dataset(shards, request["shards"]) if shards else None
    return Output(request, tuple(runs), tuple(sorted(unfinished)), dataset)


def order(arm: Arm) -> tuple[int, bool, int]:
    """By what arms are sorted wherever they are listed."""
    return NAMES.index(arm.name), arm.originals, arm.copies or 0


def _finished(directory: str, document: Run, seed: int) -> Finished:
    arm = Arm(document["arm"], document["copies"], document["originals"])
    if document["label"] != arm.label or not document["epochs"]:
        raise ValueError("run.json")
    right = None
    if document["test"]:
        answers = np.loadtxt(os.path.join(directory, TEST), np.int64, delimiter=",", skiprows=1, ndmin=2)
        if len(answers) != document["test"]["images"]:
            raise ValueError(TEST)
        right = answers[:, 0] == answers[:, 1]
    return Finished(arm, seed, int(document["train_seed"]), document, right)


def _dataset(directory: str, fingerprint: str) -> Dataset | None:
    try:
        manifest = read_manifest(directory)
        with open(os.path.join(directory, DATASET_RUN), encoding="utf-8") as file:
            run = json.load(file)
        there = manifest.fingerprint == fingerprint
        return Dataset(manifest, float(run["seconds"]), str(run["platform"])) if there else None
    except (RequestError, OSError, ValueError, KeyError):  # it need not be there any more
        return None
