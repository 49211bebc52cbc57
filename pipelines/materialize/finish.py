"""The last step: from receipts to a finished dataset, or to what is wrong, as data."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines import storage
from pipelines.format import tfds
from pipelines.format.layout import (
    DATASET_INFO,
    ERROR,
    FEATURES,
    JOB,
    LABELS,
    LOCK,
    MANIFEST,
    OUTCOME,
    REJECTS,
    RUN,
    SAMPLES,
    WORK,
    samples_file,
    shard_file,
    tfds_split,
)
from pipelines.format.manifest import File, Manifest, SplitCounts, json_text
from pipelines.format.request import SCHEMA_VERSION, job_recipe
from pipelines.plan import Plan
from pipelines.sources import Reject
from pipelines.sources.words import counted

if TYPE_CHECKING:
    from pipelines.materialize.shard import Finished


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the job: what may differ between two that write the same bytes."""

    input: str
    output: str
    max_rejects: float
    """the largest part of all images that may be rejected"""
    about: dict[str, Any]
    """what run.json says beside the seconds: when it began, where, with what"""
    began: float
    """seconds since the epoch"""
    awaited: bool = True
    """whether a launcher tells the user what came of it; else the job has to fail with it"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the launcher tells the user."""

    errors: tuple[str, ...] = ()
    """what is wrong with the request; nothing was written"""
    failure: str = ""
    """why the work failed; what is finished is kept for a resume"""
    warnings: tuple[str, ...] = ()
    kept: int = 0
    """records that were there before"""


class GroupFiles(NamedTuple):
    """What one group left in the output, in the few bytes that the last step needs of it."""

    split: str
    number: int
    files: tuple[tuple[int, File, File], ...]
    """copy, shard, samples"""
    rejects: frozenset[Reject]
    """once, while the receipt of every copy has them"""
    parity_classes: frozenset[str]
    """as JSON"""
    kept: int
    """records that were there before"""


def group_files(split: str, number: int, finished: Iterable[Finished]) -> GroupFiles:
    """Of the shards of one group."""
    finished = list(finished)
    return GroupFiles(
        split,
        number,
        tuple(
            (
                f.receipt.copy,
                File(bytes=f.receipt.bytes, sha256=f.receipt.sha256, records=f.receipt.records),
                File(bytes=f.samples_bytes, sha256=f.samples_sha256),
            )
            for f in finished
        ),
        frozenset(reject for f in finished for reject in f.receipt.rejects),
        frozenset(json.dumps(f.receipt.parity_class, sort_keys=True) for f in finished),
        sum(f.receipt.records for f in finished if f.kept),
    )


class _Shards:
    """All groups' files, added up in any order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.files: dict[str, File] = {}
        self.rejects: set[Reject] = set()
        self.parity_classes: set[str] = set()
        self.records = self.kept = self.count = 0
        self.written = dict.fromkeys(plan.splits, 0)
        """records of each split in its first copy"""
        self.lengths = {
            tfds_split(split, copy): [(0, 0)] * planned.groups
            for split, planned in plan.splits.items()
            for copy in plan.copies(split)
        }
        """records and bytes of each shard, by TFDS's split"""

    def add(self, group: GroupFiles) -> None:
        name, groups = self._plan.request.name, self._plan.splits[group.split].groups
        for copy, shard, samples in group.files:
            records = shard.records or 0
            self.files[shard_file(name, group.split, copy, group.number, groups)] = shard
            self.files[samples_file(group.split, copy, group.number, groups)] = samples
            self.lengths[tfds_split(group.split, copy)][group.number] = (records, shard.bytes)
            self.records += records
            self.count += 1
            if copy == self._plan.copies(group.split)[0]:
                self.written[group.split] += records
        self.kept += group.kept
        self.rejects |= group.rejects
        self.parity_classes |= group.parity_classes


def finish(
    _: None, groups: Iterable[GroupFiles], plan: Plan, listing_rejects: Iterable[Reject], run: Run
) -> None:
    """Writes everything but shards and samples, the manifest last; then the outcome.

    One worker does this for all: its time and memory grow with the number of shards and of rejects.
    """
    if plan.errors:
        return _conclude(run, Outcome(errors=plan.errors))
    shards = _Shards(plan)
    for group in groups:
        shards.add(group)
    lost = tuple(_lost_classes(shards, plan))
    shards.rejects.update(Reject(*reject) for reject in listing_rejects)
    failure = _failure(shards, plan, run)
    if failure:
        _write_counted(run.output, REJECTS, _rejects_text(shards.rejects))
        return _conclude(run, Outcome(failure=failure))

    recipe, request = job_recipe(plan.request), plan.request
    texts: dict[str, Iterable[str]] = {
        REJECTS: _rejects_text(shards.rejects),
        LABELS: (f"{label}\n" for label in plan.classes),
        FEATURES: [json_text(tfds.features(recipe.image_size, recipe.storage, len(plan.classes)))],
        DATASET_INFO: [json_text(tfds.dataset_info(request.name, shards.lengths))],
    }
    for name, text in texts.items():
        shards.files[name] = _write_counted(run.output, name, text)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        fingerprint=plan.fingerprint,
        request=request,
        image_size=recipe.image_size,
        classes=plan.classes,
        splits={
            split: SplitCounts(
                sources=planned.sources,
                written=shards.written[split],
                groups=planned.groups,
                augmented=planned.augmented,
            )
            for split, planned in plan.splits.items()
        },
        records=shards.records,
        rejects=len(shards.rejects),
        ignored=plan.ignored,
        listing_digest=plan.listing_digest,
        parity_class=json.loads(next(iter(shards.parity_classes))),
        files=shards.files,
    )
    out = storage.at(run.output)
    out.write(RUN, json_text({**run.about, "seconds": round(time.time() - run.began, 3)}))
    out.settle("", SAMPLES)  # of shards that were there before, too
    _write_counted(run.output, MANIFEST, manifest.sealed().text())
    return _conclude(run, Outcome(warnings=lost, kept=shards.kept))


