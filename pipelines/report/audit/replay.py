"""`augshard audit --sample`: a replay as text, and as a strip of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from augment.ops.operations import OPERATIONS
from augment.ops.policy import operation_columns
from augment.targets import Moved
from pipelines.audit.replay import Replay, Stage
from pipelines.report.captions import UNCHANGED, said
from pipelines.report.drawing import Overlay
from pipelines.report.numbers import short
from pipelines.report.sheet import Picture, draw_sheet, save_sheet
from pipelines.report.table import Table

_IN_A_ROW = 6


def as_text(found: Replay, strip: str) -> str:
    """Every op with what it drew, and whether record and row are what was derived."""
    height, width = found.image.shape[:2]
    others = ", ".join(found.other_draws)
    facts = [
        ("source", f"{found.source}, {height}x{width}{', changed since' * found.changed}"),
        ("record", f"{found.shard}, record {found.record}"),
        ("draws", f"the samples table has other values of {others}" if others else "as in the samples table"),
        ("digest", f"{'as' if found.same_digest else 'not as'} in the samples table"),
        *([("targets", found.targets.difference or "as in the record")] if found.targets else []),
        ("match", match(found)),
        ("strip", strip),
    ]
    ops = [(stage.op.id, short(stage.applied), _drawn(stage)) for stage in found.stages]
    return Table(("op", "applied", "drawn"), ops).text + "\n" + Table((), facts).text


def match(found: Replay) -> str:
    """Whether the record has the pixels that were derived, as a sentence."""
    if found.stored is None:
        return "no: there is no such record where the samples table says, or it cannot be read"
    difference = np.abs(found.sample.astype(np.int16) - found.stored)
    if not difference.any():
        if found.same_class:
            return "yes: the record has the same pixels"
        return "no difference, though derived in another parity class than the record's"
    return (
        f"{'no' if found.same_class else 'derived in another parity class'}: the record differs in "
        f"{int(difference.any(axis=-1).sum()):,} of {difference[..., 0].size:,} pixels, "
        f"by up to {int(difference.max())} levels"
    )


def _drawn(stage: Stage) -> str:
    operations = operation_columns((stage.op,), stage.drawn)
    rows = [
        (name, f"{value} {OPERATIONS[value]}" if f"{stage.op.id}.{name}" in operations else _exact(value))
        for name, value in stage.parameters.items()
    ]
    return Table((), rows or [("",)]).text[:-1]


def _exact(value: Any) -> str:
    """So many digits that no two values of float32 look the same."""
    if isinstance(value, np.integer):
        return str(value)
    return f"{value:.9g}" if isinstance(value, np.floating) else short(value)


def write_strip(found: Replay, path: str) -> None:
    """Writes a PNG with the source, the image after each op, and the record.

    Raises RequestError if it cannot be written.
    """
    pictures = pictures_of(found)
    rows_needed = -(-len(pictures) // _IN_A_ROW)
    each = -(-len(pictures) // rows_needed)  # lest one stand alone
    rows = [
        ("" if first else found.source, pictures[first : first + each])
        for first in range(0, len(pictures), each)
    ]
    save_sheet(draw_sheet(rows, f"copy {found.copy}, op after op"), path)


def pictures_of(found: Replay) -> list[Picture]:
    """The source, the image after each op, and the record."""

    def overlay(moved: Moved | None) -> Overlay | None:
        return Overlay(moved, found.targets.targets) if moved and found.targets else None

    known, stored = (found.targets.source, found.targets.stored) if found.targets else (None, None)
    pictures = [Picture(found.image, "source", overlay=overlay(known))]
    for number, stage in enumerate(found.stages, start=1):
        words = ", ".join(said((stage.op,), stage.drawn)) or UNCHANGED * (not stage.op.deterministic)
        title = f"{number} {stage.op.id}"
        pictures.append(
            Picture(stage.pixels, title, words if stage.applied else "not applied", overlay(stage.moved))
        )
    if found.stored is not None:
        pictures.append(Picture(found.stored, "the record", overlay=overlay(stored)))
    return pictures
