"""From a request on the command line to a finished dataset: check, run, report."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import LOCK, MANIFEST, OUTCOME, PLAN, PROGRESS, RUN, SCRATCH, STOP, WORK
from pipelines.format.manifest import Manifest, parity_class, parity_differences, read_manifest
from pipelines.format.request import Request
from pipelines.materialize import belongings, dataflow
from pipelines.materialize.commit import (
    Outcome,
    Run,
    is_shown_to_tfds,
    saved_outcome,
    show_to_tfds,
    summed_up,
)
from pipelines.materialize.dataflow_job import Left, described, joined, rejoin, start
from pipelines.materialize.lock import only_run
from pipelines.materialize.plan_file import Begun, saved_plan, unfinished
from pipelines.plan import Plan, top_errors
from pipelines.sources import Folder, check_root, top_folders
from pipelines.storage.clients import without_secrets


class JobFailed(Exception):
    """The work failed; what is finished is kept for a resume."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run did, for the table at its end."""

    manifest: Manifest
    new_records: int
    seconds: float
    warnings: tuple[str, ...] = ()


def launch(
    request: Request,
    *,
    root: str,
    output: str,
    max_rejects: float,
    overwrite: bool,
    runner: str,
    beam_arguments: Sequence[str],
    before_work: Callable[[], None] = lambda: None,
) -> Report | Left:
    """Runs the job, resumes it, extends a dataset by copies, or finds that nothing is to do.

    Calls `before_work` once it is clear that there is something to do. On Dataflow it may be asked not to
    wait; what it left, or finds left by another, it then tells.
    Raises RequestError if what is asked is wrong, JobFailed if the work failed.
    """
    root, output = check_root(root), storage.at(output).absolute()
    if not overwrite and (report := _nothing_left(request, output)):
        return report
    _check_output(root, output, overwrite)
    _check_input(root, request)
    with only_run(output):
        job = joined(request, output, runner)
        if job:
            outcome = rejoin(job, output, beam_arguments)
            return _come_of(outcome, root, output)
        belongings.finish_emptying(output)
        if overwrite:
            belongings.empty(output)
        finished, plan = _finished(output), saved_plan(output)
        workers_here = not dataflow.is_dataflow(runner)
        _check_same(request, output, finished, plan, workers_here=workers_here)
        if finished and request == finished.request and _all_there(output, finished):
            show_to_tfds(output, finished)
            storage.at(output).remove(PLAN)
            return Report(finished, 0, 0.0)
        for leftover in (OUTCOME, PROGRESS, SCRATCH, STOP):
            storage.at(output).remove(leftover)
        about = _about(root, output, runner, beam_arguments)
        run = Run(
            input=root,
            output=output,
            max_rejects=max_rejects,
            about=about,
            began=time.time(),
            awaited=not (dataflow.is_dataflow(runner) and dataflow.goes_on_alone(beam_arguments)),
        )
        before_work()
        outcome = _run_pipeline(request, run, _begun(finished, plan, output), runner, beam_arguments)
        return _come_of(outcome, root, output)


def dry_run(
    request: Request, *, root: str, output: str, max_rejects: float, beam_arguments: Sequence[str]
) -> Left:
    """What would be submitted to Dataflow. Asks neither the service nor a store for anything."""
    about = _about(root, output, dataflow.RUNNER, beam_arguments)
    run = Run(input=root, output=output, max_rejects=max_rejects, about=about, began=time.time())
    _, pipeline = _build(request, run, None, dataflow.RUNNER, beam_arguments)
    return described(pipeline.run().job)


def _come_of(outcome: Outcome | Left, root: str, output: str) -> Report | Left:
    """What an outcome means."""
    if isinstance(outcome, Left):
        return outcome
    if outcome.errors:
        raise RequestError(f"input {root}: " + "; ".join(outcome.errors))
    if outcome.failure:
        raise JobFailed(outcome.failure)
    manifest = read_manifest(output)
    storage.at(output).remove(PLAN)
    seconds = json.loads(storage.at(output).read(RUN))["seconds"]
    return Report(manifest, manifest.records - outcome.kept, seconds, outcome.warnings)


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
    folders = (found for found in top_folders(root, request.layout) if isinstance(found, Folder))
    errors = top_errors(request, folders)
    if errors:
        raise RequestError(f"input {root}: " + "; ".join(errors))


def _nothing_left(request: Request, output: str) -> Report | None:
    """Of a finished dataset at which nothing is to be done. It may lie where nothing can be written."""
    if storage.at(output).names(WORK) - {LOCK}:
        return None
    finished = _finished(output)
    if finished is None or finished.request != request or not _all_there(output, finished):
        return None
    _check_same(request, output, finished, None)
    return Report(finished, 0, 0.0) if is_shown_to_tfds(output, finished) else None


def _finished(output: str) -> Manifest | None:
    """The manifest of a finished dataset; None if there is none."""
    there = storage.at(output).size(MANIFEST) is not None
    return read_manifest(output) if there else None


def _begun(finished: Manifest | None, plan: Plan | None, output: str) -> Begun | None:
    """What is to be gone on with; a run that has not finished one shard leaves the parity class open."""
    if finished:
        return Begun(finished.listing_digest, finished.parity_class)
    if plan:
        return Begun(plan.listing_digest, plan.parity_class if unfinished(plan, output).shards else {})
    return None


