"""The last step: from receipts to a finished dataset, or to what is wrong, as data."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipelines import files
from pipelines.format import tfds
from pipelines.format.layout import (
    DATASET_INFO,
    FEATURES,
    LABELS,
    MANIFEST,
    OUTCOME,
    REJECTS,
    RUN,
    tfds_split,
)
from pipelines.format.manifest import File, Manifest, SplitCounts, json_text
from pipelines.format.request import SCHEMA_VERSION
from pipelines.materialize.files import write_file
from pipelines.plan import Plan
from pipelines.sources import Reject

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


def finish(finished: list[Finished], plan: Plan, listing_rejects: Iterable[Reject], run: Run) -> None:
    """Writes everything but shards and samples, the manifest last; then the outcome."""
    if plan.errors:
        return _conclude(run, Outcome(errors=plan.errors))
    finished = sorted(finished, key=lambda f: (f.receipt.split, f.receipt.copy, f.receipt.shard))
    rejects = {reject for f in finished for reject in f.receipt.rejects} | {
        Reject(*reject) for reject in listing_rejects
    }
    failure = _failure(finished, plan, rejects, run)
    if failure:
        write_file(run.output, REJECTS, _rejects_text(rejects))
        return _conclude(run, Outcome(failure=failure))

    splits: dict[str, list[tuple[int, int]]] = {}
    files: dict[str, File] = {}
    written: dict[str, int] = {}
    for shard in finished:
        receipt = shard.receipt
        name = tfds_split(receipt.split, receipt.copy)
        splits.setdefault(name, []).append((receipt.records, receipt.bytes))
        files[receipt.file] = File(bytes=receipt.bytes, sha256=receipt.sha256, records=receipt.records)
        files[shard.samples_file] = File(bytes=shard.samples_bytes, sha256=shard.samples_sha256)
        if receipt.copy == plan.copies(receipt.split)[0]:
            written[receipt.split] = written.get(receipt.split, 0) + receipt.records
    recipe, request = plan.request.parsed_recipe(), plan.request
    texts = {
        REJECTS: _rejects_text(rejects),
        LABELS: "".join(f"{label}\n" for label in plan.classes),
        FEATURES: json_text(tfds.features(recipe.image_size, recipe.storage, len(plan.classes))),
        DATASET_INFO: json_text(tfds.dataset_info(request.name, splits)),
    }
    for name, text in texts.items():
        content = text.encode()
        files[name] = File(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        write_file(run.output, name, text)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        fingerprint=plan.fingerprint,
        request=request,
        image_size=recipe.image_size,
        classes=plan.classes,
        splits={
            split: SplitCounts(
                sources=planned.sources,
                written=written[split],
                groups=planned.groups,
                augmented=planned.augmented,
            )
            for split, planned in plan.splits.items()
        },
        records=sum(f.receipt.records for f in finished),
        rejects=len(rejects),
        ignored=plan.ignored,
        listing_digest=plan.listing_digest,
        parity_class=finished[0].receipt.parity_class,
        files=files,
    )
    write_file(run.output, RUN, json_text({**run.about, "seconds": round(time.time() - run.began, 3)}))
    write_file(run.output, MANIFEST, manifest.sealed().content().decode())
    return _conclude(run, Outcome(warnings=plan.warnings))


def _failure(finished: list[Finished], plan: Plan, rejects: set[Reject], run: Run) -> str:
    expected = sum(split.groups * len(plan.copies(name)) for name, split in plan.splits.items())
    if len(finished) != expected:
        return f"{expected - len(finished)} of {expected} shards were not written; run it again to resume"
    classes = {json.dumps(f.receipt.parity_class, sort_keys=True) for f in finished}
    if len(classes) > 1:
        return f"workers differ in what decides pixels: {' and '.join(sorted(classes))}; make them alike"
    listed = plan.sources + plan.listing_rejects
    reasons = collections.Counter(reject.reason for reject in rejects)
    counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if not any(f.receipt.records for f in finished):
        return f"no image could be used ({counted}); {os.path.join(run.output, REJECTS)} names them"
    if len(rejects) > run.max_rejects * listed:
        return (
            f"{len(rejects)} of {listed} images were rejected ({counted}), more than --max-rejects "
            f"{run.max_rejects:g} allows; {os.path.join(run.output, REJECTS)} names them. "
            "Raise --max-rejects to go on with what is finished, or mend the images and start over "
            "with --overwrite"
        )
    return ""


def _rejects_text(rejects: Iterable[Reject]) -> str:
    return "".join(json.dumps(reject._asdict(), ensure_ascii=False) + "\n" for reject in sorted(rejects))


def _conclude(run: Run, outcome: Outcome) -> None:
    write_file(run.output, OUTCOME, json_text(dataclasses.asdict(outcome)))
    sentence = "; ".join(outcome.errors) or outcome.failure
    if sentence and not run.awaited:
        raise RuntimeError(sentence)


def saved_outcome(output: str) -> Outcome | None:
    """What a job came to; None while it has not."""
    path = os.path.join(output, OUTCOME)
    if files.size(path) is None:
        return None
    said = json.loads(files.read(path))
    return Outcome(tuple(said["errors"]), said["failure"], tuple(said["warnings"]))
