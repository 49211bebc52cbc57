"""`augshard audit --report`: all that was found, with pictures, in one HTML file.

It names no path of the machine and no time: equal datasets give equal reports.
"""

from __future__ import annotations

import shlex
from collections import Counter
from importlib import resources
from typing import Any

import numpy as np
import yaml

from augment.augmenter import NOT_AUGMENTED
from pipelines.audit import plots
from pipelines.audit.findings import Audit
from pipelines.audit.looks import Summary
from pipelines.audit.pictures import Shown, pictures
from pipelines.audit.promise import ALARM
from pipelines.audit.sheets import NOTES, Card, Ops, cards
from pipelines.audit.statistics import Statistics
from pipelines.audit.text import measured, verdict
from pipelines.format.manifest import Manifest
from pipelines.format.request import Request
from pipelines.page.page import render, write_page

FINDINGS = 200
"""Findings that are listed; the JSON has more."""
FIGURES = 60
"""Parameters with a figure; the table has all."""
GROUPS = 50
"""Groups of duplicates that are listed."""
CLASSES = 1000
"""Classes that are listed: the largest, if there are more."""


def write_report(path: str, audit: Audit, found: Statistics | None) -> None:
    """Writes the report of an audit; `found` is None where the manifest could not be read.

    Raises RequestError if it cannot be written.
    """
    write_page(path, report(audit, found))


def report(audit: Audit, found: Statistics | None) -> str:
    """The report as HTML."""
    manifest = audit.manifest
    name = manifest.request.name if manifest else "damaged dataset"
    context: dict[str, Any] = {
        "title": f"{name}: audit",
        "kicker": "augshard audit",
        "heading": name,
        "verdict": _verdict(audit),
        "facts": _facts(manifest) if manifest else [],
        "checked": _checked(audit),
        "audit": audit,
        "findings": list(audit.findings)[:FINDINGS],
        "whole": manifest is not None and found is not None,
        "sections": _SECTIONS[:1],
    }
    if manifest is not None and found is not None:
        context |= {
            "sections": _SECTIONS,
            **_pictures(audit, manifest, found),
            **_statistics(manifest, found),
        }
        context |= {
            "recipe": yaml.safe_dump(manifest.request.parsed_recipe().canonical(), sort_keys=False),
            "recipe_file": f"{manifest.request.recipe_name}.yaml",
            "commands": _commands(manifest),
        }
    script = resources.files("pipelines.audit").joinpath("report.js").read_text(encoding="utf-8")
    return render("audit/report.html.j2", script=script, **context)


_SECTIONS = [
    ("findings", "Findings"),
    ("pictures", "Pictures"),
    ("parameters", "Parameters"),
    ("pixels", "Pixels"),
    ("variety", "Variety and duplicates"),
    ("classes", "Classes"),
    ("rejects", "Rejects"),
    ("recipe", "Recipe"),
    ("again", "Make it again"),
]


def _verdict(audit: Audit) -> dict[str, Any]:
    """The outcome in a word and a few sentences."""
    if audit.findings:
        number = len(audit.findings)
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(audit.findings.counts.items()))
        status, word = "bad", "1 finding" if number == 1 else f"{number:,} findings"
        sentences = [f"By kind: {kinds}."]
        if audit.parity:
            sentences.append(f"Samples were derived in another parity class: {measured(audit.parity)}.")
    else:
        status, word = ("unsure" if audit.parity else "good"), "Nothing was found"
        said = verdict(audit)
        sentences = [f"{said[0].upper()}{said[1:]}."]
    if audit.parity:
        made = ", ".join(
            f"{what} {was} then and {now} now" for what, (was, now) in audit.parity.differs.items()
        )
        sentences.append(f"The parity classes differ in {made}.")
    if audit.unchecked:
        sentences.append("Not everything could be checked; see the findings.")
    return {"status": status, "word": word, "sentences": sentences}


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    request = manifest.request
    height, width = manifest.image_size
    return [
        ("sources", f"{sum(split.written for split in manifest.splits.values()):,}"),
        ("copies", f"{request.copies:,}"),
        ("records", f"{manifest.records:,}"),
        ("rejects", f"{manifest.rejects:,}"),
        ("classes", f"{len(manifest.classes):,}"),
        ("splits", ", ".join(manifest.splits)),
        ("height × width", f"{height} × {width}"),
        ("storage", str(request.recipe["storage"]["format"])),
        ("recipe", request.recipe_name),
        ("seed", str(request.seed)),
    ]