def _all_there(output: str, manifest: Manifest) -> bool:
    """Whether every file of a finished dataset has its size; one that has not is written again."""
    sizes = storage.at(output).sizes(manifest.files)
    return all(sizes[name] == file.bytes for name, file in manifest.files.items())


def _check_same(
    request: Request, output: str, finished: Manifest | None, plan: Plan | None, *, workers_here: bool = True
) -> None:
    """Raises RequestError unless the request continues what made the output.

    Workers elsewhere may be another kind of machine; the first that differs fails the run.
    """
    earlier = finished or plan
    if earlier is None:
        return
    differences = request.differences(earlier.request)
    if differences:
        raise RequestError(
            f"output {output}: it was made by another request: {'; '.join(differences)}. "
            "Write to another directory, or start over with --overwrite"
        )
    if workers_here:
        _check_same_parity(output, finished, plan)
    if finished:
        _check_extends(request, output, finished)
    if plan:
        _check_resumes(request, output, plan)


def _check_same_parity(output: str, finished: Manifest | None, plan: Plan | None) -> None:
    if finished:
        there, made_in = "its shards", finished.parity_class
    elif plan and (left := unfinished(plan, output)).shards:
        there, made_in = f"{left.shards:,} of its {left.of:,} shards are there, and", plan.parity_class
    else:
        return
    differences = parity_differences(made_in, parity_class())
    if differences:
        raise RequestError(
            f"output {output}: {there} were made in another parity class: {'; '.join(differences)}. Go on "
            "where these are as they were, write to another directory, or start over with --overwrite"
        )


def _check_extends(request: Request, output: str, finished: Manifest) -> None:
    if request.copies < finished.request.copies:
        raise RequestError(
            f"output {output}: it holds {finished.request.copies} copies, more than --copies {request.copies}"
            "; choose fewer when reading, such as split='train_c0+train_c1', or start over with --overwrite"
        )
    if finished.request.originals and not request.originals:
        raise RequestError(
            f"output {output}: it holds the originals; say --include-originals too, or start over "
            "with --overwrite"
        )


def _check_resumes(request: Request, output: str, plan: Plan) -> None:
    copies = plan.request.copies
    if request.copies < copies:
        there = unfinished(plan, output).copies
        raise RequestError(
            f"output {output}: a run for {copies} copies did not end, of which {there} are finished; "
            f"finish it with --copies {copies} (fewer can be chosen when reading), or start over with "
            "--overwrite"
        )
    if plan.request.originals and not request.originals:
        raise RequestError(
            f"output {output}: a run that was adding the originals did not end; finish it with "
            "--include-originals, or start over with --overwrite"
        )


def _about(root: str, output: str, runner: str, beam_arguments: Sequence[str]) -> dict[str, object]:
    packages = ("augshard", "tensorflow", "apache-beam", "numpy", "pillow", "pyarrow")
    return {
        "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "runner": runner,
        "beam_options": without_secrets(beam_arguments),
        "input": root,
        "output": output,
    }


def _build(
    request: Request, run: Run, begun: Begun | None, runner: str, beam_arguments: Sequence[str]
) -> tuple[Any, Any]:
    """The engine, and the pipeline for it. Raises RequestError for options that do not go together."""
    import apache_beam as beam

    from pipelines.materialize import runners
    from pipelines.materialize.pipeline import materialize

    engine, options = runners.create(runner, beam_arguments)
    try:
        pipeline = beam.Pipeline(runner=engine, options=options)
    except ValueError as error:  # Beam's headline, then a line for each fault
        faults = str(error).splitlines()[1:] or [str(error)]
        raise RequestError(f"--runner {runner}: {'; '.join(fault.rstrip('.') for fault in faults)}") from None
    materialize(pipeline, request=request, run=run, begun=begun)
    return engine, pipeline


def _run_pipeline(
    request: Request,
    run: Run,
    begun: Begun | None,
    runner: str,
    beam_arguments: Sequence[str],
) -> Outcome | Left:
    from pipelines.materialize import runners
    from pipelines.materialize.progress import ProgressBar, stop

    engine, pipeline = _build(request, run, begun, runner, beam_arguments)
    if dataflow.is_dataflow(runner):
        return start(pipeline, request, run.output, beam_arguments)
    try:
        with ProgressBar(run.output), runners.quiet(engine):
            runners.wait(pipeline.run(), lambda: stop(run.output))
    except Exception as error:  # noqa: BLE001 (a runner passes on whatever a worker raised)
        with contextlib.suppress(OSError):  # a store's fault hides no other
            stop(run.output)  # a job whose job server went away goes on
        raise _failure(runners.message(error), run.output) from None
    outcome = saved_outcome(run.output)
    if outcome is None:
        raise JobFailed(f"{runner} says that the job is done, and it left no word of its own")
    return outcome


def _failure(text: str, output: str) -> BaseException:
    """What a runner's exception means. Ctrl-C comes as a RuntimeError that quotes it."""
    if "KeyboardInterrupt" in text:
        return KeyboardInterrupt()
    if text.startswith("Unable to fetch remote"):  # a job server's jar, or Prism, from the internet
        return RequestError(f"--runner: {text}; or give one that is here (see docs/runners.md)")
    return JobFailed(summed_up(text, output))
