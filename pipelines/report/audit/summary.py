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
from pipelines.report.numbers import count, counted, part_of, size
from pipelines.report.table import Table

SHOWN = 20
"""Findings on the terminal."""

REWRITTEN = frozenset(("missing", "size", "digest", "swapped", "crc", "framing"))
"""Kinds of findings that a new run of the same request mends, once the file is gone."""

OF_THE_INPUT = frozenset(("changed", "vanished", "renamed", "new", "reject", "listing"))
"""Kinds of findings that say nothing against the dataset, but that its input is another now."""

_CHECKED = {
    "files": "compared with their digests",
    "records": "read, with their checksums and their rows",
    "rows": "of the samples table",
    "draws": "parameters, drawn again",
    "pixels": "records, decoded to the digests of their pixels",
    "targets": "of records, compared with their digests",
    "sources": "compared with their digests",
    "derived": "samples, made again from their sources and compared pixel by pixel",
    "rejects": "looked at again",
}


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
        "statistics": audit.statistics.as_json() if audit.statistics else None,
    }


def as_text(audit: Audit, *, json: str | None, report: str | None) -> str:
    """A verdict, what was looked at, what was found, and what to do next."""
    request = audit.manifest and audit.manifest.request
    made = f" ({request.recipe_name}, seed {request.seed}, {request.how_many})" if request else ""
    looked = checked(audit)
    counts = Table((), [(number, what) for _, number, what in looked]).text
    rows = [
        ("verdict", "; ".join((headline(audit), *proven(audit)))),
        ("dataset", audit.directory + made),
        *((("input", audit.input),) if audit.input is not None else ()),
        *zip([name for name, _, _ in looked], counts.splitlines(), strict=True),
        *(("parity", sentence) for sentence in parity(audit)),
        *(("not checked", sentence) for sentence in audit.unchecked),
        *((name, path) for name, path in (("report", report), ("json", json)) if path),
        ("next", _next(audit)),
    ]
    return Table((), rows).text + "".join(_findings(audit))


def headline(audit: Audit) -> str:
    return counted(len(audit.findings), "finding") if audit.findings else "the dataset is whole"


def proven(audit: Audit) -> Iterator[str]:
    """Of a clean dataset. Nothing is called equal that was derived in another parity class."""
    derived = audit.checked["derived"]
    if not audit.clean:
        return
    if audit.input is None:
        yield "no sample was derived again"
    elif audit.parity is not None:
        yield "samples were derived in another parity class"
    else:
        every = "all " if audit.manifest and derived == audit.manifest.records else ""
        yield f"{every}{derived:,} samples follow from their sources bit for bit"


def checked(audit: Audit) -> list[tuple[str, str, str]]:
    """What was looked at: its name, how many of how many, and how."""
    manifest = audit.manifest
    whole = {"files": len(manifest.files) + 1, "records": manifest.records} if manifest else {}
    size_of = {"files": f", {size(audit.checked['bytes'])}"}
    if manifest and audit.input is not None:
        whole["derived"] = manifest.records
    return [
        (name, part_of(number, whole[name]) if name in whole else count(number), what + size_of.get(name, ""))
        for name, what in _CHECKED.items()
        if (number := audit.checked[name]) or name in whole
    ]


def parity(audit: Audit) -> Iterator[str]:
    """What differs between two parity classes, and by how much that shows."""
    if audit.parity is not None:
        differs = audit.parity.differs.items()
        both = ", ".join(f"{what} {then} then, {now} now" for what, (then, now) in differs)
        yield f"{both}: {_measured(audit.parity)}"


def _measured(found: Parity) -> str:
    if not found.differing:
        return f"no difference was measured in {found.samples:,} samples"
    part = f"{found.differing_pixels / found.pixels:.2g} of all pixels"
    levels = counted(found.largest, "level")
    return f"{part_of(found.differing, found.samples)} samples differ, in {part}, by up to {levels}"


def _findings(audit: Audit) -> Iterator[str]:
    if audit.clean:
        return
    shown = _of_every_kind(audit.findings.kept)
    yield "\n" + Table((), [(finding.kind, _sentence(finding)) for finding in shown]).text
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
    return [findings[position] for _, position in sorted(sorted(ranked)[:SHOWN], key=lambda pair: pair[1])]


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
    if not audit.clean or audit.manifest is None:
        return "docs/audit.md says what each kind of finding means"
    if audit.input is None:
        return f"{here} --input DIR"
    if audit.checked["derived"] < audit.manifest.records:
        return f"{here} --input {shlex.quote(audit.input)} --samples all"
    return "\n".join(how_to_read(audit.directory, audit.manifest))
