"""The last step: from receipts to a finished dataset, or to what is wrong, as data."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from pipelines import storage
from pipelines.format import tfds
from pipelines.format.copies import SplitCopies
from pipelines.format.layout import (
    DATASET_INFO,
    FEATURES,
    MANIFEST,
    REJECTS,
    RUN,
    SAMPLES,
    samples_file,
    shard_file,
)
from pipelines.format.manifest import File, Manifest, SplitCounts, json_text
from pipelines.format.request import SCHEMA_VERSION, job_recipe
from pipelines.materialize.run import Outcome, Run, conclude
from pipelines.plan import Plan
from pipelines.sources import Reject
from pipelines.sources.words import MOST, counted

if TYPE_CHECKING:
    from pipelines.materialize.group import Finished


class GroupFiles(NamedTuple):
    """What one group left in the output, in the few bytes that the last step needs of it."""

    split: str
    number: int
    files: tuple[tuple[int, File, File], ...] = ()
    """copy, shard, samples"""
    rejects: frozenset[Reject] = frozenset()
    """once, while the receipt of every copy has them"""
    kept: int = 0
    """records that were there before"""
    processes: int = 1
    """how many derived the rest"""
    fault: str = ""
    """why it could not be written"""


def group_files(split: str, number: int, finished: Iterable[Finished], processes: int) -> GroupFiles:
    """Of the shards of one group."""
    finished = list(finished)
    return GroupFiles(
        split,
        number,
        tuple(
            (
                f.receipt.copy,
                File(bytes=f.receipt.bytes, sha256=f.receipt.sha256, records=f.receipt.records),
                f.samples,
            )
            for f in finished
        ),
        frozenset(reject for f in finished for reject in f.receipt.rejects),
        sum(f.receipt.records for f in finished if f.kept),
        processes,
    )


class Shards:
    """All groups' files, added up in any order; a group that comes twice counts once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.files: dict[str, File] = {}
        """shards and samples files, by path"""
        self.rejects: set[Reject] = set()
        self.kept = 0
        """records that were there before"""
        self.processes = 1
        """that derived, of one worker"""
        self.written: collections.Counter[tuple[str, int]] = collections.Counter()
        """records of each split in the first copy of each of its tiers"""
        self.faults: set[str] = set()

    def add(self, group: GroupFiles) -> None:
        if group.fault:
            self.faults.add(group.fault)
        name = self._plan.request.name
        for copy, shard, samples in group.files:
            tier = self._plan.tier(group.split, copy)
            groups = tier.groups
            path = shard_file(name, group.split, copy, group.number, groups)
            if path not in self.files:
                self.files[path] = shard
                self.files[samples_file(group.split, copy, group.number, groups)] = samples
                if copy == tier.first:
                    self.written[group.split, copy] += shard.records or 0
            elif self.files[path] != shard:
                self.faults.add(f"{path}: two attempts at it came to different bytes; run it again")
        self.rejects |= group.rejects
        self.kept += group.kept
        self.processes = max(self.processes, group.processes)

    @property
    def records(self) -> int:
        return sum(file.records or 0 for file in self.files.values())


def commit(
    _: bytes, groups: Iterable[GroupFiles], plan: Plan, listing_rejects: Iterable[Reject], run: Run
) -> None:
    """Makes a dataset of what was written if that is all, and says what came of it.

    One worker does this for all: its time and memory grow with the number of shards and of rejects.
    """
    if plan.errors:
        return conclude(run, Outcome(errors=plan.errors))
    shards = Shards(plan)
    for group in groups:
        shards.add(group)
    lost = tuple(_lost_classes(shards, plan))
    shards.rejects.update(Reject(*reject) for reject in listing_rejects)
    failure = _incomplete(shards, plan, run) or _too_many_rejects(shards, plan, run)
    if failure:
        return conclude(run, Outcome(failure=failure))
    seconds = write_dataset(shards, plan, run)
    return conclude(
        run, Outcome(warnings=lost, kept=shards.kept, processes=shards.processes, seconds=seconds)
    )


def write_dataset(shards: Shards, plan: Plan, run: Run) -> float:
    """Writes everything but shards and samples: the manifest when all that it lists is there.

    Returns for how many seconds the run has been going on.
    """
    recipe, request = job_recipe(plan.request), plan.request
    texts: dict[str, Iterable[str]] = {
        REJECTS: _rejects_text(shards.rejects),
        FEATURES: [json_text(tfds.features(recipe.image_shape, recipe.storage, plan.classes, plan.targets))],
    }
    for name, labels in tfds.label_files(plan.classes, plan.targets).items():
        texts[name] = [f"{label}\n" for label in labels]
    small = {name: _write_counted(run.output, name, text) for name, text in texts.items()}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        fingerprint=plan.fingerprint,
        request=request,
        image_size=recipe.image_size,
        classes=plan.classes,
        targets=plan.targets,
        splits={
            split: _counts(planned, shards.written, split, plan.copies(split)[0])
            for split, planned in plan.splits.items()
        },
        records=shards.records,
        rejects=len(shards.rejects),
        ignored=plan.ignored,
        listing_digest=plan.listing_digest,
        parity_class=plan.parity_class,
        files=shards.files | small,
    )
    out, seconds = storage.at(run.output), max(0.0, round(time.time() - run.began, 3))
    out.write(RUN, json_text({**run.about, "seconds": seconds, "processes": shards.processes}))
    out.settle("", SAMPLES)  # of shards that were there before, too
    _write_counted(run.output, MANIFEST, manifest.sealed().text())
    show_to_tfds(run.output, manifest)
    return seconds


