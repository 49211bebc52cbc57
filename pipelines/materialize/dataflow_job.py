"""A job on Google Cloud Dataflow: submitted, followed to its end, or found again by a later command.

What was submitted is on record in the output, so that the same command finds it, whatever became of the
process that submitted it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from augment.errors import RequestError
from pipelines import storage
from pipelines.format.layout import JOB
from pipelines.format.manifest import json_text
from pipelines.format.request import Request
from pipelines.materialize import dataflow
from pipelines.materialize.commit import Outcome, saved_outcome, summed_up
from pipelines.materialize.progress import ProgressBar, stop


@dataclasses.dataclass(frozen=True)
class Job:
    """A job that Dataflow accepted."""

    project: str
    region: str
    id: str
    name: str
    request: Request
    """what it was to write"""

    @property
    def console(self) -> str:
        """The page that shows it."""
        place = f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.id}"
        return f"{place}?project={self.project}"


@dataclasses.dataclass(frozen=True)
class Left:
    """What goes on without this process, or waits to be started: what there is to tell of it, by name."""

    rows: dict[str, str]


def _saved_job(output: str) -> Job | None:
    """The job on record in an output; None if there is none."""
    out = storage.at(output)
    if out.size(JOB) is None:
        return None
    said = json.loads(out.read(JOB))
    return Job(**{**said, "request": Request.model_validate(said["request"])})


def _save(job: Job, output: str) -> None:
    said = {field.name: getattr(job, field.name) for field in dataclasses.fields(job)}
    storage.at(output).write(JOB, json_text({**said, "request": job.request.model_dump(mode="json")}))


def start(pipeline: Any, request: Request, output: str, options: Sequence[str]) -> Outcome | Left:
    """Submits a pipeline and waits for what comes of it, unless the options say not to.

    Raises RequestError if the service or the bucket for staging refuses it, OSError if the service fails.
    """
    result = _submit(pipeline)
    if not result.has_job:
        template = dataflow.read_options(options).template_location
        run = f"gcloud dataflow jobs run NAME --gcs-location {template} --region REGION"
        return Left({"template": template, "next": f"{run} (a Flex Template's launcher does so by itself)"})
    made = result._job
    job = Job(made.project_id, made.location, made.id, made.name, request)
    _save(job, output)
    return _outcome_of(job, result, output, options)


def _submit(pipeline: Any) -> Any:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import ClientError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        return pipeline.run()
    except DataflowJobAlreadyExistsError as error:
        raise RequestError(f"--runner {dataflow.RUNNER}: {error}") from None
    except ClientError as error:
        raise RequestError(f"--runner {dataflow.RUNNER}: Dataflow refuses the job: {error.message}") from None
    except (GoogleAPIError, GoogleAuthError) as error:
        fault = f"the job could not be submitted to Dataflow ({_headline(error)}); run the same command again"
        raise OSError(errno.EIO, fault) from None
    except OSError as error:  # by which Beam says that it could not stage
        raise RequestError(f"--runner {dataflow.RUNNER}: {error}") from None


def joined(request: Request, output: str, runner: str) -> Job | None:
    """The job of an earlier command that this one asks for again. Raises RequestError if it is in the way."""
    job = _saved_job(output)
    if job is None:
        return None
    if not dataflow.is_dataflow(runner):
        raise RequestError(
            f"output {output}: job {job.id} on Dataflow was to write to it; see first what came of it, with "
            f"the command that submitted it ({job.console})"
        )
    if job.request != request:
        differences = request.differences(job.request) or ["the number of copies, or the originals"]
        raise RequestError(
            f"output {output}: job {job.id} on Dataflow, by another request, writes to it: "
            f"{'; '.join(differences)}. See first what came of that, with the command that submitted it"
        )
    return job


def rejoin(job: Job, output: str, options: Sequence[str]) -> Outcome | Left:
    """What came of a job that an earlier command submitted; waits for it if it is still at work.

    That it left an outcome is no end: the service tries a step that failed again.
    """
    from google.api_core.exceptions import ClientError, NotFound

    try:
        result = _find(job, options)
    except NotFound:  # for all the minutes that Beam asks: the service forgets jobs
        gone = f"Dataflow knows job {job.id} no longer; run the same command again to go on"
        outcome = saved_outcome(output) or Outcome(failure=gone)
        storage.at(output).remove(JOB)
        return outcome
    except ClientError as error:
        raise RequestError(f"job {job.id} on Dataflow cannot be looked at: {error.message}") from None
    except Exception as fault:  # noqa: BLE001 (whatever lies between here and the service)
        return _out_of_sight(job, fault)
    return _outcome_of(job, result, output, options)


def _find(job: Job, options: Sequence[str]) -> Any:
    """Beam's result of a job that another process submitted."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult, DataflowRunner
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    asked = PipelineOptions([*options])
    google = asked.view_as(GoogleCloudOptions)
    google.project, google.region = job.project, job.region
    runner = DataflowRunner()
    runner.dataflow_client = DataflowApplicationClient(asked)
    return DataflowPipelineResult(runner.dataflow_client.get_job(job.id), runner, asked)


def _has_ended(state: str) -> bool:
    from apache_beam.runners.runner import PipelineState

    return bool(PipelineState.is_terminal(state))


