"""What an audit found, what it compared, and what it could not."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import MANIFEST, SAMPLES
from pipelines.format.manifest import Manifest, open_manifest, read_manifest

if TYPE_CHECKING:
    from pipelines.audit.statistics import Statistics

KEPT = 1000
"""Findings of one kind that are kept in full; more are only counted."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    kind: str
    """one word, such as `digest`; docs/audit.md lists them"""
    message: str
    """a sentence without the names below, which stand before it"""
    file: str | None = None
    """path in the dataset directory"""
    record: int | None = None
    """number of the record in its shard, from 0"""
    source: str | None = None
    copy: int | None = None

    @property
    def where(self) -> str:
        """`train_c0-00000 record 5, car/1.jpg, copy 0`: as much of it as is known."""
        place = " ".join(
            part for part in (self.file, None if self.record is None else f"record {self.record}") if part
        )
        copy = None if self.copy is None or self.copy < 0 else f"copy {self.copy}"
        return ", ".join(part for part in (place, self.source, copy) if part)


class Findings:
    """Collects findings in memory that does not grow with what is wrong."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        self.counts[finding.kind] += 1
        if self.counts[finding.kind] <= KEPT:
            self.kept.append(finding)

    def extend(self, others: Findings) -> None:
        """Adds those of others, in their order."""
        for finding in others.kept:
            self.add(finding)
        self.counts += others.counts - Counter(finding.kind for finding in others.kept)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.kept)

    def __len__(self) -> int:
        """How many there are, those that were only counted included."""
        return self.counts.total()


@dataclasses.dataclass
class Parity:
    """What was measured by deriving samples in another parity class than they were made in."""

    differs: dict[str, tuple[str | None, str | None]]
    """by what: made with, derived with"""
    samples: int = 0
    """that were derived again"""
    differing: int = 0
    """of these, how many had at least one other level"""
    pixels: int = 0
    differing_pixels: int = 0
    """in how many pixels at least one channel differs"""
    largest: int = 0
    """difference of a level, 0 to 255"""


@dataclasses.dataclass
class Audit:
    """The outcome of auditing one dataset."""

    directory: str
    manifest: Manifest | None
    """None if it is damaged; then little else could be looked at"""
    input: str | None = None
    """where the sources are, if that was said"""
    places: dict[str, str] = dataclasses.field(default_factory=dict)
    """where those lie there, by id, that are not files of their own"""
    findings: Findings = dataclasses.field(default_factory=Findings)
    checked: Counter[str] = dataclasses.field(default_factory=Counter)
    """how many of what was looked at: `files`, `bytes`, `records`, `rows`, `draws` (parameters computed
    again), `pixels` (records that decode to their digest), `sources` (files of the input
    compared with theirs), `derived` (samples computed again), `rejects` (examined again)"""
    unchecked: list[str] = dataclasses.field(default_factory=list)
    """sentences on what could not be looked at, and why"""
    statistics: Statistics | None = None
    """None where the manifest is not good enough to look into the samples table by it"""
    parity: Parity | None = None
    """None where samples were derived in the manifest's own parity class, or not at all"""

    @property
    def clean(self) -> bool:
        return not self.findings


def open_audit(directory: str, root: str | None) -> Audit:
    """An audit with its manifest; a damaged one is its first finding.

    Raises RequestError if the directory is no finished dataset.
    """
    path = os.path.join(directory, MANIFEST)
    try:
        storage.at(path).read()
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
        read_manifest(directory)  # raises the sentence
    try:
        return Audit(directory, open_manifest(directory)[0], root)
    except RequestError as error:
        if not storage.at(directory).names(SAMPLES):
            raise  # another program's manifest
        audit = Audit(directory, None, root)
        message = str(error).removeprefix(f"{path}: ")
        audit.findings.add(Finding("manifest", message, MANIFEST))
        audit.unchecked.append("nothing but the manifest was looked at, for it says what there should be")
        return audit
