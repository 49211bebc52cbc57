"""A whole audit: manifest, small files, group after group of shards, what they add up to, statistics."""

from __future__ import annotations

from collections.abc import Iterator

from tqdm import tqdm

from augment.augmenter import Augmenter
from pipelines.audit.files import check_small_files, check_strays, check_whole_file
from pipelines.audit.findings import Audit, Parity
from pipelines.audit.inputs import check_listing, check_rejects, list_input
from pipelines.audit.rederive import Rederiver
from pipelines.audit.sampling import Chosen, choose
from pipelines.audit.shards import ShardChecker, ShardPlace
from pipelines.audit.statistics import statistics
from pipelines.audit.structure import Totals, check_manifest
from pipelines.format.manifest import Manifest, parity_class
from pipelines.sources import Reject


def verify(audit: Audit, samples: int | None) -> None:
    """Audits a dataset; what is found is added to the audit.

    `samples` are derived again, None for all; without an input, none are. Raises RequestError if
    the recipe needs plugins that are not there.
    """
    manifest = audit.manifest
    if manifest is None:
        return
    check_strays(audit, manifest)
    augmenter = check_manifest(audit, manifest)
    if augmenter is None:
        for name, listed in manifest.files.items():
            check_whole_file(audit, name, listed)
        audit.unchecked.append("records, rows and sources were not looked at, for the manifest is wrong")
        return
    _check(audit, manifest, augmenter, samples)
    audit.statistics = statistics(audit, manifest)


def _check(audit: Audit, manifest: Manifest, augmenter: Augmenter, samples: int | None) -> None:
    """Files, records, rows and, with an input, its listing and sources."""
    root = audit.input
    rejects = check_small_files(audit, manifest, augmenter.recipe)
    if root is None:
        audit.unchecked.append(
            "without --input, no source was read: whether the pixels follow from sources, recipe and seed"
        )
        _check_groups(audit, manifest, augmenter, rejects, None)
        return
    here = parity_class()
    if here != manifest.parity_class:
        names = sorted(here.keys() | manifest.parity_class.keys())
        both = {name: (manifest.parity_class.get(name), here.get(name)) for name in names}
        audit.parity = Parity({name: pair for name, pair in both.items() if pair[0] != pair[1]})
    chosen = None
    if samples is not None and samples < manifest.records:
        chosen = choose(audit.directory, manifest, samples)
    found = list_input(root, manifest)
    unseen = set(found.sources)
    vanished, rejected = _check_groups(audit, manifest, augmenter, rejects, (root, chosen, unseen))
    if rejects is not None:
        check_rejects(audit, root, found, rejects)
    new = unseen - {reject.source for reject in rejected.union(rejects or ())}
    check_listing(audit, root, found, new, vanished)


def _check_groups(
    audit: Audit,
    manifest: Manifest,
    augmenter: Augmenter,
    rejects: frozenset[Reject] | None,
    derive: tuple[str, Chosen | None, set[str]] | None,
) -> tuple[dict[str, str], set[Reject]]:
    """Group after group: shards, then, if `derive` says from where and which, their sources.

    Returns the sources that are not there any more, with their SHA-256, and the receipts' rejects.
    """
    totals = Totals(audit, manifest)
    with tqdm(desc="auditing", unit=" records", disable=None, smoothing=0.1, dynamic_ncols=True) as bar:
        bar.total = manifest.records
        checker = ShardChecker(audit, manifest, augmenter, bar.update)
        rederiver = None
        if derive is not None:
            root, chosen, unseen = derive
            bar.total += manifest.records if chosen is None else sum(map(len, chosen.values()))
            rederiver = Rederiver(audit, augmenter, root, chosen, unseen, bar.update)
        for group in _groups(manifest):
            shards = [checker.check(place) for place in group]
            checker.compare_copies(shards)
            totals.add(shards)
            if rederiver is not None:
                rederiver.check(shards)
    totals.check(rejects)
    return {} if rederiver is None else rederiver.vanished, totals.rejects


def _groups(manifest: Manifest) -> Iterator[list[ShardPlace]]:
    for split, counts in manifest.splits.items():
        for number in range(counts.groups):
            yield [ShardPlace(split, copy, number) for copy in manifest.copies(split)]
