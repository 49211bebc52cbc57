"""What in an output directory is augshard's own, and emptying the directory of that, and of nothing else.

Only a sealed manifest or a plan whose fingerprint follows from it says that files are ours, and which:
a name such as `manifest.json` says nothing, for others use it too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.bounds import MANIFEST_BYTES
from pipelines.format.inside import read_in
from pipelines.format.layout import (
    DATASET_INFO,
    ERROR,
    FEATURES,
    FORMER_MANIFEST,
    FORMER_PLAN,
    JOB,
    LABEL_FILES,
    LOCK,
    MANIFEST,
    OUTCOME,
    PLAN,
    PROGRESS,
    REJECTS,
    RUN,
    SAMPLES,
    SCRATCH,
    STOP,
    WORK,
    shard_of,
)
from pipelines.format.manifest import Manifest, parse_manifest, read_manifest
from pipelines.materialize.plan_file import saved_plan
from pipelines.plan import Plan

_WORK_FILE = re.compile(
    "|".join(
        map(re.escape, (PLAN, OUTCOME, JOB, STOP, ERROR, f"{WORK}/{LOCK}", FORMER_MANIFEST, FORMER_PLAN))
    )
    + rf"|{re.escape(PROGRESS)}/\w+-\d+|{re.escape(SCRATCH)}/[0-9a-f]{{32}}[\w.-]*"
)
"""What a run in progress keeps: of these no other file says that they are ours, so their names have to."""


def check_ours(output: str, *, overwrite: bool) -> None:
    """Raises RequestError if an output holds files of somebody else that are in the way.

    Beside a dataset of ours they are in the way where it is to be overwritten, and among what a run in
    progress keeps.
    """
    strangers = _strangers(output)
    if not strangers:
        return
    first = strangers[0] + (f" and {len(strangers) - 1:,} more" if len(strangers) > 1 else "")
    if not (_manifests(output) or _plans(output)):
        if MANIFEST in strangers:
            read_manifest(output)  # which says what is wrong with it
        raise RequestError(
            f"output {output}: it holds files that are no augshard dataset ({first}); give an empty or new "
            "directory"
        )
    if overwrite:
        raise RequestError(
            f"output {output}: --overwrite removes only what augshard wrote, and it holds other files too "
            f"({first}); move them elsewhere, or give another directory"
        )
    inside = next((name for name in strangers if name.startswith(f"{WORK}/")), None)
    if inside is not None:
        raise RequestError(
            f"output {output}: {inside} is not augshard's, whose {WORK} is removed at a run's end; move it "
            "elsewhere"
        )


def empty(output: str) -> None:
    """Removes all that is ours but the lock. Raises RequestError, and removes nothing, if there is more.

    Manifest and plan first get other names, under which no reader takes what is left for a dataset and by
    which the next run knows what it is to remove, should this one be killed: see `finish_emptying`. What
    TFDS reads goes before them.
    """
    check_ours(output, overwrite=True)
    out = storage.at(output)
    there = [
        pair for pair in ((PLAN, FORMER_PLAN), (MANIFEST, FORMER_MANIFEST)) if out.size(pair[0]) is not None
    ]
    for name, former in there:
        out.write(former, out.read(name))
    for name in (DATASET_INFO, *(name for name, _ in there)):
        out.remove(name)
        out.settle(os.path.dirname(name))  # before anything that it names is removed
    finish_emptying(output)


def finish_emptying(output: str) -> None:
    """Ends what an earlier `empty` began, if there is anything."""
    out = storage.at(output)
    if all(out.size(former) is None for former in (FORMER_MANIFEST, FORMER_PLAN)):
        return
    kept = (FORMER_MANIFEST, FORMER_PLAN, f"{WORK}/{LOCK}")
    is_ours = _ours(output)
    for name in sorted(out.tree()):
        if is_ours(name) and name not in kept:
            out.remove(name)
    for folder in (SAMPLES, PROGRESS, SCRATCH):
        out.remove_empty(folder)
    out.settle("")
    for former in kept[:2]:
        out.remove(former)


def _strangers(output: str) -> list[str]:
    """The files in an output that are not ours, sorted."""
    is_ours = _ours(output)
    return sorted(name for name in storage.at(output).tree() if not is_ours(name))


def _ours(output: str) -> Callable[[str], bool]:
    """Whether a file is ours by what the manifests and plans of an output, former ones too, say there is."""
    manifests, plans = _manifests(output), _plans(output)
    named = {name for manifest in manifests for name in manifest.files}
    if manifests or plans:
        named |= {MANIFEST, RUN, REJECTS, *LABEL_FILES, FEATURES, DATASET_INFO}

    def is_ours(name: str) -> bool:
        if name in named or _WORK_FILE.fullmatch(name):
            return True
        shards = ((plan, shard_of(name, plan.request.name)) for plan in plans)
        return any(shard is not None and plan.has(shard) for plan, shard in shards)

    return is_ours


def _manifests(output: str) -> list[Manifest]:
    """Those that are sealed, and list what a dataset consists of."""
    found = []
    for name in (MANIFEST, FORMER_MANIFEST):
        if storage.at(output).size(name) is not None:
            try:
                content = read_in(output, name, MANIFEST_BYTES)
                manifest = parse_manifest(content, name)
            except (RequestError, OSError):
                continue
            if not any(manifest.faults(content)):
                found.append(manifest)
    return found


def _plans(output: str) -> list[Plan]:
    """Those whose fingerprint follows from them."""
    plans = filter(None, (saved_plan(output, name) for name in (PLAN, FORMER_PLAN)))
    return [
        plan
        for plan in plans
        if plan.fingerprint == plan.request.fingerprint({s: p.groups for s, p in plan.splits.items()})
    ]
