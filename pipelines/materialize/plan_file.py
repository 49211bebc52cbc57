"""Keeping the plan beside the unfinished dataset, for a resume and for the progress bar."""

from __future__ import annotations

from pydantic import ValidationError

from pipelines import storage
from pipelines.format.layout import PLAN
from pipelines.format.manifest import json_text
from pipelines.format.request import Request
from pipelines.plan import Plan, make_plan
from pipelines.sources import Listing
from pipelines.sources.depth import dim


def plan_and_save(
    listing: Listing, request: Request, root: str, output: str, expected_digest: str | None
) -> Plan:
    """Makes the plan and, if it has no errors, saves it."""
    plan = make_plan(request, listing, expected_digest)
    if not plan.errors:
        plan = plan.model_copy(update={"warnings": (*plan.warnings, *dim(root, listing))})
        storage.at(output).write(PLAN, json_text(plan.model_dump(mode="json")))
    return plan


def saved_plan(output: str, name: str = PLAN) -> Plan | None:
    """The plan of an unfinished dataset, None if there is none."""
    try:
        return Plan.model_validate_json(storage.at(output).read(name))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
