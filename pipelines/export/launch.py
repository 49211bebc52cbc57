"""From a request on the command line to a finished export: check, run, report."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from augment.errors import RequestError
from augment.keys import source_words
from pipelines import process, storage
from pipelines.engines.engine import Engine, JobFailed, Rows
from pipelines.export.commit import DONE, Run, finish, saved_failure
from pipelines.export.formats import Format
from pipelines.export.known import form_of, format_named
from pipelines.export.progress import ProgressBar
from pipelines.export.request import (
    BEGUN,
    ExportManifest,
    ExportRequest,
    chosen,
    read_export,
    read_request,
)
from pipelines.export.shard import WHOLE
from pipelines.format.layout import ERROR, EXPORT, JOB, LOCK, OUTCOME, PROGRESS, SCRATCH, STOP, WORK
from pipelines.format.manifest import Manifest, json_text, read_manifest
from pipelines.format.stored import read_rows
from pipelines.format.work import clear_work

_WORK = {
    os.path.basename(path) for path in (BEGUN, DONE, WHOLE, OUTCOME, JOB, PROGRESS, SCRATCH, STOP, ERROR)
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """What came of a command."""

    manifest: ExportManifest | None = None
    how_to_read: str = ""
    new: bool = True
    """whether there was anything to do"""
    elsewhere: Rows = dataclasses.field(default_factory=dict)
    """what there is to tell of a job that goes on, or begins, without this process"""


def launch(
    directory: str,
    *,
    to: str,
    output: str,
    engine: Engine,
    splits: Sequence[str] | None = None,
    copies: Sequence[int] | None = None,
) -> Exported:
    """Exports a dataset, goes on where an export was stopped, or finds that nothing is to do.

    Raises RequestError if what is asked is wrong, JobFailed if the work failed.
    """
    format_named(to)
    directory, output = (storage.at(path).absolute() for path in (directory, output))
    storage.check_text(output, "output")
    manifest = read_manifest(directory)
    request = _request(directory, manifest, to, chosen(directory, manifest, splits, copies))
    form = form_of(request, manifest)
    if reason := form.why_not():
        raise RequestError(f"{directory}: it cannot be exported --to {to}: {reason}")
    run = Run(directory, output, awaited=engine.awaited)
    if engine.dry_run:
        return Exported(elsewhere=engine.described(_pipeline(engine, manifest, request, run)))
    storage.at(output).check_writable()
    _check_apart(directory, output)
    if _is_finished(output, request) and not storage.at(output).names(WORK):
        return Exported(read_export(output), form.how_to_read(output, list(request.copies)), new=False)
    with storage.at(output).locked(f"{WORK}/{LOCK}"):
        if not _is_finished(output, request):
            elsewhere = _run(engine, manifest, request, run)
            if elsewhere:
                return Exported(elsewhere=elsewhere)
        clear_work(output)
    return Exported(read_export(output), form.how_to_read(output, list(request.copies)))


def _run(engine: Engine, manifest: Manifest, request: ExportRequest, run: Run) -> Rows | None:
    """Has the export written; what there is to tell of it if it goes on elsewhere."""
    out = storage.at(run.output)
    job = engine.rejoin(manifest.request, run.output)
    if not job:
        if out.size(DONE) is not None:
            finish(run.output)
            return None
        for leftover in (OUTCOME, PROGRESS, SCRATCH, STOP, ERROR):
            out.remove(leftover)
        out.write(BEGUN, json_text(request.model_dump(mode="json")))
        job = engine.submit(_pipeline(engine, manifest, request, run), manifest.request, run.output)
    process.started()
    try:
        with ProgressBar(run.output, sum(1 for _ in request.shards(manifest))):
            rows = engine.follow(job, run.output, lambda: out.write(STOP, ""))
    except JobFailed as failure:
        details = failure.details.strip().splitlines()
        raise JobFailed(saved_failure(run.output) or str(failure) or details[-1]) from None
    if rows:
        return rows
    if said := saved_failure(run.output):
        raise JobFailed(said)
    return None


def _pipeline(engine: Engine, manifest: Manifest, request: ExportRequest, run: Run) -> Any:
    from pipelines.export.pipeline import export

    pipeline = engine.pipeline(manifest.request.name, run.output)
    export(pipeline, request=request, run=run, shards=request.shards(manifest))
    return pipeline


def _request(
    directory: str, manifest: Manifest, to: str, copies: dict[str, tuple[int, ...]]
) -> ExportRequest:
    form: type[Format] = format_named(to)
    short = form(manifest, keeps_extensions=False)
    keeps = form.shows_pictures and any(
        _clash(directory, manifest, short, split, copies[split][0]) for split in copies
    )
    try:
        libraries = form(manifest, keeps_extensions=keeps).versions()
    except importlib.metadata.PackageNotFoundError as missing:
        raise RequestError(
            f"--to {to}: it needs the extra {form.extra}, which is not installed ({missing.name}): "
            f"make install EXTRAS={form.extra}"
        ) from None
    return ExportRequest(
        dataset=manifest.digest,
        name=manifest.request.name,
        to=to,
        copies=copies,
        keeps_extensions=keeps,
        libraries=libraries,
    )


def _clash(directory: str, manifest: Manifest, form: Format, split: str, copy: int) -> bool:
    """Whether short names of two sources of a split are equal; by 64 bits of a hash of each."""
    names = []
    for number in range(manifest.groups(split, copy)):
        try:
            rows = read_rows(directory, manifest, split, copy, number, ["source"])
        except (OSError, ValueError) as error:
            raise RequestError(
                f"{directory}: the samples of split {split}, copy {copy} cannot be read ({error}); "
                f"augshard audit {directory} says more"
            ) from None
        names.append(source_words(form.stem(source, split) for source in rows["source"].to_pylist()))
    words = np.concatenate(names)
    return len(np.unique(words, axis=0)) < len(words)


def _check_apart(directory: str, output: str) -> None:
    one, other = (os.path.join(storage.at(path).real(), "") for path in (directory, output))
    if one.startswith(other) or other.startswith(one):
        raise RequestError(
            f"output {output}: it lies in the dataset, or the dataset in it; give one elsewhere"
        )


def _is_finished(output: str, request: ExportRequest) -> bool:
    """Whether the export is there. Raises RequestError for an output that holds anything else.

    What is there is never removed: neither another export, nor files of others.
    """
    out = storage.at(output)
    try:
        there = out.names() - {WORK}
        inside = out.names(WORK) - {LOCK}
    except OSError as error:
        raise RequestError(f"output {output}: {storage.reason(error)}") from None
    finished = EXPORT in there
    begun = read_export(output).request if finished else read_request(output)
    known = _WORK if begun else {os.path.basename(SCRATCH)}  # in which the request itself was begun
    strangers = sorted(f"{WORK}/{name}" for name in inside - known)
    if begun is None or (out.is_file_system and not finished and out.size(DONE) is None):
        strangers = sorted(there) + strangers  # where files get their names last of all
    if strangers:
        more = f" and {len(strangers) - 1:,} more" if len(strangers) > 1 else ""
        raise RequestError(
            f"output {output}: it holds files that are no export of augshard's ({strangers[0]}{more}); give "
            "an empty or new directory"
        )
    if begun is None:
        return False
    differences = request.differences(begun)
    if differences:
        raise RequestError(
            f"output {output}: it holds another export: {'; '.join(differences)}. Export to another "
            "directory, or remove this one"
        )
    return finished and _all_there(output)


def _all_there(output: str) -> bool:
    """Raises RequestError for a finished export that is not what it was."""
    files = read_export(output).files
    sizes = storage.at(output).sizes(files)
    gone = next((name for name, file in sorted(files.items()) if sizes[name] != file.bytes), None)
    if gone is not None:
        raise RequestError(
            f"{os.path.join(output, gone)}: it was exported, and is gone or changed; remove {output}, or "
            "export to another directory"
        )
    return True
