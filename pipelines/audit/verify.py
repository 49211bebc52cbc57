"""A whole audit: manifest, small files, group after group of shards, what they add up to, statistics."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator

from augment import backends
from augment.by_class import ByClass
from augment.errors import require
from augment.parity import parity_class
from pipelines import process
from pipelines.annotations import Annotations
from pipelines.audit.files import check_small_files, check_strays, check_whole_file
from pipelines.audit.findings import Audit, Findings, Parity
from pipelines.audit.grouping import check_told
from pipelines.audit.inputs import check_listing, check_rejects, list_input
from pipelines.audit.leaks import Looked, check_leaks
from pipelines.audit.rederive import Begun, Rederiver
from pipelines.audit.sampling import choose
from pipelines.audit.shards import Shard, ShardChecker, ShardPlace
from pipelines.audit.statistics import statistics
from pipelines.audit.structure import Totals, check_manifest
from pipelines.audit.targets import TargetsCheck
from pipelines.format.bounds import RECORD_BYTES
from pipelines.format.inside import read_in
from pipelines.format.layout import RUN
from pipelines.format.manifest import Manifest
from pipelines.progress import Bar
from pipelines.quiet import import_tensorflow
from pipelines.targets import TargetsDeriver


def verify(
    audit: Audit,
    samples: int | None,
    *,
    backend: backends.Name | None = None,
    group_by: str | None = None,
    pictures: bool = False,
    annotations: Annotations | None = None,
) -> None:
    """Audits a dataset; what is found is added to the audit.

    `samples` are derived again, None for all, by a backend, None for the one that did not write them;
    without an input, none are. What shares the group of `group_by`, or else of the request's, must not be
    in two splits; nor, if `pictures`, what looks alike. Raises RequestError if the recipe needs plugins
    that are not there, the backend a TensorFlow that is not, or `group_by` what is not in the samples table.
    """
    manifest = audit.manifest
    if manifest is None:
        return
    if group_by is not None:
        check_told(group_by, manifest)
    check_strays(audit, manifest)
    augmenters = check_manifest(audit, manifest)
    if augmenters is None:
        for name, listed in manifest.files.items():
            check_whole_file(audit, name, listed)
        audit.unchecked.append("records, rows and sources were not looked at, for the manifest is wrong")
        return
    looked = _check(audit, manifest, augmenters, samples, backend, pictures, annotations)
    audit.statistics = statistics(audit, manifest)
    check_leaks(audit, manifest, group_by or manifest.request.group_by, looked)


def _check(
    audit: Audit,
    manifest: Manifest,
    augmenters: ByClass,
    samples: int | None,
    backend: backends.Name | None,
    pictures: bool,
    annotations: Annotations | None,
) -> Looked | None:
    """Files, then group after group records and rows; with an input its listing, and the sources."""
    root, rejects = audit.input, check_small_files(audit, manifest, augmenters.recipe)
    totals = Totals(audit, manifest)
    with Bar("auditing", "checks", manifest.records) as bar:
        every = root is not None and (samples is None or samples >= manifest.records)
        lossy = augmenters.recipe.storage.format == "jpeg"
        checker = ShardChecker(audit, manifest, augmenters, bar.update, images_later=every and lossy)
        found = rederiver = targets = None
        if root is not None:
            audit.parity = _parity(manifest)
            chosen = None
            if not every and samples is not None:
                chosen = choose(audit.directory, manifest, samples)
            found = list_input(root, manifest, annotations, pictures=pictures)
            audit.places = found.places
            bar.total = manifest.records + (
                manifest.records if chosen is None else sum(map(len, chosen.values()))
            )
            by = (backend or _other_backend(audit.directory)) if augmenters.has_device else "host"
            if by == "device":
                require("TensorFlow", "an audit by the device backend (--backend host does without)")
                # Each core has a source of its own; sharing costs.
                import_tensorflow(threads_an_op=1, with_keras=False)
            augmenters = ByClass(augmenters.recipe, augmenters.seed, by)
            if manifest.targets and annotations:
                deriver = TargetsDeriver(augmenters, manifest.targets, annotations.path)
                targets = TargetsCheck(deriver, augmenters.recipe, found.annotations)
            rederiver = Rederiver(audit, augmenters, root, chosen, set(found.sources), bar.update, targets)
        process.started()
        _check_groups(audit, manifest, checker, totals, rederiver)
    totals.check(rejects)
    if root is None or found is None or rederiver is None:
        audit.unchecked.append(
            "without --input, no source was read: whether the pixels follow from sources, recipe and seed"
        )
        return None
    if rejects is not None:
        check_rejects(audit, root, found, rejects, *([targets.why_not] if targets else []))
    new = rederiver.unseen - {reject.source for reject in totals.rejects.union(rejects or ())}
    check_listing(audit, root, found, new, rederiver.vanished)
    return found.looked


def _check_groups(
    audit: Audit, manifest: Manifest, checker: ShardChecker, totals: Totals, rederiver: Rederiver | None
) -> None:
    """Group after group; the records and rows of one are looked at while threads derive that before it, and
    then wait in line with it, so that no thread is without work where a group ends."""
    before: list[Shard] = []
    deriving: Begun | None = None
    try:
        for group in itertools.chain(_groups(manifest), [[]]):
            kept, audit.findings = audit.findings, Findings()  # to come behind those of the group before
            shards = [checker.check(place) for place in group]
            if shards:
                checker.compare_copies(shards)
                totals.add(shards)
            ahead, audit.findings = audit.findings, kept
            begun = rederiver.begin(shards) if rederiver and shards else None
            if rederiver and deriving:
                rederiver.finish(deriving)
            for shard in before:
                checker.check_images(shard)
            audit.findings.extend(ahead)
            before, deriving = shards, begun
    finally:
        if rederiver:
            rederiver.close()


def _other_backend(directory: str) -> backends.Name:
    """The backend that did not write the dataset, by what run.json says: what it derives proves more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads(read_in(directory, RUN, RECORD_BYTES)).get("backend") == "device":
            return "host"
    return "device"


def _parity(manifest: Manifest) -> Parity | None:
    """What differs between the dataset's parity class and this process's, to be measured; None if nothing."""
    here = parity_class()
    names = sorted(here.keys() | manifest.parity_class.keys())
    both = {name: (manifest.parity_class.get(name), here.get(name)) for name in names}
    differs = {name: pair for name, pair in both.items() if pair[0] != pair[1]}
    return Parity(differs) if differs else None


def _groups(manifest: Manifest) -> Iterator[list[ShardPlace]]:
    for split in manifest.splits:
        for tier in manifest.tiers(split):
            for number in range(tier.groups):
                yield [ShardPlace(split, copy, number) for copy in tier.copies]