def _write_counted(output: str, name: str, text: Iterable[str]) -> File:
    """Writes a file in parts, and says what the manifest is to say of it."""
    size, digest = 0, hashlib.sha256()
    with storage.at(output).writing(name) as file:
        for part in text:
            content = part.encode()
            size += len(content)
            digest.update(content)
            file.write(content)
    return File(bytes=size, sha256=digest.hexdigest())


def _failure(shards: _Shards, plan: Plan, run: Run) -> str:
    expected = sum(split.groups * len(plan.copies(name)) for name, split in plan.splits.items())
    if shards.count != expected:
        return f"{expected - shards.count} of {expected} shards were not written; run it again to resume"
    classes, rejects = shards.parity_classes, shards.rejects
    if len(classes) > 1:
        return f"workers differ in what decides pixels: {' and '.join(sorted(classes))}; make them alike"
    listed = plan.sources + plan.listing_rejects
    reasons = collections.Counter(reject.reason for reject in rejects)
    counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if not shards.records:
        return f"no image could be used ({counted}); {os.path.join(run.output, REJECTS)} names them"
    if len(rejects) > run.max_rejects * listed:
        return (
            f"{len(rejects)} of {listed} images were rejected ({counted}), more than --max-rejects "
            f"{run.max_rejects:g} allows; {os.path.join(run.output, REJECTS)} names them. "
            "Raise --max-rejects to go on with what is finished, or mend the images and start over "
            "with --overwrite"
        )
    return ""


def _lost_classes(shards: _Shards, plan: Plan) -> Iterator[str]:
    """Warnings of classes of which a split has no record, though it had images."""
    lost: collections.Counter[tuple[str, str]] = collections.Counter()
    reasons: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for reject in shards.rejects:
        split, label = plan.place(reject.source)
        lost[split, label] += 1
        reasons[split, label][reject.reason] += 1
    for (split, label), count in sorted(lost.items()):
        if count == plan.images.get(split, {}).get(label):
            why = counted(reasons[split, label])
            yield (
                f"class {label!r} has no record in split {split!r}: none of its {count:,} images could be "
                f"used ({why}); mend them or remove the class, and start over with --overwrite"
            )


def _rejects_text(rejects: Iterable[Reject]) -> Iterator[str]:
    return (json.dumps(reject._asdict(), ensure_ascii=False) + "\n" for reject in sorted(rejects))


def _conclude(run: Run, outcome: Outcome) -> None:
    sentence = "; ".join(outcome.errors) or outcome.failure
    if not (sentence or run.awaited or storage.at(run.output).size(JOB) is not None):
        clear_work(run.output)  # of a template's job there is no record by which a launcher would come back
        return
    storage.at(run.output).write(OUTCOME, json_text(dataclasses.asdict(outcome)))
    if sentence and not run.awaited:
        raise RuntimeError(sentence)


def clear_work(output: str) -> None:
    """Removes what a run in progress needs, but for the lock, which is for its holder to remove."""
    out = storage.at(output)
    for name in out.names(WORK) - {LOCK}:
        out.remove(f"{WORK}/{name}")


def summed_up(text: str, output: str) -> str:
    """The last line of an error, and where the whole of it is."""
    *_, last = (line.strip() for line in text.splitlines() if line.strip())
    try:
        storage.at(output).write(ERROR, text + "\n")
    except OSError as error:
        return f"{last} (the whole error could not be kept: {storage.reason(error)})"
    return f"{last} (the whole error: {os.path.join(output, ERROR)})"


def saved_outcome(output: str) -> Outcome | None:
    """What a job came to; None while it has not."""
    out = storage.at(output)
    if out.size(OUTCOME) is None:
        return None
    said = json.loads(out.read(OUTCOME))
    return Outcome(**{**said, "errors": tuple(said["errors"]), "warnings": tuple(said["warnings"])})
