"""Google Cloud Dataflow: what a submission needs, and what augshard adds to it.

The pipeline is the one that every runner gets. No code of this machine goes with it: workers have
augshard from the image that --sdk_container_image names.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
from collections.abc import Sequence
from typing import NoReturn

from augment.errors import RequestError
from pipelines import storage

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


def is_dataflow(runner: str) -> bool:
    """Whether Beam would take a name for this runner."""
    return runner.rpartition(".")[2].lower() == RUNNER.lower()


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Those of Beam's options that are decided by here, without Beam. Raises RequestError."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in (*_NEEDED, "job_name", "template_location", "flexrs_goal"):
        parser.add_argument(f"--{name}")
    for name in ("save_main_session", "no_auth", "no_wait_until_finish"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--experiments", "--experiment", action="append", default=[])
    parser.add_argument("--dry_run", choices=["true", "false"], default="false")
    return parser.parse_known_args(with_values(arguments))[0]


def is_dry_run(arguments: Sequence[str]) -> bool:
    """Whether nothing is to be submitted, nor written."""
    return bool(read_options(arguments).dry_run == "true")


def goes_on_alone(arguments: Sequence[str]) -> bool:
    """Whether this process is not to wait for what comes of the job."""
    options = read_options(arguments)
    return bool(options.no_wait_until_finish or options.template_location)


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


def check_request(arguments: Sequence[str], root: str, output: str) -> None:
    """What can be known of a submission without Beam. Raises RequestError."""
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
                f"{option} {place}: workers on Dataflow see nothing of this machine; give gs://BUCKET/PATH, "
                "to which `gcloud storage cp --recursive` copies"
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
    if options.template_location and is_dry_run(arguments):
        raise RequestError("--dry_run and --template_location: a dry run writes no template; choose one")
    if not _installed():
        raise RequestError(
            f"--runner {RUNNER}: it needs the extra gcp, which is not installed: make install EXTRAS=gcp"
        )


def _installed() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:
        return False


def check_access(arguments: Sequence[str]) -> None:
    """Raises RequestError without credentials, or a bucket for staging: Beam would try for minutes."""
    options = read_options(arguments)
    if not options.no_auth:
        _check_credentials()
    try:
        any(storage.at(options.temp_location).list(deep=False))
    except OSError as error:
        raise RequestError(f"--temp_location {options.temp_location}: {storage.reason(error)}") from None


def _check_credentials() -> None:
    from google.auth import default
    from google.auth.exceptions import GoogleAuthError

    try:
        default()
    except GoogleAuthError:
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
    return [*defaults, *with_values(arguments)]
