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
from pipelines.format.layout import MANIFEST, OUTCOME, PLAN, PROGRESS, RUN, SCRATCH, STOP
from pipelines.format.manifest import Manifest, parity_class, read_manifest
from pipelines.format.request import Request
from pipelines.materialize import belongings, dataflow
from pipelines.materialize.dataflow_job import Left, described, joined, rejoin, start
from pipelines.materialize.finish import Outcome, Run, saved_outcome, summed_up
from pipelines.materialize.lock import only_run
from pipelines.materialize.plan_file import saved_plan
from pipelines.plan import Plan, top_errors
from pipelines.sources import check_root, top_folders
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
    tell: Callable[[Plan], object] = lambda _: None,
) -> Report | Left:
    """Runs the job, resumes it, extends a dataset by copies, or finds that nothing is to do.

    Calls `before_work` once it is clear that there is something to do, and `tell` when it is planned.
    On Dataflow it may be asked not to wait; what it left, or finds left by another, it then tells.
    Raises RequestError if what is asked is wrong, JobFailed if the work failed.
    """
    root, output = check_root(root), storage.at(output).absolute()
    _check_output(root, output, overwrite)
    _check_input(root, request)
    with only_run(output):
        job = joined(request, output, runner)
        if job:
            outcome = rejoin(job, output, beam_arguments)
            return _come_of(outcome, root, output, job.records)
        belongings.finish_emptying(output)
        if overwrite:
            belongings.empty(output)
        made_by, expected_digest, finished = _earlier(output)
        if made_by:
            workers_here = not dataflow.is_dataflow(runner)
            _check_same(request, made_by, output, finished, workers_here=workers_here)
        if finished and request == finished.request and _all_there(output, finished):
            storage.at(output).remove(PLAN)
            return Report(finished, 0, 0.0)
        earlier = finished.records if finished else 0
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
        outcome = _run_pipeline(request, run, expected_digest, runner, beam_arguments, earlier, tell)
        return _come_of(outcome, root, output, earlier)


def dry_run(
    request: Request, *, root: str, output: str, max_rejects: float, beam_arguments: Sequence[str]
) -> Left:
    """What would be submitted to Dataflow. Asks neither the service nor a store for anything."""
    about = _about(root, output, dataflow.RUNNER, beam_arguments)
    run = Run(input=root, output=output, max_rejects=max_rejects, about=about, began=time.time())
    _, pipeline = _build(request, run, None, dataflow.RUNNER, beam_arguments)
    return described(pipeline.run().job)


def _come_of(outcome: Outcome | Left, root: str, output: str, earlier: int) -> Report | Left:
    """What an outcome means; `earlier` records were there before."""
    if isinstance(outcome, Left):
        return outcome
    if outcome.errors:
        raise RequestError(f"input {root}: " + "; ".join(outcome.errors))
    if outcome.failure:
        raise JobFailed(outcome.failure)
    manifest = read_manifest(output)
    storage.at(output).remove(PLAN)
    seconds = json.loads(storage.at(output).read(RUN))["seconds"]
    return Report(manifest, manifest.records - earlier, seconds, outcome.warnings)


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
    begun = saved_plan(output)
    if finished and begun and request.copies < begun.request.copies:
        raise RequestError(
            f"output {output}: a run that was adding copies up to {begun.request.copies} did not end; "
            f"finish it with --copies {begun.request.copies}, or start over with --overwrite"
        )
    if finished and begun and begun.request.originals and not request.originals:
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
    request: Request, run: Run, expected_digest: str | None, runner: str, beam_arguments: Sequence[str]
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
    materialize(pipeline, request=request, run=run, expected_digest=expected_digest)
    return engine, pipeline


def _run_pipeline(
    request: Request,
    run: Run,
    expected_digest: str | None,
    runner: str,
    beam_arguments: Sequence[str],
    earlier: int,
    tell: Callable[[Plan], object],
) -> Outcome | Left:
    from pipelines.materialize import runners
    from pipelines.materialize.progress import ProgressBar, stop

    engine, pipeline = _build(request, run, expected_digest, runner, beam_arguments)
    if dataflow.is_dataflow(runner):
        return start(pipeline, request, run.output, earlier, beam_arguments)
    try:
        with ProgressBar(run.output, tell), runners.quiet(engine):
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
