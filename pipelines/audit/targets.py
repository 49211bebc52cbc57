"""Targets derived again from what their sources are annotated with, and compared with records and rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from augment.draws import Draw
from augment.recipe import Recipe
from pipelines import storage
from pipelines.audit.findings import Finding
from pipelines.format.example import Record
from pipelines.format.targets import difference
from pipelines.sources import Reject
from pipelines.targets import TargetsDeriver


@dataclasses.dataclass(frozen=True)
class Claim:
    """One sample of a dataset, as it stands there."""

    file: str
    number: int
    """of its record"""
    copy: int
    row: Mapping[str, Any]
    """of the samples table"""
    record: Callable[[], Record | None]


class TargetsCheck:
    """Looks at the targets of one dataset's samples. Used by several threads at once.

    Args:
        deriver: makes them again.
        recipe: of the dataset.
        annotations: what each source is annotated with now.
    """

    def __init__(self, deriver: TargetsDeriver, recipe: Recipe, annotations: Mapping[str, bytes]) -> None:
        self._deriver, self._recipe, self._annotations = deriver, recipe, annotations

    def why_not(self, source: str, contents: bytes) -> Reject | None:
        """Why a source cannot be used that can be decoded; None if it can. Raises OSError."""
        if source not in self._annotations:
            return None
        size = self._recipe.decode_source(contents).shape[:2]
        found = self._deriver.read(source, self._annotations[source], size)
        return found if isinstance(found, Reject) else None

    def findings(
        self, source: str, size: tuple[int, int], claims: Sequence[tuple[Claim, Draw | None]]
    ) -> Iterator[Finding]:
        """What is wrong with samples of a source whose image has `size`; each comes with its draw."""
        packed = self._annotations.get(source)
        if packed is None:
            yield Finding("annotation", "nothing says any more what is in it", source=source)
            return
        try:
            annotated = self._deriver.read(source, packed, size)
        except OSError as error:
            yield Finding("annotation", storage.reason(error), source=source)
            return
        if isinstance(annotated, Reject):
            message = f"it is {annotated.reason} now: {annotated.detail}"
            yield Finding("annotation", message, source=source)
            return
        of_source = annotated.columns(self._deriver.targets)
        if any(claim.row.get("annotation_sha256") != annotated.sha256 for claim, _ in claims):
            message = "what it is annotated with changed: its SHA-256 is not the one in the samples table"
            yield Finding("annotation", message, source=source)
            return
        for claim, draw in claims:
            try:
                sample = self._deriver.sample(annotated, size, draw, claim.row["class"])
            except ValueError as error:
                yield Finding("annotation", str(error), source=source)
                return
            right = of_source | sample.columns
            wrong = [name for name, value in right.items() if claim.row.get(name) != value]
            if wrong:
                message = "what follows from its annotation differs from "
                message += self._how(claim, sample.entries) or f"the samples table in {', '.join(wrong)}"
                yield Finding("targets", message, claim.file, claim.number, source, claim.copy)

    def _how(self, claim: Claim, right: bytes) -> str:
        record = claim.record()
        told = record and difference(record.targets, right, self._deriver.targets, self._recipe.image_shape)
        return f"the record: {told}" if told else ""
