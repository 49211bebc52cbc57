"""`augshard audit --report`: all that was found, with pictures, in one HTML file.

It names no path of the machine and no time: equal datasets give equal reports.
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any, Literal

import numpy as np
import yaml

from augment.augmenter import NOT_AUGMENTED
from pipelines.audit.distributions import ALARM, Fit
from pipelines.audit.findings import Audit
from pipelines.audit.statistics import Duplicates, Statistics
from pipelines.format.manifest import Manifest
from pipelines.format.request import Request
from pipelines.report.audit import figures
from pipelines.report.audit.cards import cards
from pipelines.report.audit.gallery import Card, gallery
from pipelines.report.audit.parameters import Parameters
from pipelines.report.audit.pixels import NOTES, PooledSummary
from pipelines.report.audit.summary import checked, headline, parity, proven
from pipelines.report.numbers import chance, count, listed, part_of, percent, within
from pipelines.report.page import Headline, bundled, render
from pipelines.report.table import Alarm, Table

FINDINGS = 200
"""Findings that are listed; the JSON has more."""
FIGURES = 60
"""Parameters with a figure; the table has all."""
GROUPS = 50
"""Groups of duplicates that are listed."""
CLASSES = 1000
"""Classes that are listed: the largest, if there are more."""


def page(audit: Audit) -> str:
    """The report of an audit as HTML."""
    manifest, found = audit.manifest, audit.statistics
    name = manifest.request.name if manifest else "damaged dataset"
    whole = manifest is not None and found is not None
    context: dict[str, Any] = {
        "title": f"{name}: audit",
        "kicker": "augshard audit",
        "heading": name,
        "headline": _headline(audit),
        "facts": _facts(manifest) if manifest else [],
        "checked": Table((), checked(audit), (1,)),
        "audit": audit,
        "findings": _findings(audit),
        "whole": whole,
    }
    if manifest is not None and found is not None:
        parameters = Parameters(manifest.request.parsed_recipe(), found.fits)
        context |= {
            **_pictures(audit, manifest, found, parameters),
            **_of_the_whole(manifest, found),
            "parameters": parameters,
            "fits": _fits(found.fits, parameters),
            "recipe": yaml.safe_dump(manifest.request.parsed_recipe().canonical(), sort_keys=False),
            "recipe_file": f"{manifest.request.recipe_name}.yaml",
            "commands": _commands(manifest.request),
        }
    return render("audit/page.html.j2", script=bundled("audit/page.js"), **context)


def _headline(audit: Audit) -> Headline:
    """The outcome in a word and a few rows."""
    words = headline(audit)
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(audit.findings.counts.items()))
    rows = [
        *((("by kind", kinds),) if kinds else ()),
        *(("proven", sentence) for sentence in proven(audit)),
        *(("parity", sentence) for sentence in parity(audit)),
        *((("not checked", "not everything could be; see the findings"),) if audit.unchecked else ()),
    ]
    clean: Literal["unsure", "good"] = "unsure" if audit.parity else "good"
    return Headline("bad" if audit.findings else clean, words[0].upper() + words[1:], rows)


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    request = manifest.request
    height, width = manifest.image_size
    return [
        ("sources", count(sum(split.written for split in manifest.splits.values()))),
        ("copies", request.how_many.removesuffix(" copies")),
        ("records", count(manifest.records)),
        ("rejects", count(manifest.rejects)),
        ("classes", count(len(manifest.classes))),
        ("splits", ", ".join(manifest.splits)),
        ("height × width", f"{height} × {width}" + ", gray" * (request.channels == 1)),
        ("storage", str(request.recipe["storage"]["format"])),
        ("recipe", request.recipe_name),
        ("seed", str(request.seed)),
    ]


def _findings(audit: Audit) -> Table:
    rows = [(finding.kind, finding.where, finding.message) for finding in audit.findings]
    return Table(("kind", "where", "what"), rows[:FINDINGS], names=(1, 2))


def _pictures(audit: Audit, manifest: Manifest, found: Statistics, parameters: Parameters) -> dict[str, Any]:
    """What the template shows of single images."""
    sheets = cards(gallery(audit, manifest, found), list(audit.findings), found.duplicates)
    fits = [fit for fit in found.fits if fit.biased or parameters.kind(fit.name) in _WITH_FIGURES]
    fits.sort(key=lambda fit: parameters.kind(fit.name) == "operation")  # their figures are higher
    drawn = [figures.of_parameter(fit, parameters) for fit in fits[:FIGURES]]
    return {
        "cards": sheets,
        "classes": sorted({card.label for card in sheets}),
        "ops": sorted(
            {op for card in sheets for tile in card.tiles for op in parameters.applied(tile.drawn)}
        ),
        "kinds": _kinds(sheets),
        "notes": NOTES,
        "figures": list(zip(fits, drawn, strict=False)),
        **_pixels(sheets, manifest),
    }


def _kinds(sheets: list[Card]) -> list[tuple[str, str]]:
    """What pictures can be filtered by, with what it means: kinds of findings first, then notes."""
    kinds = {kind for card in sheets for kind in card.kinds}
    kinds |= {kind for card in sheets for tile in card.tiles for kind in tile.kinds}
    findings = [(kind, "finding") for kind in sorted(kinds - NOTES.keys())]
    return findings + [(kind, meaning) for kind, meaning in NOTES.items() if kind in kinds]


def _pixels(sheets: list[Card], manifest: Manifest) -> dict[str, Any]:
    """What the pixels of those that are shown tell, before and after."""
    tiles = [tile for card in sheets for tile in card.tiles]
    copies = [tile for tile in tiles if tile.copy not in (None, NOT_AUGMENTED)]
    sources = [tile.pixels for tile in tiles if tile.copy is None and tile.pixels]
    before = PooledSummary(sources) if sources else None
    stored = [tile.pixels for tile in copies if tile.pixels]
    after = PooledSummary(stored) if stored else None
    differences = np.array([tile.difference for tile in copies if tile.difference is not None])
    sides = [side for side in (before, after) if side]
    colors = ("gray",) if manifest.request.channels == 1 else ("red", "green", "blue")
    rows = [
        (f"{color}, mean ± deviation", *(f"{s.means[i]:.1f} ± {s.deviations[i]:.1f}" for s in sides))
        for i, color in enumerate(colors)
    ]
    rows += [
        (f"{note}\n{NOTES[note]}", *(percent(s.notes[note] / s.images) for s in sides))
        for note in ("saturated", "filled", "uniform")
    ]
    if len(differences):
        near = sum("near" in tile.kinds for tile in copies)
        rows.append((f"near\n{NOTES['near']}", "", percent(near / len(differences))))
    return {
        "before": before,
        "after": after,
        "pixels": Table(("", *(["sources"] if before else []), "copies"), rows, (1, 2), (0,)),
        "levels_figure": figures.of_levels(before.levels if before else None, after.levels) if after else "",
        "differences_figure": figures.of_differences(differences) if len(differences) else "",
    }


def _of_the_whole(manifest: Manifest, found: Statistics) -> dict[str, Any]:
    """What the template shows of the dataset as a whole."""
    totals = {label: [found.records[split][label] for split in manifest.splits] for label in manifest.classes}
    sizes = sorted(map(sum, totals.values())) or [0]
    largest = set(sorted(totals, key=lambda label: -sum(totals[label]))[:CLASSES])
    return {
        "found": found,
        "unread": listed(found.unread, 5),
        "alarm": f"one in {1 / ALARM:,.0f}",
        "variety": _variety(found),
        "duplicates": _duplicates(found.duplicates),
        "splits": list(manifest.splits),
        "totals": {label: counts for label, counts in totals.items() if label in largest},
        "sizes": (sizes[0], sizes[len(sizes) // 2], max(sizes[-1], 1)),
        "all_classes": len(totals),
        "reasons": _by_count(found.rejects),
        "rejects": Table(("source", "reason", "detail"), found.rejected, names=(0,)),
        "ignored": _by_count(Counter(manifest.ignored)),
        "class_of_parity": Table(
            (),
            [
                *((what, str(version)) for what, version in manifest.parity_class.items()),
                ("fingerprint", manifest.fingerprint),
                ("listing digest", manifest.listing_digest),
            ],
        ),
    }


def _by_count(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.most_common())


_WITH_FIGURES = ("amount", "operation", "order", "name")
"""Kinds of parameters that have one; others if what was drawn is not what is promised."""


def _fits(fits: list[Fit], parameters: Parameters) -> Table:
    rows = []
    for fit in fits:
        kind = parameters.kind(fit.name)
        if kind == "one value":
            continue
        values = [kind, "", "", ""]
        if kind == "yes or no":
            values = [kind, percent(fit.observed_mean), "", percent(fit.promised_mean)]
        if kind == "amount":
            drawn, promised = (
                " to ".join(within(fit.promised_range, end) for end in ends)
                for ends in (fit.observed_range, fit.promised_range)
            )
            means = [within(fit.promised_range, mean) for mean in (fit.observed_mean, fit.promised_mean)]
            values = [drawn, means[0], promised, means[1]]
        columns = ("drawn", "mean drawn", "promised", "mean promised")
        rows.append(
            {
                "parameter": fit.title,
                "draws": count(fit.draws),
                **dict(zip(columns, values, strict=True)),
                "deviation": f"{fit.deviation:.4f}",
                "noticed from": f"{fit.noticeable:.4f}" if fit.noticeable < 1 else "never",
                "chance": (Alarm if fit.biased else str)(chance(fit.p_value)),
            }
        )
    return Table.of(rows, names=("parameter",))


def _variety(found: Statistics) -> Table:
    return Table.of(
        [
            {
                "split": split,
                "copies that are images of their own": part_of(one.distinct, one.copies),
                "sources with copies that are equal": part_of(one.repeated, one.sources),
            }
            for split, one in found.variety.items()
        ]
    )


def _duplicates(found: Duplicates) -> Table:
    rows = [
        {
            "the same file": "\n".join([*(one.source for one in same[:8]), *_more(len(same) - 8)]),
            "split": "\n".join(one.split for one in same[:8]),
            "class": "\n".join(one.label for one in same[:8]),
        }
        for same in found.groups[:GROUPS]
    ]
    return Table.of(rows, names=("the same file", "split", "class"))


def _more(number: int) -> list[str]:
    return [f"and {number:,} more"] if number > 0 else []


def _commands(request: Request) -> list[str]:
    """What to type for the same dataset. DIR and OUT stand for places, which are nobody's business."""
    words = ["augshard", "materialize", "--input", "DIR", "--output", "OUT"]
    words += ["--recipe", f"{request.recipe_name}.yaml", "--seed", str(request.seed)]
    words += [*_copies(request), "--name", request.name]
    if request.augment_splits:
        words += ["--augment-splits", ",".join(request.augment_splits)]
    if request.split_fractions:
        words += ["--split-fractions", ",".join(f"{s}={f}" for s, f in request.split_fractions.items())]
    if request.group_by is not None:
        words += ["--group-by", request.group_by]
    if request.duplicates is not None:
        words += ["--duplicates", request.duplicates]
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


def _copies(request: Request) -> list[str]:
    """The options that say how many copies there are."""
    if request.class_copies is not None:
        named = (f"{label}={copies}" for label, copies in request.class_copies.items())
        return ["--copies", ",".join([str(request.copies), *named])]
    alike = ["--copies", str(request.copies)]
    if request.balance is None:
        return alike
    return ["--balance", str(request.balance), *(alike if request.copies > 1 else [])]
