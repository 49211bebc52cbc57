"""What an audit says, for a person on a terminal and for programs."""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pipelines.audit.findings import Audit, Finding, Parity
from pipelines.format.layout import MANIFEST
from pipelines.format.tfds import how_to_read

SHOWN = 20
"""Findings on the terminal."""

REWRITTEN = frozenset(("missing", "size", "digest", "swapped", "crc", "framing"))
"""Kinds of findings that a new run of the same request mends, once the file is gone."""


OF_THE_INPUT = frozenset(("changed", "vanished", "renamed", "new", "reject", "listing"))
"""Kinds of findings that say nothing against the dataset, but that its input is another now."""


def as_json(audit: Audit) -> dict[str, Any]:
    """Everything, as it stands in the file that --json names."""
    manifest = audit.manifest
    return {
        "clean": audit.clean,
        "dataset": audit.directory,
        "input": audit.input,
        "fingerprint": manifest.fingerprint if manifest else None,
        "checked": dict(audit.checked),
        "unchecked": audit.unchecked,
        "counts": dict(audit.findings.counts),
        "findings": [dataclasses.asdict(finding) for finding in audit.findings],
        "parity": dataclasses.asdict(audit.parity) if audit.parity else None,
    }


def as_text(audit: Audit, *, json: str | None, report: str | None) -> str:
    """A verdict, what was looked at, what was found, and what to do next."""
    rows = [("verdict", verdict(audit)), *_about(audit)]
    rows += [("not checked", sentence) for sentence in audit.unchecked]
    if report:
        rows.append(("report", report))
    if json:
        rows.append(("json", json))
    rows.append(("next", _next(audit)))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {value}\n" for name, value in rows]
    return "".join((*lines, *_findings(audit)))


def verdict(audit: Audit) -> str:
    """One sentence. Nothing is called equal that was derived in another parity class."""
    if not audit.clean:
        count = len(audit.findings)
        return f"{count:,} finding{'s' if count != 1 else ''}"
    derived = audit.checked["derived"]
    if audit.parity is not None:
        return (
            f"nothing was found, but samples were derived in another parity class: {measured(audit.parity)}"
        )
    if audit.input is None:
        return "the dataset is whole; no sample was derived again"
    every = "all " if audit.manifest and derived == audit.manifest.records else ""
    return f"the dataset is whole, and {every}{derived:,} samples follow from their sources bit for bit"


def measured(parity: Parity) -> str:
    """What the difference is between two parity classes."""
    if not parity.differing:
        return f"no difference was measured in {parity.samples:,} samples"
    part = parity.differing_pixels / parity.pixels
    return (
        f"{parity.differing:,} of {parity.samples:,} samples differ, in {part:.2g} of all pixels, "
        f"by up to {parity.largest} level{'s' if parity.largest > 1 else ''}"
    )


def _about(audit: Audit) -> Iterator[tuple[str, str]]:
    manifest, checked = audit.manifest, audit.checked
    if manifest is None:
        yield "dataset", audit.directory
        return
    request = manifest.request
    yield (
        "dataset",
        f"{audit.directory} ({request.recipe_name}, seed {request.seed}, {request.copies} copies)",
    )
    yield "files", f"{checked['files']:,} of {len(manifest.files) + 1:,}, {checked['bytes'] / 1e6:,.1f} MB"
    pixels = f", {checked['pixels']:,} decoded to the digests of their pixels" if checked["pixels"] else ""
    yield "records", f"{checked['records']:,} of {manifest.records:,}{pixels}"
    yield "rows", f"{checked['rows']:,}, with {checked['draws']:,} parameters drawn again"
    if audit.input is not None:
        rejects = f"; rejects {checked['rejects']:,}" if checked["rejects"] else ""
        yield "sources", f"{checked['sources']:,} in {audit.input}{rejects}"
        yield "derived", f"{checked['derived']:,} of {manifest.records:,} samples"
    if audit.parity is not None:
        differs = ", ".join(
            f"{what} {then} then, {now} now" for what, (then, now) in audit.parity.differs.items()
        )
        yield "parity", f"{differs}: {measured(audit.parity)}"


def _findings(audit: Audit) -> Iterator[str]:
    if audit.clean:
        return
    yield "\n"
    shown = _of_every_kind(audit.findings.kept)
    width = max(len(finding.kind) for finding in shown)
    for finding in shown:
        yield f"{finding.kind:{width}}  {_sentence(finding)}\n"
    more = len(audit.findings) - len(shown)
    if more:
        yield f"and {more:,} more; --json FILE has them\n"


def _of_every_kind(findings: list[Finding]) -> list[Finding]:
    """So many as are shown, in their order: kinds take turns, so that none hides behind another."""
    turns: Counter[str] = Counter()
    ranked = []
    for position, finding in enumerate(findings):
        ranked.append((turns[finding.kind], position))
        turns[finding.kind] += 1
    return [findings[position] for position in sorted(position for _, position in sorted(ranked)[:SHOWN])]


def _sentence(finding: Finding) -> str:
    text = f"{finding.where}: {finding.message}" if finding.where else finding.message
    # A file's name may hold what would move the cursor, or more.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _next(audit: Audit) -> str:
    here = f"augshard audit {shlex.quote(audit.directory)}"
    kinds = audit.findings.counts.keys()
    if kinds & REWRITTEN and not any(f.file == MANIFEST for f in audit.findings):
        return "remove the files that are named, then run the same augshard materialize: it writes them again"
    if audit.input is not None and not audit.clean and kinds <= OF_THE_INPUT:
        return "restore the input as it was, or write a dataset of what it is now to another directory"
    if not audit.clean:
        return "docs/audit.md says what each kind of finding means"
    if audit.input is None:
        return f"{here} --input DIR"
    if audit.manifest and audit.checked["derived"] < audit.manifest.records:
        return f"{here} --input {shlex.quote(audit.input)} --samples all"
    return how_to_read(audit.directory)
