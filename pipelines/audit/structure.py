"""The manifest against itself, against its files, and against what all shards add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from augment.by_class import ByClass
from augment.errors import RequestError
from augment.recipe import Recipe
from pipelines.annotations.pieces import REASONS as ANNOTATION_REASONS
from pipelines.audit.findings import Audit, Finding
from pipelines.audit.grouping import check_told
from pipelines.audit.shards import Shard
from pipelines.format.bounds import MANIFEST_BYTES
from pipelines.format.copies import Tier
from pipelines.format.inside import read_in
from pipelines.format.layout import MANIFEST
from pipelines.format.manifest import Manifest
from pipelines.format.request import PluginMissing
from pipelines.plan import estimated_bytes, group_count, parse_fractions
from pipelines.sources import Reject

LISTING_REASONS = frozenset(
    ("unreadable", "unreadable_folder", "no_class", "not_a_file", "bad_name", "broken_link", "circular_link")
).union(ANNOTATION_REASONS)
"""For which files are rejected when they are listed."""


def check_manifest(audit: Audit, manifest: Manifest) -> ByClass | None:
    """The manifest by itself. The augmenters of its recipe and seed; None if shards cannot be looked at.

    Raises RequestError if it is sound, and its plugins were not loaded by the user.
    """
    content = read_in(audit.directory, MANIFEST, MANIFEST_BYTES)
    faults = Counter[str]()
    for kind, message in manifest.faults(content):
        faults[kind] += 1
        _found(audit, kind, message)
    if not faults and content != manifest.content():
        _found(audit, "manifest", "it says what it should, but not in the bytes that augshard writes")
    request = manifest.request
    try:
        if request.split_fractions:
            parse_fractions(",".join(f"{split}={part}" for split, part in request.split_fractions.items()))
        if request.group_by is not None:
            check_told(request.group_by, manifest)
    except RequestError as error:
        _found(audit, "manifest", str(error))
        return None
    try:
        recipe = request.parsed_recipe()
        augmenters = ByClass(recipe, request.seed)
    except PluginMissing:
        if not faults:
            raise  # a sound manifest's plugins are the user's to give
        return None
    except RequestError as error:
        _found(audit, "recipe", str(error))
        return None
    if faults["files"]:
        return None
    for label in sorted(recipe.recipe_for.keys() - set(manifest.classes)):
        _found(audit, "recipe", f"it has a recipe for class {label!r}, which it has not")
    _check_counts(audit, manifest, recipe)
    return augmenters


def _found(audit: Audit, kind: str, message: str) -> None:
    audit.findings.add(Finding(kind, message, MANIFEST))


def _check_counts(audit: Audit, manifest: Manifest, recipe: Recipe) -> None:
    """Numbers in the manifest that follow from others in it."""
    request = manifest.request
    record = estimated_bytes(recipe.image_shape, recipe.storage)
    expected: dict[str, tuple[object, object]] = {
        "image_size": (manifest.image_size, recipe.image_size),
        "classes": (manifest.classes, tuple(sorted(set(manifest.classes)))),
        "records": (manifest.records, sum(file.records or 0 for file in manifest.files.values())),
    }
    for split, counts in manifest.splits.items():
        groups = request.shards or group_count(counts.sources, record, request.shard_bytes)
        augmented = split in (request.augment_splits or ("train", "training"))
        expected[f"splits.{split}.groups"] = (counts.groups, groups)
        expected[f"splits.{split}.augmented"] = (counts.augmented, augmented)
        for number, tier in enumerate(counts.tiers or ()):
            groups = request.shards or group_count(tier.sources, record, request.shard_bytes)
            expected[f"splits.{split}.tiers.{number}.groups"] = (tier.groups, groups)
    for field, (said, right) in expected.items():
        if said != right:
            _found(audit, "count", f"its {field} is {said}; what else stands in it gives {right}")


class Totals:
    """What the shards add up to, copy by copy; compared with the manifest at the end."""

    def __init__(self, audit: Audit, manifest: Manifest) -> None:
        self._audit, self._manifest = audit, manifest
        self._rows: Counter[tuple[str, int]] = Counter()
        self._rejects: Counter[tuple[str, int]] = Counter()
        """by split and first copy of a tier"""
        self.rejects: set[Reject] = set()
        """those of the receipts: files that were read, and could not be used"""
        self._whole = True

    def add(self, shards: Sequence[Shard]) -> None:
        """All copies of one group."""
        first = shards[0]
        for shard in shards:
            if shard.rows is None or shard.receipt is None:
                self._whole = False  # which is a finding already
                continue
            self._rows[shard.place.split, shard.place.copy] += len(shard.rows)
            self.rejects |= set(shard.receipt.rejects)
            if first.receipt and set(shard.receipt.rejects) != set(first.receipt.rejects):
                message = f"its receipt has other rejects than that of {first.samples_file}"
                self._audit.findings.add(Finding("receipt", message, shard.samples_file))
            elif first.receipt and shard.receipt.sources != first.receipt.sources:
                message = f"its copy is of other sources than that of {first.samples_file}"
                self._audit.findings.add(Finding("receipt", message, shard.samples_file))
        if first.receipt:
            self._rejects[first.place.split, first.place.copy] += len(first.receipt.rejects)

    def check(self, listed: frozenset[Reject] | None) -> None:
        """`listed` are those of rejects.jsonl, None if it cannot be read."""
        if not self._whole:
            return
        for split in self._manifest.splits:
            for tier in self._manifest.tiers(split):
                self._check_tier(split, tier)
        if listed is not None:
            self._check_rejects(listed)

    def _check_tier(self, split: str, tier: Tier) -> None:
        for copy in tier.copies:
            rows = self._rows[split, copy]
            if rows != tier.written:
                message = f"copy {copy} of split {split} has {rows:,} samples; it says {tier.written:,}"
                _found(self._audit, "count", message)
        known = tier.written + self._rejects[split, tier.first]
        if known != tier.sources:
            what = f"split {split}" + (f" from copy {tier.first} on" if tier.first > 0 else "")
            message = f"{what} has {known:,} sources, rejects included; it says {tier.sources:,}"
            _found(self._audit, "count", message)

    def _check_rejects(self, listed: frozenset[Reject]) -> None:
        add = self._audit.findings.add
        for reject in sorted(self.rejects - listed):
            add(Finding("reject", "a receipt has it, and rejects.jsonl has not", source=reject.source))
        for reject in sorted(listed - self.rejects):
            if reject.reason not in (*LISTING_REASONS, "too_large"):  # of which the size alone may tell
                message = f"rejects.jsonl has it ({reject.reason}), and no receipt has"
                add(Finding("reject", message, source=reject.source))