def _counts(
    planned: SplitCopies, written: collections.Counter[tuple[str, int]], split: str, first: int
) -> SplitCounts:
    """A split of the plan with what was written of it."""
    there = planned.tiers and tuple(
        tier.model_copy(update={"written": written[split, tier.first]}) for tier in planned.tiers
    )
    fields = {**dict(planned), "tiers": there, "written": written[split, first]}
    return SplitCounts(**fields)


def show_to_tfds(output: str, manifest: Manifest) -> None:
    """Writes what tells TFDS of the splits.

    After the manifest, from which alone it follows: so TFDS never sees a copy that the manifest has not.
    """
    if not is_shown_to_tfds(output, manifest):
        storage.at(output).write(DATASET_INFO, _dataset_info(manifest))


def is_shown_to_tfds(output: str, manifest: Manifest) -> bool:
    """Whether TFDS sees all that the manifest has."""
    out = storage.at(output)
    return out.size(DATASET_INFO) is not None and out.read(DATASET_INFO) == _dataset_info(manifest).encode()


def _dataset_info(manifest: Manifest) -> str:
    return json_text(tfds.dataset_info(manifest.request.name, manifest.shard_lengths(), manifest.supervised))


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


def _incomplete(shards: Shards, plan: Plan, run: Run) -> str:
    """Why the shards are no dataset; empty if they are one."""
    if shards.faults:
        first, *others = sorted(shards.faults)
        return first + (f" (and {len(others):,} more of the kind)" if others else "")
    expected = sum(tier.shards for split in plan.splits for tier in plan.tiers(split))
    written = sum(file.records is not None for file in shards.files.values())
    if written != expected:
        return f"{expected - written} of {expected} shards were not written; run it again to resume"
    sizes = storage.at(run.output).sizes(shards.files)
    missing = sorted(name for name, file in shards.files.items() if sizes[name] != file.bytes)
    if missing:
        return f"{os.path.join(run.output, missing[0])}: it was written, and is gone or changed; run it again"
    return ""


def _too_many_rejects(shards: Shards, plan: Plan, run: Run) -> str:
    """Why so much could not be used that there is to be no dataset; rejects.jsonl then says what."""
    rejects, listed = shards.rejects, plan.sources + plan.listing_rejects
    if shards.records and len(rejects) <= run.max_rejects * listed:
        return ""
    _write_counted(run.output, REJECTS, _rejects_text(rejects))
    reasons = collections.Counter(reject.reason for reject in rejects)
    counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    path = os.path.join(run.output, REJECTS)
    if not shards.records:
        return f"no image could be used ({counted}); {path} names them"
    return (
        f"{len(rejects)} of {listed} images were rejected ({counted}), more than --max-rejects "
        f"{run.max_rejects:g} allows; {path} names them. Raise --max-rejects to go on with what is finished, "
        "or mend the images and start over with --overwrite"
    )


def _lost_classes(shards: Shards, plan: Plan) -> Iterator[str]:
    """Warnings of classes of which a split has no record, though it had images."""
    if plan.request.annotations:  # which say of which split and class a source is, and not its path
        return
    lost: collections.Counter[tuple[str, str]] = collections.Counter()
    reasons: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for reject in shards.rejects:
        split, label = plan.place(reject.source)
        lost[split, label] += 1
        reasons[split, label][reject.reason] += 1
    empty = [
        place for place, count in sorted(lost.items()) if count == plan.images.get(place[0], {}).get(place[1])
    ]
    for split, label in empty[:MOST]:
        yield (
            f"class {label!r} has no record in split {split!r}: none of its {lost[split, label]:,} images "
            f"could be used ({counted(reasons[split, label])}); mend them or remove the class, and start "
            "over with --overwrite"
        )
    if len(empty) > MOST:
        yield f"{len(empty) - MOST:,} more classes have no record in their split, for the same kind of reason"


def _rejects_text(rejects: Iterable[Reject]) -> Iterator[str]:
    return (json.dumps(reject._asdict(), ensure_ascii=False) + "\n" for reject in sorted(rejects))
