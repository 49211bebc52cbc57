"""From a request on the command line to a finished dataset: check, run, report."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from typing import Any

from augment.errors import RequestError
from pipelines import storage
from pipelines.engines.engine import Engine, JobFailed, Rows
from pipelines.format.layout import MANIFEST, OUTCOME, PLAN, PROGRESS, RUN, SCRATCH, STOP
from pipelines.format.manifest import Manifest, parity_class, read_manifest
from pipelines.format.request import Request
from pipelines.materialize import belongings
from pipelines.materialize.finish import Outcome, Run, saved_outcome, summed_up
from pipelines.materialize.lock import only_run
from pipelines.materialize.plan_file import saved_plan
from pipelines.materialize.progress import ProgressBar, stop
from pipelines.plan import Plan, top_errors
from pipelines.sources import check_root, top_folders
from pipelines.storage.clients import without_secrets


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run did, for the table at its end."""

    manifest: Manifest
    new_records: int
    """that this run wrote; the others were there"""
    seconds: float
    warnings: tuple[str, ...] = ()


def launch(
    request: Request,
    *,
    root: str,
    output: str,
    max_rejects: float,
    overwrite: bool,
    engine: Engine,
    before_work: Callable[[], None] = lambda: None,
    tell: Callable[[Plan], object] = lambda _: None,
) -> Report | Rows:
    """Runs the job, resumes it, extends a dataset by copies, or finds that nothing is to do.

    Calls `before_work` once it is clear that there is something to do, and `tell` when it is planned. An
    engine may be asked not to wait, or for a dry run; what it left, or would submit, is then told.
    Raises RequestError if what is asked is wrong, JobFailed if the work failed.
    """
    if engine.dry_run:  # which asks neither the service nor a store for anything
        return engine.described(_pipeline(request, _run(root, output, max_rejects, engine), None, engine))
    root, output = check_root(root), storage.at(output).absolute()
    _check_output(root, output, overwrite)
    _check_input(root, request)
    with only_run(output):
        job = engine.rejoin(request, output)
        if not job:
            belongings.finish_emptying(output)
            if overwrite:
                belongings.empty(output)
            made_by, expected_digest, finished = _earlier(output)
            if made_by:
                _check_same(request, made_by, output, finished, workers_here=engine.workers_here)
            if finished and request == finished.request and _all_there(output, finished):
                storage.at(output).remove(PLAN)
                return Report(finished, 0, 0.0)
            for leftover in (OUTCOME, PROGRESS, SCRATCH, STOP):
                storage.at(output).remove(leftover)
            before_work()
            run = _run(root, output, max_rejects, engine)
            job = engine.submit(_pipeline(request, run, expected_digest, engine), request, output)
        return _come_of(engine, job, root, output, tell)


def _run(root: str, output: str, max_rejects: float, engine: Engine) -> Run:
    about = _about(root, output, engine)
    return Run(root, output, max_rejects, about, began=time.time(), awaited=engine.awaited)


def _pipeline(request: Request, run: Run, expected_digest: str | None, engine: Engine) -> Any:
    from pipelines.materialize.pipeline import materialize

    pipeline = engine.pipeline(request.name, run.output)
    materialize(pipeline, request=request, run=run, expected_digest=expected_digest)
    return pipeline


def _come_of(
    engine: Engine, job: Any, root: str, output: str, tell: Callable[[Plan], object]
) -> Report | Rows:
    """Follows a job to its end, and says what came of it."""
    try:
        with ProgressBar(output, tell):
            rows = engine.follow(job, output, lambda: stop(output))
    except JobFailed as failure:
        outcome = saved_outcome(output) or Outcome(failure=_sentence(failure, output))
    else:
        if rows:
            return rows
        silent = f"{engine.runner} says that the job is done, and it left no word of its own"
        outcome = saved_outcome(output) or Outcome(failure=silent)
    if outcome.errors:
        raise RequestError(f"input {root}: " + "; ".join(outcome.errors))
    if outcome.failure:
        raise JobFailed(outcome.failure)
    manifest = read_manifest(output)
    storage.at(output).remove(PLAN)
    seconds = json.loads(storage.at(output).read(RUN))["seconds"]
    return Report(manifest, manifest.records - outcome.kept, seconds, outcome.warnings)