def _outcome_of(job: Job, result: Any, output: str, options: Sequence[str]) -> Outcome | Left:
    _tell(f"job {job.id}: {job.console}")
    try:
        if dataflow.read_options(options).no_wait_until_finish and not _has_ended(result.state):
            return _left(job, result.state)
        with ProgressBar(output):
            state = _follow(job, result, output)
    except Exception as fault:  # noqa: BLE001 (whatever lies between here and the service)
        return _out_of_sight(job, fault)
    error = _why(job, result)
    storage.at(output).remove(JOB)
    if outcome := saved_outcome(output):
        return outcome
    ended = f"Dataflow ended job {job.id} as {state.lower()}"
    if not error:
        return Outcome(failure=f"{ended}; {job.console} shows more")
    return Outcome(failure=f"{ended}: {summed_up(error, output)}")


def _out_of_sight(job: Job, fault: Exception) -> Outcome:
    seen = f"job {job.id} is out of sight ({_headline(fault)})"
    return Outcome(failure=f"{seen}; it goes on, and the same command finds it again: {job.console}")


def _headline(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


def _left(job: Job, state: str) -> Left:
    return Left(
        {
            "job": f"{job.name} ({job.id})",
            "state": state.lower(),
            "console": job.console,
            "cancel": f"gcloud dataflow jobs cancel {job.id} --project {job.project} --region {job.region}",
            "next": "the same command says what came of it; without --no_wait_until_finish it waits",
        }
    )


_POLL = 5.0  # seconds between two looks, as in Beam
_CANCELS = 30.0  # seconds for the service to end a job
_EXPLAINS = 30.0  # seconds for what a job failed of to be told


def _follow(job: Job, result: Any, output: str) -> str:
    """Waits for the end of a job; its last state. Ctrl-C cancels it."""
    said = ""
    try:
        while True:
            state: str = result.state
            if state != said:
                _tell(f"job {job.id}: {state.lower()}")
                said = state
            if _has_ended(state):
                return state
            time.sleep(_POLL)
    except KeyboardInterrupt:
        _cancel(job, result, output)
        raise


def _cancel(job: Job, result: Any, output: str) -> None:
    """Ends a job, and does not wait long: Dataflow takes minutes to end workers, which see a mark at once."""
    with contextlib.suppress(OSError):  # a store that does not answer
        stop(output)
    try:
        result.cancel()
        deadline = time.monotonic() + _CANCELS
        while not _has_ended(result.state) and time.monotonic() < deadline:
            time.sleep(min(_POLL, 1))
        _tell(f"job {job.id}: {result.state.lower()}")
        with contextlib.suppress(OSError):  # with the record, the next command sees how it ended
            storage.at(output).remove(JOB)
    except Exception as error:  # noqa: BLE001 (whatever it is, the user has to know)
        _tell(f"job {job.id} could not be cancelled ({error}); end it in {job.console}")


def _why(job: Job, result: Any) -> str:
    """What a job failed of, in its own words; empty if it does not say."""
    deadline = time.monotonic() + _EXPLAINS
    with contextlib.suppress(Exception):  # who may see a job need not be one who may see its messages
        while result.state == "FAILED":
            messages, _ = result._runner.dataflow_client.list_messages(
                job.id, minimum_importance="JOB_MESSAGE_ERROR"
            )
            texts = [message.message_text.strip() for message in messages]
            if texts or time.monotonic() > deadline:
                # A worker's own words come with a traceback; the service's do not.
                return max(texts, key=lambda text: "Traceback" in text, default="")
            time.sleep(_POLL)
    return ""


def _tell(sentence: str) -> None:
    sys.stderr.write(f"augshard: {sentence}\n")
    sys.stderr.flush()


def described(job: Any) -> Left:
    """What there is to tell of a job that Beam made and did not submit: a dry run.

    The whole of it is written to --dataflow_job_file, if that is given.
    """
    from apache_beam.runners.dataflow.internal import apiclient

    options, pipeline = job.google_cloud_options, job.proto_pipeline
    serialized = pipeline.SerializeToString()
    staged = f"{options.staging_location}/pipeline.pb"
    job.proto.environment = apiclient.Environment(
        packages=[],
        options=job.options,
        environment_version=apiclient._FNAPI_ENVIRONMENT_MAJOR_VERSION,
        proto_pipeline_staged_url=staged,
        proto_pipeline=pipeline,
        pipeline_proto_hash=hashlib.sha256(serialized).hexdigest(),
    ).proto
    [pool] = job.proto.environment.worker_pools
    rows = {
        "job": f"{job.proto.name} (not submitted)",
        "project": f"{options.project} in {options.region}",
        "image": pool.worker_harness_container_image,
        "steps": ", ".join(_steps(pipeline)),
        "staged": f"{staged} ({len(serialized) / 1e3:,.0f} KB)",
    }
    file = job.options.get_all_options()["dataflow_job_file"]
    if file:
        with open(file, "w", encoding="utf-8") as written:
            written.write(job.json())
        rows["written"] = file
    return Left({**rows, "next": "the same command without --dry_run"})


def _steps(pipeline: Any) -> list[str]:
    """The outermost steps, by the names under which the service shows them."""
    transforms = pipeline.components.transforms
    [root] = (transforms[key] for key in pipeline.root_transform_ids)
    return [transforms[key].unique_name for key in root.subtransforms]
