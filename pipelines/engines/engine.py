"""What a launcher asks of whoever runs a pipeline, as most of Beam's runners answer it.

Nothing here imports Beam before it is needed: to find a mistake in a request takes no time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from augment.errors import RequestError
from pipelines import storage
from pipelines.engines.job import saved_job
from pipelines.format.request import Request

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.runner import PipelineResult, PipelineRunner

Rows = dict[str, str]
"""What there is to tell of work that goes on, or begins, without this process: by name, for a table."""


class JobFailed(Exception):
    """The work failed; what is finished is kept for a resume."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details
        """what a worker said, in many lines"""


class Engine:
    """Runs pipelines, by a name and options of Beam's."""

    workers_here = True
    """Whether workers are of the same kind as this machine"""
    in_memory = False
    """Whether what is shuffled is held in the memory of this machine, on which all workers are"""
    awaited = True
    """Whether this process waits for what comes of a job"""
    dry_run = False
    """Whether nothing is to be submitted, nor written"""

    def __init__(self, runner: str, arguments: Sequence[str]) -> None:
        self.runner, self.arguments = runner, list(arguments)

    def check(self, places: Mapping[str, str], ours: Sequence[str]) -> None:
        """Raises RequestError for what would go wrong, as far as it can be known before any work.

        `places` are what workers read and write, by the options that name them; `ours` the options that are
        not Beam's, from which the user may have meant one.
        """
        if self.arguments:
            from pipelines.engines.options import check_options

            check_options(self.arguments, ours)
            storage.use_options(self.arguments)

    def defaults(self, name: str, output: str) -> list[str]:
        """Options for a dataset of this name; they go first, so that the user's own come last, and hold."""
        return []

    def workers_a_machine(self) -> int:
        """How many of Beam's workers write groups at the same time on one machine, and share its cores."""
        return 1

    def create(self, options: PipelineOptions) -> str | PipelineRunner:
        """Beam's runner, or its name."""
        return self.runner

    def pipeline(self, name: str, output: str) -> beam.Pipeline:
        """An empty pipeline for a dataset. Raises RequestError for options that do not go together."""
        import apache_beam as beam

        from pipelines.engines.options import Options

        options = Options([*self.defaults(name, output), *self.arguments])
        try:
            return beam.Pipeline(runner=self.create(options), options=options)
        except ValueError as error:  # Beam's headline, then a line for each fault
            faults = [fault.rstrip(".") for fault in str(error).splitlines()[1:] or [str(error)]]
            raise RequestError(f"--runner {self.runner}: {'; '.join(faults)}") from None

    def submit(self, pipeline: beam.Pipeline, request: Request, output: str) -> Any:
        """Begins a job, for `follow`. An engine whose jobs need this process begins there."""
        return pipeline

    def rejoin(self, request: Request, output: str) -> Any:
        """The job of an earlier command that this one asks for again, for `follow`; None if there is none.

        Raises RequestError for one that is in the way.
        """
        if job := saved_job(output):
            raise RequestError(
                f"output {output}: job {job.id} on Dataflow was to write to it; see first what came of it, "
                f"with the command that submitted it ({job.console})"
            )

    def begin(self, pipeline: beam.Pipeline) -> PipelineResult:
        """Has Beam run a pipeline."""
        return pipeline.run()

    def follow(self, job: Any, output: str, stop: Callable[[], None]) -> Rows | None:
        """Waits for a job's end, unless it is to go on alone: then tells of it.

        Ctrl-C ends the job, wherever it runs: else two would write after a resume. `stop` tells the workers;
        cancelling is not enough, for Flink's job server only lets go of its job, and one whose server went
        away goes on. Raises JobFailed, RequestError, KeyboardInterrupt, and OSError if it is out of sight.
        """
        result = None
        try:
            result = self.begin(job)
            result.wait_until_finish()
        except BaseException as error:  # noqa: BLE001 (a runner passes on whatever a worker raised)
            with contextlib.suppress(OSError):  # a store's fault hides no other
                stop()
            failure = _meaning(error)
            if result is not None and isinstance(failure, KeyboardInterrupt):
                with contextlib.suppress(Exception):  # a job in this process ends with it
                    self.end(result)
            raise failure from None
        return None

    def end(self, result: PipelineResult) -> None:
        """Ends a job whose workers were told to stop."""
        result.cancel()

    def described(self, pipeline: beam.Pipeline) -> Rows:
        """What would be submitted: a dry run."""
        raise NotImplementedError


def _meaning(error: BaseException) -> BaseException:
    """What a runner's exception says. Ctrl-C may come as a RuntimeError that quotes it."""
    if not isinstance(error, Exception):
        return error
    details = getattr(error, "details", None)  # gRPC's errors have them, and a text of many lines
    if callable(details):
        return JobFailed("", f"the connection to the job server broke ({details()})")
    said = str(error).strip() or type(error).__name__
    if "KeyboardInterrupt" in said:
        return KeyboardInterrupt()
    if said.startswith("Unable to fetch remote"):  # a job server's jar, or Prism, from the internet
        return RequestError(f"--runner: {said}; or give one that is here (see docs/runners.md)")
    return JobFailed("", said)
