"""The manifest against itself, against its files, and against what all shards add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from augment.augmenter import Augmenter
from augment.errors import RequestError
from augment.recipe import NAME, Recipe
from pipelines import storage
from pipelines.audit.files import SMALL, shard_names
from pipelines.audit.findings import Audit, Finding
from pipelines.audit.shards import Shard
from pipelines.format.layout import MANIFEST, samples_file
from pipelines.format.manifest import Manifest
from pipelines.format.request import load_plugins
from pipelines.plan import estimated_bytes, group_count, parse_fractions
from pipelines.sources import Reject, split_errors

LISTING_REASONS = frozenset(
    ("unreadable", "unreadable_folder", "no_class", "not_a_file", "bad_name", "broken_link", "circular_link")
)
"""For which files are rejected when they are listed."""


def check_manifest(audit: Audit, manifest: Manifest) -> Augmenter | None:
    """The manifest by itself. The augmenter of its recipe and seed; None if shards cannot be looked at.

    Raises RequestError if its plugins are not there.
    """
    content = storage.at(audit.directory).read(MANIFEST)
    if manifest.digest != manifest.sealed().digest:
        _found(audit, "manifest", "it does not have the digest that stands in it: it was changed")
    elif content != manifest.content():
        _found(audit, "manifest", "it says what it should, but not in the bytes that augshard writes")
    request = manifest.request
    groups = {split: counts.groups for split, counts in manifest.splits.items()}
    if request.fingerprint(groups) != manifest.fingerprint:
        _found(
            audit, "fingerprint", "the request in it (recipe, seed, ...) is not the one of its fingerprint"
        )
    if not audit.findings:
        load_plugins(request.plugins)  # a sound manifest's plugins are the user's to give
    try:
        if request.split_fractions:
            parse_fractions(",".join(f"{split}={part}" for split, part in request.split_fractions.items()))
        if request.shard_bytes < 1:
            raise RequestError(f"its shard_bytes is {request.shard_bytes}; it must be 1 or more")
    except RequestError as error:
        _found(audit, "manifest", str(error))
        return None
    try:
        recipe = request.parsed_recipe()
        augmenter = Augmenter(recipe, request.seed)
    except RequestError as error:
        _found(audit, "recipe", str(error))
        return None
    if not _lists_the_right_files(audit, manifest):
        return None
    _check_counts(audit, manifest, recipe)
    return augmenter


def _found(audit: Audit, kind: str, message: str) -> None:
    audit.findings.add(Finding(kind, message, MANIFEST))


def _lists_the_right_files(audit: Audit, manifest: Manifest) -> bool:
    """Whether `files` has the names that request and splits give, and no others."""
    shards = [name for name, file in manifest.files.items() if file.records is not None]
    request = manifest.request
    named = bool(NAME.fullmatch(request.name)) and not list(split_errors(manifest.splits))
    sane = named and request.copies <= len(shards)  # any number may stand there
    expected = sum(c.groups * len(manifest.copies(s)) for s, c in manifest.splits.items()) if sane else -1
    if expected != len(shards):
        message = f"name, splits and copies in it do not make the {len(shards):,} shards that it lists"
        _found(audit, "files", message)
        return False
    names = set(SMALL)
    for split, copy, number, name in shard_names(manifest):
        names |= {name, samples_file(split, copy, number, manifest.splits[split].groups)}
    for name in sorted(names ^ manifest.files.keys()):
        said = "it does not list" if name in names else "it lists a file that is none of a dataset:"
        _found(audit, "files", f"{said} {name}")
    return names == manifest.files.keys()


def _check_counts(audit: Audit, manifest: Manifest, recipe: Recipe) -> None:
    """Numbers in the manifest that follow from others in it."""
    request = manifest.request
    record = estimated_bytes(recipe.image_size, recipe.storage)
    expected: dict[str, tuple[object, object]] = {
        "image_size": (manifest.image_size, recipe.image_size),
        "classes": (manifest.classes, tuple(sorted(set(manifest.classes)))),
        "records": (manifest.records, sum(file.records or 0 for file in manifest.files.values())),
    }
    for split, counts in manifest.splits.items():
        groups = request.shards or group_count(min(counts.sources, 2**63), record, request.shard_bytes)
        augmented = split in (request.augment_splits or ("train", "training"))
        expected[f"splits.{split}.groups"] = (counts.groups, groups)
        expected[f"splits.{split}.augmented"] = (counts.augmented, augmented)
    for field, (said, right) in expected.items():
        if said != right:
            _found(audit, "count", f"its {field} is {said}; what else stands in it gives {right}")


class Totals:
    """What the shards add up to, copy by copy; compared with the manifest at the end."""

    def __init__(self, audit: Audit, manifest: Manifest) -> None:
        self._audit, self._manifest = audit, manifest
        self._rows: Counter[tuple[str, int]] = Counter()
        self._rejects: Counter[str] = Counter()
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
            self._rejects[first.place.split] += len(first.receipt.rejects)

    def check(self, listed: frozenset[Reject] | None) -> None:
        """`listed` are those of rejects.jsonl, None if it cannot be read."""
        if not self._whole:
            return
        for (split, copy), rows in sorted(self._rows.items()):
            counts = self._manifest.splits[split]
            if rows != counts.written:
                message = f"copy {copy} of split {split} has {rows:,} samples; it says {counts.written:,}"
                _found(self._audit, "count", message)
        for split, counts in self._manifest.splits.items():
            known = counts.written + self._rejects[split]
            if known != counts.sources:
                message = f"split {split} has {known:,} sources, rejects included; it says {counts.sources:,}"
                _found(self._audit, "count", message)
        if listed is not None:
            self._check_rejects(listed)

    def _check_rejects(self, listed: frozenset[Reject]) -> None:
        add = self._audit.findings.add
        for reject in sorted(self.rejects - listed):
            add(Finding("reject", "a receipt has it, and rejects.jsonl has not", source=reject.source))
        for reject in sorted(listed - self.rejects):
            if reject.reason not in LISTING_REASONS:
                message = f"rejects.jsonl has it ({reject.reason}), and no receipt has"
                add(Finding("reject", message, source=reject.source))
