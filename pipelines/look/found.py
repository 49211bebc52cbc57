"""What an audit found, beside the samples that it is about."""

from __future__ import annotations

import errno
import os
from collections import Counter, defaultdict
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from augment.errors import RequestError
from pipelines.audit.findings import Finding
from pipelines.format.bounds import first_fault
from pipelines.format.inside import read_in
from pipelines.format.layout import Shard, samples_file, shard_file
from pipelines.format.manifest import Manifest

_MOST_BYTES = 256 << 20
"""Of the file: an audit keeps a thousand findings of each kind, beside a tally of each parameter."""

ANY = "any"
"""Stands for every kind."""


class _Report(BaseModel):
    """As much as is read of what `augshard audit --json` writes."""

    model_config = ConfigDict(extra="ignore")

    fingerprint: str | None
    findings: list[Finding]


class About(NamedTuple):
    """What was found in one shard."""

    whole: tuple[Finding, ...]
    """of its files, so of every sample in them"""
    records: dict[int, list[Finding]]
    sources: dict[str, list[Finding]]

    def of(self, record: int, source: str) -> list[Finding]:
        """What is about one sample."""
        return [*self.whole, *self.records.get(record, ()), *self.sources.get(source, ())]


class Found:
    """The findings of one audit, by where they are."""

    def __init__(self, name: str, findings: list[Finding]) -> None:
        self._name = name
        self.counts = Counter(finding.kind for finding in findings)
        self._by_file: dict[str, list[Finding]] = defaultdict(list)
        self._by_source: list[Finding] = []
        for finding in findings:
            if finding.file is not None:
                self._by_file[finding.file].append(finding)
            elif finding.source is not None:
                self._by_source.append(finding)

    def about(self, shard: Shard, kind: str = ANY) -> About:
        """Those of a kind that are about samples of a shard."""
        files = (shard_file(self._name, *shard), samples_file(*shard))
        whole, records, sources = [], defaultdict(list), defaultdict(list)
        for finding in (*(f for name in files for f in self._by_file.get(name, ())), *self._by_source):
            if kind not in (ANY, finding.kind) or finding.copy not in (None, shard.copy):
                continue
            if finding.record is not None:
                records[finding.record].append(finding)
            elif finding.source is not None:
                sources[finding.source].append(finding)
            else:
                whole.append(finding)
        return About(tuple(whole), records, sources)


def read_found(path: str, directory: str, manifest: Manifest) -> Found:
    """Those in a file that `augshard audit --json` wrote.

    Raises RequestError if it is none, or of another dataset.
    """
    folder, name = os.path.split(os.path.abspath(path))
    try:
        content = read_in(folder, name, _MOST_BYTES)
    except OSError as error:
        why = "there is no such file" if error.errno == errno.ENOENT else error.strerror
        raise RequestError(f"--findings {path}: it cannot be read ({why})") from None
    try:
        report = _Report.model_validate_json(content)
    except ValidationError as error:
        raise RequestError(
            f"--findings {path}: augshard audit --json did not write it so, at {first_fault(error)}"
        ) from None
    if report.fingerprint != manifest.fingerprint:
        raise RequestError(
            f"--findings {path}: it is of another dataset; "
            f"write it by augshard audit {directory} --json {path}"
        )
    return Found(manifest.request.name, report.findings)