_CHECKED = {
    "files": "files compared with their digests",
    "records": "records read, with their checksums and their rows",
    "rows": "rows of the samples table",
    "draws": "drawn parameters computed again",
    "pixels": "records decoded and compared with the digests of their pixels",
    "sources": "sources compared with their digests",
    "derived": "samples made again from their sources and compared pixel by pixel",
    "rejects": "rejected files looked at again",
}


def _checked(audit: Audit) -> list[tuple[str, str]]:
    return [(f"{audit.checked[what]:,}", words) for what, words in _CHECKED.items() if audit.checked[what]]


def _pictures(audit: Audit, manifest: Manifest, found: Statistics) -> dict[str, Any]:
    """What the template shows of single images."""
    shown = pictures(audit, found)
    ops = Ops(manifest.request.parsed_recipe(), [fit.name for fit in found.fits])
    sheets = cards(shown, list(audit.findings), found.duplicates, ops)
    tiles = [tile for card in sheets for tile in card.tiles]
    fits = [fit for fit in found.fits if not fit.yes_or_no]
    fits.sort(key=lambda fit: ops.is_operation(fit.name))  # their figures are higher
    drawn = [
        plots.of_operations(fit) if ops.is_operation(fit.name) else plots.of_parameter(fit)
        for fit in fits[:FIGURES]
    ]
    return {
        "cards": sheets,
        "classes": sorted({card.label for card in sheets}),
        "ops": sorted({op for tile in tiles for op in tile.ops}),
        "parameters": ops.parameters,
        "kinds": _kinds(sheets),
        "notes": NOTES,
        "figures": list(zip(fits, drawn, strict=False)),
        **_looks(shown),
    }


def _kinds(sheets: list[Card]) -> list[tuple[str, str]]:
    """What pictures can be filtered by, with what it means: kinds of findings first, then notes."""
    kinds = {kind for card in sheets for kind in card.kinds}
    kinds |= {kind for card in sheets for tile in card.tiles for kind in tile.kinds}
    return [(kind, "finding") for kind in sorted(kinds - NOTES.keys())] + [
        (kind, NOTES[kind]) for kind in NOTES if kind in kinds
    ]


def _looks(shown: list[Shown]) -> dict[str, Any]:
    """What the pixels of those that are shown tell, before and after."""
    copies = [copy for one in shown for copy in one.copies if copy.copy != NOT_AUGMENTED]
    before = Summary.of([one.original.look for one in shown if one.original])
    after = Summary.of([copy.picture.look for copy in copies if copy.picture])
    differences = np.array([copy.difference for copy in copies if copy.difference is not None])
    return {
        "before": before,
        "after": after,
        "near": int(sum("near" in copy.notes for copy in copies)),
        "differences": len(differences),
        "levels_figure": plots.of_levels(before.levels if before else None, after.levels) if after else "",
        "differences_figure": plots.of_differences(differences) if len(differences) else "",
    }


def _statistics(manifest: Manifest, found: Statistics) -> dict[str, Any]:
    """What the template shows of the dataset as a whole."""
    totals = {label: [found.records[split][label] for split in manifest.splits] for label in manifest.classes}
    sizes = sorted(map(sum, totals.values())) or [0]
    largest = set(sorted(totals, key=lambda label: -sum(totals[label]))[:CLASSES])
    return {
        "found": found,
        "alarm": f"one in {1 / ALARM:,.0f}",
        "splits": list(manifest.splits),
        "totals": {label: counts for label, counts in totals.items() if label in largest},
        "sizes": (sizes[0], sizes[len(sizes) // 2], max(sizes[-1], 1)),
        "all_classes": len(totals),
        "groups": found.duplicates.groups[:GROUPS],
        "ignored": Counter(manifest.ignored).most_common(),
    }


def _commands(manifest: Manifest) -> list[str]:
    """What to type for the same dataset. DIR and OUT stand for places, which are nobody's business."""
    request = manifest.request
    words = ["augshard", "materialize", "--input", "DIR", "--output", "OUT"]
    words += ["--recipe", f"{request.recipe_name}.yaml", "--seed", str(request.seed)]
    words += ["--copies", str(request.copies), "--name", request.name]
    if request.augment_splits:
        words += ["--augment-splits", ",".join(request.augment_splits)]
    if request.split_fractions:
        words += ["--split-fractions", ",".join(f"{s}={f}" for s, f in request.split_fractions.items())]
    if request.layout != "auto":
        words += ["--layout", request.layout]
    if request.shards:
        words += ["--shards", str(request.shards)]
    elif request.shard_bytes != Request.model_fields["shard_bytes"].default:
        words += ["--shard-size", str(request.shard_bytes)]
    if request.originals:
        words.append("--include-originals")
    for module in request.plugins:
        words += ["--plugin", module]
    return [shlex.join(words), "augshard audit OUT --input DIR --samples all"]
