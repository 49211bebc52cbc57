"""The last step: from the files of all shards to a finished export, or to what is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipelines import storage
from pipelines.export.formats import Format, Lines
from pipelines.export.known import form_of
from pipelines.export.request import ExportManifest, ExportRequest
from pipelines.export.shard import WHOLE, Written, unfinished
from pipelines.format.bounds import MANIFEST_BYTES
from pipelines.format.inside import read_in, read_record
from pipelines.format.layout import EXPORT, OUTCOME, WORK, Shard
from pipelines.format.manifest import File, json_text, read_manifest
from pipelines.format.work import clear_work

DONE = f"{WORK}/done.json"
"""The manifest of an export all of whose files are there, while they get their names."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What may differ between two runs that write the same bytes."""

    directory: str
    """the dataset"""
    output: str
    awaited: bool = True
    """whether a launcher tells the user what came of it; else the job has to fail with it"""


class Outcome(BaseModel):
    """Why there is no export; what is finished is kept for another run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure: str


def commit(_: bytes, written: Iterable[Written], request: ExportRequest, run: Run) -> None:
    """Makes an export of what was written if that is all, and says what is wrong otherwise."""
    written = list(written)
    manifest = read_manifest(run.directory)
    form, shards = form_of(request, manifest), list(request.shards(manifest))
    files = {one.name: one.file for one in written if one.file}
    missing = len(shards) - len(files)
    faults = sorted({one.fault for one in written if one.fault})
    if faults or missing:
        said = faults or [f"{missing} of {len(shards)} shards were not written; run it again to go on"]
        return _fail(run, said[0])
    out = storage.at(run.output)
    lists = {split: _lines(out, form, [s for s in shards if s.split == split]) for split in request.copies}
    texts = [(name, iter([text])) for name, text in form.texts(files).items()]
    for name, parts in (*texts, *form.joined(lists)):
        files[name] = _write(out, unfinished(out, name), parts)
    records = sum(file.records or 0 for file in files.values())
    if out.is_file_system:
        there, expected = sum(1 for _ in out.list(WHOLE)), len(files) + form.files_beside(lists)
        if there != expected:
            return _fail(
                run,
                f"{out.to(WHOLE)}: it holds {there:,} files, and the export has {expected:,}: two samples "
                "have one name there, or others wrote there; see which, and export to another directory",
            )
    done = ExportManifest(request=request, records=records, files=files)
    out.write(DONE, json_text(done.model_dump(mode="json", exclude_none=True)))
    return finish(run.output)


def _lines(out: storage.Location, form: Format, shards: list[Shard]) -> Lines:
    """Reads the lists of shards: of images, or whatever stands a line in their files."""

    def lines() -> Iterator[dict[str, Any]]:
        for shard in shards:
            with out.open(unfinished(out, form.file(shard))) as file:
                yield from map(json.loads, file)

    return lines


def _write(out: storage.Location, name: str, parts: Iterable[str]) -> File:
    digest, size = hashlib.sha256(), 0
    with out.writing(name) as file:
        for part in parts:
            content = part.encode()
            file.write(content)
            digest.update(content)
            size += len(content)
    return File(bytes=size, sha256=digest.hexdigest())


def finish(output: str) -> None:
    """Gives all that was written its name, and then the manifest."""
    out = storage.at(output)
    if out.is_file_system:
        for name in sorted(out.names(WHOLE)):
            out.place(out.to(f"{WHOLE}/{name}"), name)
        out.settle("")
    out.write(EXPORT, read_in(output, DONE, MANIFEST_BYTES))
    clear_work(output)


def _fail(run: Run, sentence: str) -> None:
    storage.at(run.output).write(OUTCOME, json_text(Outcome(failure=sentence).model_dump()))
    if not run.awaited:
        raise RuntimeError(sentence)


def saved_failure(output: str) -> str:
    """Why there is no export; empty if no run said so."""
    there = storage.at(output).size(OUTCOME) is not None
    return read_record(output, OUTCOME, Outcome).failure if there else ""
