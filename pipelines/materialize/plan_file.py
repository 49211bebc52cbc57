"""Keeping the plan beside the unfinished dataset, for a resume and for the progress bar."""

from __future__ import annotations

import collections
from typing import NamedTuple

from pydantic import ValidationError

from augment.augmenter import NOT_AUGMENTED
from pipelines import storage
from pipelines.format.bounds import MANIFEST_BYTES
from pipelines.format.copies import RankOf
from pipelines.format.inside import read_in
from pipelines.format.layout import PLAN, PLANNED, SAMPLES, shard_of
from pipelines.format.manifest import json_text
from pipelines.format.request import Request
from pipelines.plan import Plan, Stored, make_plan
from pipelines.sources import Listing
from pipelines.sources.depth import dim
from pipelines.sources.found import Place


class Begun(NamedTuple):
    """What an output was begun with, and has to be gone on with."""

    listing_digest: str
    parity_class: dict[str, str]
    stored: Stored


def plan_and_save(
    _: bytes,
    listing: Listing,
    request: Request,
    root: str,
    output: str,
    begun: Begun | None,
    last: dict[Place, RankOf] | None = None,
) -> Plan:
    """Makes the plan and, if it has no errors, saves it."""
    plan = make_plan(request, listing, begun and begun.listing_digest, last, begun and begun.stored)
    if begun and begun.parity_class:
        plan = plan.model_copy(update={"parity_class": begun.parity_class})
    if not plan.errors:
        plan = plan.model_copy(update={"warnings": (*plan.warnings, *dim(root, listing))})
        storage.at(output).write(PLAN, json_text(plan.model_dump(mode="json")))
        storage.at(output).note(PLANNED, "")
    return plan


def saved_plan(output: str, name: str = PLAN) -> Plan | None:
    """The plan of an unfinished dataset, None if there is none."""
    try:
        return Plan.model_validate_json(read_in(output, name, MANIFEST_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


class Unfinished(NamedTuple):
    """What there is of a dataset whose run did not end."""

    shards: int
    of: int
    """so many that there are to be"""
    copies: int
    """of which all shards are there"""


def unfinished(plan: Plan, output: str) -> Unfinished:
    """By the names of receipts alone."""
    found = collections.Counter[int]()
    wanted = collections.Counter[int]()
    for split in plan.splits:
        for tier in plan.tiers(split):
            wanted.update(dict.fromkeys(tier.copies, tier.groups))
    for name in storage.at(output).names(SAMPLES):
        shard = shard_of(f"{SAMPLES}/{name}", plan.request.name)
        if shard and plan.has(shard):
            found[shard.copy] += 1
    copies = sum(found[copy] == count for copy, count in wanted.items() if copy != NOT_AUGMENTED)
    return Unfinished(found.total(), wanted.total(), copies)
