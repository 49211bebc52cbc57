"""The names of files in a dataset directory."""

from __future__ import annotations

import re
from typing import NamedTuple

from augment.augmenter import NOT_AUGMENTED

MANIFEST = "manifest.json"
EXPORT = "_export.json"
"""The manifest of an export: a directory with one is complete. Who reads a whole directory passes over _."""
RUN = "run.json"
REJECTS = "rejects.jsonl"
SAMPLES = "samples"
DATASET_INFO = "dataset_info.json"
FEATURES = "features.json"
LABELS = "label.labels.txt"
OBJECT_LABELS = "objects-label.labels.txt"
SEVERAL_LABELS = "labels.labels.txt"
LABEL_FILES = (LABELS, OBJECT_LABELS, SEVERAL_LABELS)
"""Those of which a dataset has one or more, a class a line."""

WORK = ".unfinished"
"""Holds what a run in progress needs; absent from a finished dataset."""
PLAN = f"{WORK}/plan.json"
OUTCOME = f"{WORK}/outcome.json"
JOB = f"{WORK}/job.json"
"""Which job of a service writes the dataset; a launcher need not wait for it."""
LOCK = "lock"
PROGRESS = f"{WORK}/progress"
PLANNED = f"{PROGRESS}/plan-0"
"""Tells that the plan is that of the run in progress, and not of one that it resumes."""
SCRATCH = f"{WORK}/scratch"
STAGED = f"{WORK}/sources"
"""Holds the sources themselves, where they come from a pipeline and lie nowhere yet."""
STOP = f"{WORK}/stop"
"""Tells workers that nobody waits for them any more."""
ERROR = f"{WORK}/error.txt"
"""The whole of an error that a launcher sums up."""
FORMER_MANIFEST = f"{WORK}/former-{MANIFEST}"
"""What was the manifest of a directory that is being emptied."""
FORMER_PLAN = f"{WORK}/former-plan.json"


def tfds_split(split: str, copy: int) -> str:
    """What TFDS knows a split's copy as: `train_c0`, or `test` for one that is not augmented."""
    return split if copy == NOT_AUGMENTED else f"{split}_c{copy}"


def shard_file(name: str, split: str, copy: int, shard: int, shards: int) -> str:
    """The path of a shard in the dataset directory."""
    return f"{name}-{tfds_split(split, copy)}.tfrecord-{shard:05d}-of-{shards:05d}"


def samples_file(split: str, copy: int, shard: int, shards: int) -> str:
    """The path of a shard's part of the samples table, which is its receipt."""
    return f"{SAMPLES}/{tfds_split(split, copy)}-{shard:05d}-of-{shards:05d}.parquet"


class Shard(NamedTuple):
    """Which of a dataset's shards."""

    split: str
    copy: int
    number: int
    of: int
    """so many are there of the split and the copy"""


_SHARD = re.compile(r"([A-Za-z]\w*?)(?:_c(\d{1,9}))?-(\d{5})-of-(\d{5})", re.ASCII)


def shard_of(path: str, name: str) -> Shard | None:
    """The shard of a dataset `name` that a path is of, or is the receipt of; None if it is neither."""
    shown = path.removeprefix(f"{SAMPLES}/").removesuffix(".parquet")
    if shown == path:
        shown = path.removeprefix(f"{name}-").replace(".tfrecord-", "-", 1)
    match = _SHARD.fullmatch(shown)
    if match is None:
        return None
    split, copy, number, of = match.groups()
    shard = Shard(split, NOT_AUGMENTED if copy is None else int(copy), int(number), int(of))
    return shard if path in (shard_file(name, *shard), samples_file(*shard)) else None
