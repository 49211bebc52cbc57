"""Google Cloud Dataflow: what a submission needs, what it consists of, and what becomes of the job.

The pipeline is the one that every runner gets. No code of this machine goes with it: workers have
augshard from the image that --sdk_container_image names.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from augment.errors import RequestError

RUNNER = "DataflowRunner"

_NEEDED = {
    "project": "the id of a Google Cloud project, such as --project my-project",
    "region": "the region that workers run in, such as --region us-central1",
    "temp_location": "a place for what is staged, such as --temp_location gs://BUCKET/tmp",
    "sdk_container_image": "the image that workers start from, with augshard and the lock of this "
    "environment in it, such as --sdk_container_image REGION-docker.pkg.dev/PROJECT/REPOSITORY/augshard:TAG",
}

# First, so that the user's own word on them comes last. A group's work uses all cores of a machine from
# one process, one group at a time. Beam would send the main session, and a list of the packages that are
# installed here: nothing pickled needs the one, and run.json has what counts of the other.
_DEFAULTS = (
    "--number_of_worker_harness_threads=1",
    "--no_save_main_session",
    "--experiments=disable_logging_submission_environment",
)
_ONE_PROCESS = "no_use_multiple_sdk_containers"

MIN_RAM = "3GB"
"""Of a worker: 0.75 GB for the process (measured), up to 1 for what Dataflow runs beside it, and room for
large photos. It is asked for by option: on the step that writes, the hint would give that step an
environment, and with it a process, of its own beside that of the others."""


class Job(NamedTuple):
    """A job that Dataflow has accepted."""

    project: str
    region: str
    id: str
    name: str

    @property
    def console(self) -> str:
        """The page that shows it."""
        place = f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.id}"
        return f"{place}?project={self.project}"


def is_dataflow(runner: str) -> bool:
    """Whether Beam would take a name for this runner."""
    return runner.rpartition(".")[2].lower() == RUNNER.lower()


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Those of Beam's options that are decided by here, without Beam. Raises RequestError."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in (*_NEEDED, "job_name", "template_location", "dataflow_job_file", "flexrs_goal"):
        parser.add_argument(f"--{name}")
    for name in ("save_main_session", "no_auth", "no_wait_until_finish"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--experiments", "--experiment", action="append", default=[])
    parser.add_argument("--dry_run", choices=["true", "false"], default="false", type=str.lower)
    return parser.parse_known_args([_with_value(argument) for argument in arguments])[0]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(message.removeprefix("argument "))


def _with_value(argument: str) -> str:
    """Beam wants a value with --dry_run, which reads like a switch."""
    return "--dry_run=true" if argument == "--dry_run" else argument


def check_request(arguments: Sequence[str], root: str, output: str) -> None:
    """What can be known of a submission without Beam. Raises RequestError."""
    if not _installed():
        raise RequestError(
            f"--runner {RUNNER}: it needs the extra gcp, which is not installed: make install EXTRAS=gcp"
        )
    options = read_options(arguments)
    for name, meaning in _NEEDED.items():
        if not getattr(options, name):
            raise RequestError(f"--runner {RUNNER}: --{name} is not given; it is {meaning}")
    if not re.fullmatch(r"gs://[a-z0-9][-_.a-z0-9]+[a-z0-9]/.*", options.temp_location, re.DOTALL):
        raise RequestError(
            f"--temp_location is {options.temp_location!r}; it must be gs://BUCKET/PATH on Dataflow"
        )
    for option, place in (("--input", root), ("--output", output)):
        if "://" not in place:
            raise RequestError(
                f"{option} {place}: workers on Dataflow do not see this machine's files; "
                "copy them to a bucket, and give gs://BUCKET/PATH"
                if option == "--input"
                else f"{option} {place}: workers on Dataflow cannot write to this machine; give gs://BUCKET/PATH"
            )
    if options.job_name is not None and not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", options.job_name):
        raise RequestError(
            f"--job_name is {options.job_name!r}; it must be of lower-case letters, digits and -, begin with "
            "a letter and not end with -"
        )
    if options.save_main_session:
        raise RequestError(
            "--save_main_session: workers have augshard from their image, and need nothing of this session; "
            "leave it out"
        )
    if options.template_location and options.dry_run == "true":
        raise RequestError("--dry_run and --template_location: a dry run writes no template; choose one")


def _installed() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:
        return False


def check_credentials(arguments: Sequence[str]) -> None:
    """Raises RequestError without credentials: Beam would look for them for half a minute."""
    if read_options(arguments).no_auth:
        return
    import google.auth.exceptions

    try:
        google.auth.default()
    except google.auth.exceptions.GoogleAuthError:
        raise RequestError(
            f"--runner {RUNNER}: there are no Google credentials here; make some with `gcloud auth "
            "application-default login`, or name a key file in GOOGLE_APPLICATION_CREDENTIALS"
        ) from None


def complete(arguments: Sequence[str], name: str, output: str) -> list[str]:
    """All options of a submission, with augshard's defaults before the user's own.

    The job is named after its output: of jobs with one name Dataflow runs only one at a time, and
    two that write to one place have no business with each other.
    """
    options = read_options(arguments)
    place = hashlib.sha256(output.rstrip("/").encode()).hexdigest()[:8]
    defaults = [*_DEFAULTS, f"--job_name=augshard-{name[:40].strip('_').replace('_', '-')}-{place}"]
    if "use_multiple_sdk_containers" not in ",".join(options.experiments):
        defaults.append(f"--experiments={_ONE_PROCESS}")
    if options.flexrs_goal is None:  # which takes no hints
        defaults.append(f"--resource_hints=min_ram={MIN_RAM}")
    return [*defaults, *map(_with_value, arguments), f"--runner={RUNNER}"]


def described(job: Any) -> dict[str, str]:
    """What a dry run shows of a job that Beam has made and not submitted.

    Its whole description goes to --dataflow_job_file, if that is given.
    """
    from apache_beam.runners.dataflow.internal import apiclient

    options, pipeline = job.google_cloud_options, job.proto_pipeline
    serialized = pipeline.SerializeToString()
    url = f"{options.staging_location}/pipeline.pb"
    job.proto.environment = apiclient.Environment(
        packages=[],
        options=job.options,
        environment_version=apiclient._FNAPI_ENVIRONMENT_MAJOR_VERSION,
        proto_pipeline_staged_url=url,
        proto_pipeline=pipeline,
        pipeline_proto_hash=hashlib.sha256(serialized).hexdigest(),
    ).proto
    [pool] = job.proto.environment.worker_pools
    rows = {
        "job": f"{job.proto.name} (a dry run: it was not submitted)",
        "project": f"{options.project} in {options.region}",
        "image": pool.worker_harness_container_image,
        "steps": ", ".join(steps(pipeline)),
        "staged": f"{url} ({len(serialized) / 1e3:,.0f} KB), and nothing else",
    }
    file = job.options.get_all_options()["dataflow_job_file"]
    if file:
        with open(file, "w", encoding="utf-8") as written:
            written.write(job.json())
        rows["written"] = file
    rows["next"] = "the same command without --dry_run"
    return rows


def steps(pipeline: Any) -> list[str]:
    """The names of a pipeline's steps, as the service shows them, outermost."""
    transforms = pipeline.components.transforms
    outermost = (transforms[key] for root in pipeline.root_transform_ids for key in transforms[root].subtransforms)
    return [transform.unique_name for transform in outermost]


