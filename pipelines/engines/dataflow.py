"""Google Cloud Dataflow: what a submission needs, and what augshard adds to it.

The pipeline is the one that every runner gets. No code of this machine goes with it: workers have
augshard from the image that --sdk_container_image names.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from augment.errors import RequestError
from pipelines import storage
from pipelines.engines import dataflow_job
from pipelines.engines.engine import Engine, Rows
from pipelines.engines.job import Job, saved_job
from pipelines.format.request import Request

if TYPE_CHECKING:
    import apache_beam as beam

_NEEDED = {
    "project": "the id of a Google Cloud project, such as --project my-project",
    "region": "the region that workers run in, such as --region us-central1",
    "temp_location": "a place for what is staged, such as --temp_location gs://BUCKET/tmp",
    "sdk_container_image": "the image that workers start from, with augshard and the lock of this "
    "environment in it, such as --sdk_container_image REGION-docker.pkg.dev/PROJECT/REPOSITORY/augshard:TAG",
}

# A group's work uses all cores of a machine from one process, one group at a time. Beam would send the
# main session, and a list of the packages that are installed here: nothing pickled needs the one, and
# run.json has what counts of the other.
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


class Dataflow(Engine):
    """A service that takes a job, and runs it whether anybody waits for it or not."""

    workers_here = False

    def __init__(self, runner: str, arguments: Sequence[str]) -> None:
        super().__init__(runner, with_values(arguments))
        self.options = read_options(self.arguments)
        self.dry_run = self.options.dry_run == "true"
        self.awaited = not (self.options.no_wait_until_finish or self.options.template_location)

    def check(self, places: Mapping[str, str], ours: Sequence[str]) -> None:
        """Raises RequestError for what is missing or wrong, and without access: Beam tries for minutes."""
        self._check_given(places)
        super().check(places, ours)
        if self.dry_run:
            return
        if not self.options.no_auth:
            self._check_credentials()
        try:
            any(storage.at(self.options.temp_location).list(deep=False))
        except OSError as error:
            place = self.options.temp_location
            raise RequestError(f"--temp_location {place}: {storage.reason(error)}") from None

    def _check_given(self, places: Mapping[str, str]) -> None:
        """What can be known of a submission without Beam."""
        options = self.options
        for name, meaning in _NEEDED.items():
            if not getattr(options, name):
                raise RequestError(f"--runner {self.runner}: --{name} is not given; it is {meaning}")
        if not re.fullmatch(r"gs://[a-z0-9][-_.a-z0-9]+[a-z0-9]/.*", options.temp_location, re.DOTALL):
            raise RequestError(
                f"--temp_location is {options.temp_location!r}; it must be gs://BUCKET/PATH on Dataflow"
            )
        for option, place in places.items():
            if "://" not in place:
                raise RequestError(
                    f"{option} {place}: workers on Dataflow see nothing of this machine; give "
                    "gs://BUCKET/PATH, to which `gcloud storage cp --recursive` copies"
                )
        if options.job_name is not None and not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", options.job_name):
            raise RequestError(
                f"--job_name is {options.job_name!r}; it must be of lower-case letters, digits and -, begin "
                "with a letter and not end with -"
            )
        if options.save_main_session:
            raise RequestError(
                "--save_main_session: workers have augshard from their image, and need nothing of this "
                "session; leave it out"
            )
        if options.template_location and self.dry_run:
            raise RequestError("--dry_run and --template_location: a dry run writes no template; choose one")
        if not _installed():
            raise RequestError(
                f"--runner {self.runner}: it needs the extra gcp, which is not installed: "
                "make install EXTRAS=gcp"
            )

    def _check_credentials(self) -> None:
        from google.auth import default
        from google.auth.exceptions import GoogleAuthError

        try:
            default()
        except GoogleAuthError:
            raise RequestError(
                f"--runner {self.runner}: there are no Google credentials here; make some with `gcloud auth "
                "application-default login`, or name a key file in GOOGLE_APPLICATION_CREDENTIALS"
            ) from None

    def defaults(self, name: str, output: str) -> list[str]:
        """The job is named after its output.

        Of jobs with one name Dataflow runs only one at a time, and two that write to one place have no
        business with each other.
        """
        place = hashlib.sha256(output.rstrip("/").encode()).hexdigest()[:8]
        job = f"augshard-{name[:40].strip('_').replace('_', '-')}-{place}"
        defaults = [f"--runner={self.runner}", *_DEFAULTS, f"--job_name={job}"]
        if "use_multiple_sdk_containers" not in ",".join(self.options.experiments):
            defaults.append(f"--experiments={_ONE_PROCESS}")
        if self.options.flexrs_goal is None:  # which takes no hints
            defaults.append(f"--resource_hints=min_ram={MIN_RAM}")
        return defaults

    def submit(self, pipeline: beam.Pipeline, request: Request, output: str) -> Any:
        """Has the service take the job, and puts it on record; or writes the template.

        Raises RequestError if the service or the bucket for staging refuses it, OSError if the service fails.
        """
        result = dataflow_job.submit(pipeline, self.runner)
        if not result.has_job:
            return None, result
        made = result._job
        job = Job(project=made.project_id, region=made.location, id=made.id, name=made.name, request=request)
        job.save(output)
        return job, result

    def rejoin(self, request: Request, output: str) -> Any:
        """The job on record, if it is of the same request."""
        job = saved_job(output)
        if job is None:
            return None
        if job.request != request:
            differences = request.differences(job.request) or ["the number of copies, or the originals"]
            raise RequestError(
                f"output {output}: job {job.id} on Dataflow, by another request, writes to it: "
                f"{'; '.join(differences)}. See first what came of that, with the command that submitted it"
            )
        return job, None

    def follow(self, job: Any, output: str, stop: Callable[[], None]) -> Rows | None:
        """That a job left an outcome is no end: the service tries a step that failed again."""
        record, result = job
        if record is not None:
            result = result or dataflow_job.find(record, output, self.arguments)
            return dataflow_job.follow(record, result, output, stop, wait=self.awaited)
        template = self.options.template_location
        run = f"gcloud dataflow jobs run NAME --gcs-location {template} --region REGION"
        return {"template": template, "next": f"{run} (a Flex Template's launcher does so by itself)"}

    def described(self, pipeline: beam.Pipeline) -> Rows:
        """The whole of it is written to --dataflow_job_file, if that is given."""
        return dataflow_job.described(pipeline.run().job)


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Those of Beam's options that are decided by here, without Beam. Raises RequestError."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in (*_NEEDED, "job_name", "template_location", "flexrs_goal"):
        parser.add_argument(f"--{name}")
    for name in ("save_main_session", "no_auth", "no_wait_until_finish"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--experiments", "--experiment", action="append", default=[])
    parser.add_argument("--dry_run", choices=["true", "false"], default="false")
    return parser.parse_known_args(arguments)[0]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(message.removeprefix("argument "))


def with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments as Beam takes them: to it, --dry_run has a value, and any means yes, "false" too."""
    kept: list[str] = []
    for argument in arguments:
        if kept and kept[-1] == "--dry_run" and argument in ("true", "false"):
            kept[-1] += f"={argument}"
        else:
            kept.append(argument)
    named = ("--dry_run=true" if argument == "--dry_run" else argument for argument in kept)
    return [argument for argument in named if argument != "--dry_run=false"]


def _installed() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:
        return False
