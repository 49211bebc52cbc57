"""A job on Google Cloud Dataflow: submitted, followed to its end, or found again by a later command."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from augment.errors import RequestError
from pipelines.engines.engine import JobFailed, Rows
from pipelines.engines.job import Job, forget_job


def submit(pipeline: Any, runner: str) -> Any:
    """Beam's result of a submission. Raises RequestError if it is refused, OSError if the service fails."""
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import ClientError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        return pipeline.run()
    except DataflowJobAlreadyExistsError as error:
        raise RequestError(f"--runner {runner}: {error}") from None
    except ClientError as error:
        raise RequestError(f"--runner {runner}: Dataflow refuses the job: {error.message}") from None
    except (GoogleAPIError, GoogleAuthError) as error:
        fault = f"the job could not be submitted to Dataflow ({_headline(error)}); run the same command again"
        raise OSError(errno.EIO, fault) from None
    except OSError as error:  # by which Beam says that it could not stage
        raise RequestError(f"--runner {runner}: {error}") from None


def find(job: Job, output: str, options: Sequence[str]) -> Any:
    """Beam's result of a job that an earlier command submitted.

    Raises JobFailed for one that the service forgot, RequestError for one that may not be looked at, and
    OSError for one that is out of sight.
    """
    from google.api_core.exceptions import ClientError, NotFound

    try:
        return _found(job, options)
    except NotFound:  # for all the minutes that Beam asks: the service forgets jobs
        forget_job(output)
        raise JobFailed(
            f"Dataflow knows job {job.id} no longer; run the same command again to go on"
        ) from None
    except ClientError as error:
        raise RequestError(f"job {job.id} on Dataflow cannot be looked at: {error.message}") from None
    except Exception as fault:  # noqa: BLE001 (whatever lies between here and the service)
        raise _out_of_sight(job, fault) from None


def _found(job: Job, options: Sequence[str]) -> Any:
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


def follow(job: Job, result: Any, output: str, stop: Callable[[], None], *, wait: bool) -> Rows | None:
    """Waits for what comes of a job, or tells where it goes on; Ctrl-C cancels it.

    Raises JobFailed, and OSError for a job that is out of sight.
    """
    _tell(f"job {job.id}: {job.console}")
    try:
        if not wait and not _has_ended(result.state):
            return _left(job, result.state)
        state = _await_end(job, result)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # a store that does not answer
            stop()  # Dataflow takes minutes to end workers, which see a mark at once
        _cancel(job, result, output)
        raise
    except Exception as fault:  # noqa: BLE001 (whatever lies between here and the service)
        raise _out_of_sight(job, fault) from None
    error = _why(job, result)
    forget_job(output)
    if state != "DONE":
        ended = f"Dataflow ended job {job.id} as {state.lower()}"
        raise JobFailed(ended if error else f"{ended}; {job.console} shows more", error)
    return None


def _out_of_sight(job: Job, fault: Exception) -> OSError:
    seen = f"job {job.id} is out of sight ({_headline(fault)})"
    return OSError(errno.EIO, f"{seen}; it goes on, and the same command finds it again: {job.console}")


def _headline(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


def _left(job: Job, state: str) -> Rows:
    return {
        "job": f"{job.name} ({job.id})",
        "state": state.lower(),
        "console": job.console,
        "cancel": f"gcloud dataflow jobs cancel {job.id} --project {job.project} --region {job.region}",
        "next": "the same command says what came of it; without --no_wait_until_finish it waits",
    }


_POLL = 5.0  # seconds between two looks, as in Beam
_CANCELS = 30.0  # seconds for the service to end a job
_EXPLAINS = 30.0  # seconds for what a job failed of to be told


def _await_end(job: Job, result: Any) -> str:
    """Waits for the end of a job; its last state."""
    said = ""
    while True:
        state: str = result.state
        if state != said:
            _tell(f"job {job.id}: {state.lower()}")
            said = state
        if _has_ended(state):
            return state
        time.sleep(_POLL)


def _cancel(job: Job, result: Any, output: str) -> None:
    """Ends a job, and does not wait long."""
    try:
        result.cancel()
        deadline = time.monotonic() + _CANCELS
        while not _has_ended(result.state) and time.monotonic() < deadline:
            time.sleep(min(_POLL, 1))
        _tell(f"job {job.id}: {result.state.lower()}")
        with contextlib.suppress(OSError):  # with the record, the next command sees how it ended
            forget_job(output)
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


def described(job: Any) -> Rows:
    """What there is to tell of a job that Beam made and did not submit."""
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
    return {**rows, "next": "the same command without --dry_run"}


def _steps(pipeline: Any) -> list[str]:
    """The outermost steps, by the names under which the service shows them."""
    transforms = pipeline.components.transforms
    [root] = (transforms[key] for key in pipeline.root_transform_ids)
    return [transforms[key].unique_name for key in root.subtransforms]