def submit(pipeline: Any) -> Any:
    """Stages and submits a pipeline; Beam's result, which has no job if a template was written.

    Raises RequestError if the service or the bucket refuses it.
    """
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import ClientError

    try:
        return pipeline.run()
    except DataflowJobAlreadyExistsError as error:
        raise RequestError(f"--runner {RUNNER}: {error}") from None
    except ClientError as error:
        raise RequestError(f"--runner {RUNNER}: Dataflow refuses the job ({error.message})") from None
    except OSError as error:  # by which Beam says that it could not stage
        raise RequestError(f"--runner {RUNNER}: {error}") from None


def accepted(result: Any) -> Job:
    """The job that a submission made."""
    job = result._job
    return Job(project=job.project_id, region=job.location, id=job.id, name=job.name)


def find(job: Job, arguments: Sequence[str]) -> Any:
    """Beam's result for a job that an earlier command submitted."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult, DataflowRunner
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    options = PipelineOptions([*arguments])
    google = options.view_as(GoogleCloudOptions)
    google.project, google.region = job.project, job.region
    runner = DataflowRunner()
    runner.dataflow_client = DataflowApplicationClient(options)
    return DataflowPipelineResult(runner.dataflow_client.get_job(job.id), runner, options)


POLL = 5.0  # seconds, Beam's own
_EXPLAINED = 30  # seconds until a job that failed has said why
_CANCELLED = 30  # seconds for the service to take note


def follow(result: Any, tell: Callable[[str], None]) -> str:
    """Waits for the end of a job; Beam's name of its last state. Ctrl-C cancels it."""
    from apache_beam.runners.runner import PipelineState

    said = ""
    try:
        while True:
            state: str = result.state
            if state != said:
                tell(f"job {result.job_id()} is {state.lower()}")
                said = state
            if PipelineState.is_terminal(state):
                return state
            time.sleep(POLL)
    except KeyboardInterrupt:
        with contextlib.suppress(Exception):
            result.cancel()
            deadline = time.monotonic() + _CANCELLED
            while not PipelineState.is_terminal(result.state) and time.monotonic() < deadline:
                time.sleep(POLL / 5)
        tell(f"job {result.job_id()} is {result.state.lower()}")
        raise


def why(result: Any) -> str:
    """What a job that failed says of it; empty if it says nothing."""
    client, job = result._runner.dataflow_client, result.job_id()
    deadline = time.monotonic() + _EXPLAINED
    while True:
        messages, _ = client.list_messages(job, minimum_importance="JOB_MESSAGE_ERROR")
        texts = [message.message_text for message in messages]
        if texts or time.monotonic() > deadline:
            # The worker's own words, if there are any, are in the message with a traceback.
            return max(texts, key=lambda text: "Traceback" in text, default="")
        time.sleep(POLL)