def _sentence(failure: JobFailed, output: str) -> str:
    """What a failure says, and of its details the last line, with where all of them are."""
    details = failure.details and summed_up(failure.details, output)
    return ": ".join(filter(None, (str(failure), details)))


def _check_output(root: str, output: str, overwrite: bool) -> None:
    out = storage.at(output)
    out.check_writable()
    _check_apart(storage.at(root).real(), out.real(), output)
    try:
        belongings.check_ours(output, overwrite=overwrite)
    except OSError as error:
        raise RequestError(f"output {output}: {storage.reason(error)}") from None


def _check_apart(root: str, real: str, output: str) -> None:
    root, real = os.path.join(root, ""), os.path.join(real, "")
    if real.startswith(root):
        raise RequestError(
            f"output {output}: it lies inside the input, whose files it would then be; "
            "give a directory elsewhere"
        )
    if root.startswith(real):
        raise RequestError(f"output {output}: the input lies inside it; give a directory of its own")


def _check_input(root: str, request: Request) -> None:
    """What can be known from the top folders alone, before anything slow is imported."""
    errors = top_errors(request, top_folders(root, request.layout))
    if errors:
        raise RequestError(f"input {root}: " + "; ".join(errors))


def _earlier(output: str) -> tuple[Request | None, str | None, Manifest | None]:
    """What an earlier run left: its request, its listing's digest, and its manifest if it finished."""
    if storage.at(output).size(MANIFEST) is not None:
        manifest = read_manifest(output)
        return manifest.request, manifest.listing_digest, manifest
    plan = saved_plan(output)
    return (plan.request, plan.listing_digest, None) if plan else (None, None, None)


def _all_there(output: str, manifest: Manifest) -> bool:
    """Whether every file of a finished dataset has its size; one that has not is written again."""
    sizes = storage.at(output).sizes(manifest.files)
    return all(sizes[name] == file.bytes for name, file in manifest.files.items())


def _check_same(
    request: Request, made_by: Request, output: str, finished: Manifest | None, *, workers_here: bool
) -> None:
    """Raises RequestError unless the request continues what made the output.

    Workers elsewhere may be another kind of machine; how they differ, the job finds out.
    """
    differences = request.differences(made_by)
    if finished and workers_here:
        here = parity_class()
        differences += [
            f"{what} was {there}, now {here.get(what)}"
            for what, there in finished.parity_class.items()
            if here.get(what) != there
        ]
    if differences:
        raise RequestError(
            f"output {output}: it was made by another request: {'; '.join(differences)}. "
            "Write to another directory, or start over with --overwrite"
        )
    begun = saved_plan(output)
    if begun and request.copies < begun.request.copies:
        most = begun.request.copies
        did = f"was adding copies up to {most}" if finished else f"was to write {most} copies"
        raise RequestError(
            f"output {output}: a run that {did} did not end; finish it with --copies {most}, or start over "
            "with --overwrite"
        )
    if request.copies < made_by.copies:
        raise RequestError(
            f"output {output}: it holds {made_by.copies} copies, more than --copies {request.copies}; "
            "choose fewer when reading, such as split='train_c0+train_c1', or start over with --overwrite"
        )
    if made_by.originals and not request.originals:
        raise RequestError(
            f"output {output}: it holds the originals; say --include-originals too, or start over "
            "with --overwrite"
        )
    if finished and begun and begun.request.originals and not request.originals:
        raise RequestError(
            f"output {output}: a run that was adding the originals did not end; finish it with "
            "--include-originals, or start over with --overwrite"
        )


def _about(root: str, output: str, engine: Engine) -> dict[str, object]:
    packages = ("augshard", "tensorflow", "apache-beam", "numpy", "pillow", "pyarrow")
    return {
        "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "runner": engine.runner,
        "beam_options": without_secrets(engine.arguments),
        "input": root,
        "output": output,
    }
