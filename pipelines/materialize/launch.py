"""From a request on the command line to a finished dataset: check, run, report."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from augment import backends
from augment.errors import RequestError
from augment.parity import parity_class
from pipelines import process, storage
from pipelines.annotations import Annotations
from pipelines.engines.engine import Engine, JobFailed
from pipelines.format.layout import MANIFEST, OUTCOME, PLAN, PROGRESS, SCRATCH, STOP, WORK
from pipelines.format.manifest import Manifest, parity_differences, read_manifest
from pipelines.format.request import Request
from pipelines.images import everything
from pipelines.materialize import belongings
from pipelines.materialize.commit import is_shown_to_tfds, show_to_tfds
from pipelines.materialize.lock import only_run
from pipelines.materialize.plan_file import Begun, saved_plan, unfinished
from pipelines.materialize.progress import ProgressBar, stop
from pipelines.materialize.run import Outcome, Run, about_run, saved_outcome, summed_up
from pipelines.packets import WAITING
from pipelines.plan import Plan, Stored, make_plan, top_errors
from pipelines.sources import Listing, check_root, top_folders


def launch(
    request: Request,
    *,
    root: str,
    output: str,
    max_rejects: float,
    overwrite: bool,
    engine: Engine,
    backend: backends.Name = "host",
    annotations: Annotations | None = None,
    before_work: Callable[[], None] = lambda: None,
    tell: Callable[[Plan], object] = lambda _: None,
) -> Outcome:
    """Runs the job, resumes it, extends a dataset by copies, or finds that nothing is to do.

    Calls `before_work` once it is clear that there is something to do, and `tell` when it is planned. An
    engine may be asked not to wait, or for a dry run; what it left, or would submit, is then told.
    Raises RequestError if what is asked is wrong, JobFailed if the work failed.
    """
    if engine.dry_run:  # which asks neither the service nor a store for anything
        pipeline = _pipeline(
            request, _run(root, output, max_rejects, engine, backend, annotations), None, engine
        )
        return Outcome(elsewhere=engine.described(pipeline))
    root, output = check_root(root), storage.at(output).absolute()
    storage.check_text(output, "output")
    if not overwrite and (done := _nothing_left(request, output, engine)):
        return done
    _check_output(root, output, overwrite)
    if annotations:
        _check_apart(storage.at(annotations.path).real(), storage.at(output).real(), output, "annotations")
    _check_input(root, request)
    with only_run(output), contextlib.ExitStack() as held:
        job = engine.rejoin(request, output)
        if not job:
            belongings.finish_emptying(output)
            if overwrite:
                if engine.workers_here and storage.at(output).names() - {WORK}:
                    _check_listing(root, request, annotations)
                belongings.empty(output)
            finished, plan = _finished(output), saved_plan(output)
            _check_same(request, output, finished, plan, workers_here=engine.workers_here)
            if finished and request == finished.request and _all_there(output, finished):
                show_to_tfds(output, finished)
                storage.at(output).remove(PLAN)
                return Outcome(kept=finished.records, manifest=finished)
            for leftover in (OUTCOME, PROGRESS, SCRATCH, STOP):
                storage.at(output).remove(leftover)
            if engine.workers_here:
                backends.backend("host")  # or what takes its place, if there is something
            before_work()
            run = _run(root, output, max_rejects, engine, backend, annotations)
            if engine.in_memory:
                run = dataclasses.replace(run, waiting=held.enter_context(_waiting(output)))
            begun = _begun(finished, plan, output)
            job = engine.submit(_pipeline(request, run, begun, engine), request, output)
        process.started()
        return _come_of(engine, job, root, output, tell)


@contextlib.contextmanager
def _waiting(output: str) -> Iterator[str]:
    """A folder for what is shuffled, which is gone after the run."""
    with storage.at(output).scratch() as folder:
        try:
            yield os.path.abspath(folder)
        finally:
            for path in glob.glob(os.path.join(glob.escape(folder), f"*{WAITING}")):
                with contextlib.suppress(OSError):  # how the run ended is what the user has to know
                    os.unlink(path)


def _run(
    root: str,
    output: str,
    max_rejects: float,
    engine: Engine,
    backend: backends.Name,
    annotations: Annotations | None,
) -> Run:
    where = annotations.path if annotations else ""
    about = {**about_run(root, output, engine.runner, engine.arguments, where), "backend": backend}
    return Run(
        root,
        output,
        max_rejects,
        about,
        time.time(),
        backend,
        engine.workers_a_machine(),
        where,
        awaited=engine.awaited,
    )


def _pipeline(request: Request, run: Run, begun: Begun | None, engine: Engine) -> Any:
    from pipelines.materialize.pipeline import materialize

    pipeline = engine.pipeline(request.name, run.output)
    materialize(pipeline, request=request, run=run, begun=begun)
    return pipeline


def _come_of(engine: Engine, job: Any, root: str, output: str, tell: Callable[[Plan], object]) -> Outcome:
    """Follows a job to its end, and says what came of it."""
    try:
        with ProgressBar(output, tell):
            rows = engine.follow(job, output, lambda: stop(output))
    except JobFailed as failure:
        outcome = saved_outcome(output) or Outcome(failure=_sentence(failure, output))
    else:
        if rows:
            return Outcome(elsewhere=rows)
        silent = f"{engine.runner} says that the job is done, and it left no word of its own"
        outcome = saved_outcome(output) or Outcome(failure=silent)
    if outcome.errors:
        raise RequestError(f"input {root}: " + "; ".join(outcome.errors))
    if outcome.failure:
        raise JobFailed(outcome.failure)
    manifest = read_manifest(output)
    storage.at(output).remove(PLAN)
    return outcome.model_copy(update={"manifest": manifest})


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


def _check_apart(root: str, real: str, output: str, what: str = "input") -> None:
    root, real = os.path.join(root, ""), os.path.join(real, "")
    if real.startswith(root):
        raise RequestError(
            f"output {output}: it lies inside the {what}, whose files it would then be; "
            "give a directory elsewhere"
        )
    if root.startswith(real):
        lies = "lie" if what.endswith("s") else "lies"
        raise RequestError(f"output {output}: the {what} {lies} inside it; give a directory of its own")


def _check_input(root: str, request: Request) -> None:
    """What can be known from the top folders alone, before anything slow is imported."""
    if request.annotations:  # which say what is a split, and what a class
        return
    errors = top_errors(request, top_folders(root, request.layout))
    if errors:
        raise RequestError(f"input {root}: " + "; ".join(errors))


def _check_listing(root: str, request: Request, annotations: Annotations | None) -> None:
    """Raises RequestError for what only a listing shows: nothing is removed for what cannot be made."""
    listing = Listing()
    for found in everything(root, request.layout, request.split_fractions, request.group_by, annotations):
        listing.add(found)
    errors = make_plan(request, listing, None).errors
    if errors:
        raise RequestError(f"input {root}: " + "; ".join(errors))


def _nothing_left(request: Request, output: str, engine: Engine) -> Outcome | None:
    """Of a finished dataset at which nothing is to be done. It may lie where nothing can be written."""
    try:
        there = storage.at(output).names()
    except OSError as error:
        raise RequestError(f"output {output}: {storage.reason(error)}") from None
    if WORK in there:
        return None
    finished = _finished(output)
    if finished is None or finished.request != request or not _all_there(output, finished):
        return None
    _check_same(request, output, finished, None, workers_here=engine.workers_here)
    return Outcome(kept=finished.records, manifest=finished) if is_shown_to_tfds(output, finished) else None


def _finished(output: str) -> Manifest | None:
    """The manifest of a finished dataset; None if there is none."""
    there = storage.at(output).size(MANIFEST) is not None
    return read_manifest(output) if there else None


def _begun(finished: Manifest | None, plan: Plan | None, output: str) -> Begun | None:
    """What is to be gone on with; a run that has not finished one shard leaves the parity class open."""
    if finished:
        return Begun(
            finished.listing_digest, finished.parity_class, Stored(finished.request, finished.splits)
        )
    if plan:
        there = plan.parity_class if unfinished(plan, output).shards else {}
        return Begun(plan.listing_digest, there, Stored(plan.request, plan.splits))
    return None


def _all_there(output: str, manifest: Manifest) -> bool:
    """Whether every file of a finished dataset has its size; one that has not is written again."""
    sizes = storage.at(output).sizes(manifest.files)
    return all(sizes[name] == file.bytes for name, file in manifest.files.items())


def _check_same(
    request: Request, output: str, finished: Manifest | None, plan: Plan | None, *, workers_here: bool
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
    by_class = request.by_class or finished.request.by_class  # which the plan looks at, who knows how many
    if request.copies < finished.request.copies and not by_class:
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
    if request.copies < copies and not (request.by_class or plan.request.by_class):
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
