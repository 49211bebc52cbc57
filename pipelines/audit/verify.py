"""A whole audit: manifest, small files, then group after group of shards, then what they add up to."""

from __future__ import annotations

from collections.abc import Iterator

from tqdm import tqdm

from augment.augmenter import Augmenter
from pipelines.audit.files import check_small_files, check_strays, check_whole_file
from pipelines.audit.findings import Audit, Parity
from pipelines.audit.inputs import Listed, check_listing, check_rejects, list_input
from pipelines.audit.rederive import Rederiver
from pipelines.audit.sampling import Chosen, choose
from pipelines.audit.shards import Place, ShardChecker
from pipelines.audit.structure import Totals, check_manifest, open_audit
from pipelines.format.manifest import Manifest, parity_class
from pipelines.sources import Reject


def verify(directory: str, *, root: str | None, samples: int | None) -> Audit:
    """Audits a dataset.

    Args:
        directory: the dataset.
        root: the input that it was made from; without, nothing is derived again.
        samples: how many are derived again; None for all.

    Raises RequestError if the directory is no finished dataset.
    """
    audit = open_audit(directory)
    audit.input = root
    manifest = audit.manifest
    if manifest is None:
        return audit
    check_strays(audit, manifest)
    augmenter = check_manifest(audit, manifest)
    if augmenter is None:
        for name, listed in manifest.files.items():
            check_whole_file(audit, name, listed)
        audit.unchecked.append("records, rows and sources were not looked at, for the manifest is wrong")
        return audit
    audit.looked_into = True
    rejects = check_small_files(audit, manifest, augmenter.recipe)
    if root is None:
        audit.unchecked.append(
            "without --input, no source was read: whether the pixels follow from sources, recipe and seed"
        )
        _check_groups(audit, manifest, augmenter, rejects, None)
        return audit
    here = parity_class()
    if here != manifest.parity_class:
        names = sorted(here.keys() | manifest.parity_class.keys())
        both = {name: (manifest.parity_class.get(name), here.get(name)) for name in names}
        audit.parity = Parity({name: pair for name, pair in both.items() if pair[0] != pair[1]})
    chosen = None if samples is None or samples >= manifest.records else choose(directory, manifest, samples)
    input_listing = list_input(root, manifest)
    _check_groups(audit, manifest, augmenter, rejects, (root, chosen, input_listing))
    check_rejects(audit, root, input_listing, rejects)
    return audit


def _check_groups(
    audit: Audit,
    manifest: Manifest,
    augmenter: Augmenter,
    rejects: frozenset[Reject],
    derive: tuple[str, Chosen | None, Listed] | None,
) -> None:
    totals = Totals(audit, manifest)
    bar = tqdm(desc="auditing", unit=" records", disable=None, smoothing=0.1, dynamic_ncols=True)
    with bar:
        bar.total = manifest.records
        checker = ShardChecker(audit, manifest, augmenter, bar.update)
        rederiver, unseen = None, set[str]()
        if derive is not None:
            root, chosen, listed = derive
            unseen = set(listed.sources)
            some = manifest.records if chosen is None else sum(map(len, chosen.values()))
            bar.total += some
            rederiver = Rederiver(audit, augmenter, root, chosen, unseen, bar.update)
        for group in _groups(manifest):
            shards = [checker.check(place) for place in group]
            checker.compare_copies(shards)
            totals.add(shards)
            if rederiver is not None:
                rederiver.check(shards)
    totals.check(rejects)
    if derive is not None and rederiver is not None:
        new = unseen - {reject.source for reject in rejects}
        check_listing(audit, derive[0], derive[2], new, rederiver.vanished)


def _groups(manifest: Manifest) -> Iterator[list[Place]]:
    for split, counts in manifest.splits.items():
        for number in range(counts.groups):
            yield [Place(split, copy, number) for copy in manifest.copies(split)]
