"""`augshard export`: checks what was typed, launches, and says what came of it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence

from augment.errors import RequestError
from pipelines.engines import choose
from pipelines.engines.engine import JobFailed
from pipelines.export.known import format_named
from pipelines.export.launch import Exported, launch
from pipelines.export.pictures import Pictures


def export_command(
    directory: str,
    *,
    to: str,
    output: str,
    splits: str | None = None,
    copies: str | None = None,
    runner: str = "embedded",
    beam_arguments: Sequence[str] = (),
    our_options: Sequence[str] = (),
) -> None:
    """Raises RequestError for a wrong request; exits with status 1 if the work fails."""
    logging.disable(logging.CRITICAL)  # of Beam's loggers, which show a failure that we sum up
    engine = choose(runner, beam_arguments)
    engine.check({"OUT": directory, "--output": output}, our_options)
    try:
        exported = launch(
            directory,
            to=to,
            output=output,
            engine=engine,
            splits=[split.strip() for split in splits.split(",")] if splits else None,
            copies=_numbers(copies) if copies else None,
        )
    except JobFailed as failure:
        sys.stderr.write(f"augshard: {failure}\n")
        sys.exit(1)
    rows = exported.elsewhere or _table(exported, output)
    width = max(map(len, rows))
    sys.stdout.write("".join(f"{name:{width}}  {value}\n" for name, value in rows.items()))


def _numbers(copies: str) -> list[int]:
    """Raises RequestError."""
    if not re.fullmatch(r"\s*-?\d{1,9}(\s*,\s*-?\d{1,9})*\s*", copies, re.ASCII):
        raise RequestError(f"--copies is {copies!r}; it must be numbers with commas, such as 0,1")
    return [int(copy) for copy in copies.split(",")]


def _table(exported: Exported, output: str) -> dict[str, str]:
    manifest = exported.manifest
    assert manifest is not None  # noqa: S101 (of an export that is finished)
    size = sum(file.bytes for file in manifest.files.values())
    files = f"{len(manifest.files):,}, {size / 1e6:,.1f} MB"
    if issubclass(format_named(manifest.request.to), Pictures):
        lists = sum(file.records is not None for file in manifest.files.values())
        files = f"{manifest.records:,} images, which {lists:,} files list"
    copies = (f"{split} {', '.join(map(str, copies))}" for split, copies in manifest.request.copies.items())
    return {
        "format": manifest.request.to,
        "copies": "; ".join(copies),
        "records": f"{manifest.records:,}" + ("" if exported.new else " (nothing was left to do)"),
        "files": files,
        "export": output,
        "next": exported.how_to_read,
    }
