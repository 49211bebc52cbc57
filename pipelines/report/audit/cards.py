"""In what order the sources of a page stand."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence

from pipelines.audit.findings import Finding
from pipelines.audit.statistics import Duplicates
from pipelines.report.audit.gallery import Card


def cards(shown: Sequence[Card], findings: Sequence[Finding], duplicates: Duplicates) -> list[Card]:
    """With their findings; those first, then one of each class, then a second one of each, and so on."""
    kinds: dict[tuple[str | None, int | None], set[str]] = defaultdict(set)
    for finding in findings:
        kinds[finding.source, finding.copy].add(finding.kind)
    for places in duplicates.groups:
        for place in places:
            kinds[place.source, None].add("leak" if len({place.split for place in places}) > 1 else "twice")

    def of(source: str, copy: int | None) -> tuple[str, ...]:
        return tuple(sorted(kinds[source, copy]))

    ranks: Counter[tuple[str, str]] = Counter()
    ordered = []
    for one in shown:
        tiles = tuple(
            tile if tile.copy is None else dataclasses.replace(tile, findings=of(one.source, tile.copy))
            for tile in one.tiles
        )
        card = dataclasses.replace(one, tiles=tiles, kinds=of(one.source, None))
        ordered.append(((not card.alarming, ranks[one.split, one.label], one.label, one.source), card))
        ranks[one.split, one.label] += 1
    return [card for _, card in sorted(ordered, key=lambda pair: pair[0])]
