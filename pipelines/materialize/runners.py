"""Which engine runs the pipeline.

`embedded`, the default, is Beam's in-process runner, asked for by its class: a
plain `DirectRunner` first tries to download another runner, and picks one by what
the pipeline contains.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import create_runner

from augment.errors import RequestError, did_you_mean

EMBEDDED = "embedded"


def check_options(arguments: Sequence[str], ours: Sequence[str]) -> None:
    """Checks options that are not ours against Beam's. Raises RequestError on the first unknown one."""
    parser = _beam_parser()
    known = [option for action in parser._actions for option in action.option_strings]
    problem = io.StringIO()
    try:
        with contextlib.redirect_stderr(problem):
            _, unknown = parser.parse_known_args(list(arguments))
    except SystemExit:
        line = problem.getvalue().strip().splitlines()[-1]
        raise RequestError(line.partition("error: ")[2] or line) from None
    if unknown:
        option = unknown[0].partition("=")[0]
        if not option.startswith("-"):
            raise RequestError(f"{option!r} is not an option; options begin with --")
        raise RequestError(f"there is no option {option}; {did_you_mean(option, [*ours, *known])}")


def _beam_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        with contextlib.suppress(argparse.ArgumentError):
            options._add_argparse_args(parser)
    return parser


def check_runner(name: str) -> None:
    """Raises RequestError for a runner that Beam does not know, or cannot load."""
    if name == EMBEDDED:
        return
    known = (EMBEDDED, *(path.rpartition(".")[2] for path in StandardOptions.KNOWN_RUNNER_NAMES))
    if "." not in name and name.lower() not in map(str.lower, known):
        raise RequestError(f"--runner: there is no runner {name!r}; {did_you_mean(name, known)}")
    try:
        create_runner(name)
    except (ImportError, ValueError, AttributeError) as error:
        raise RequestError(f"--runner {name}: it cannot be loaded ({error})") from None


def create(name: str, arguments: Sequence[str]) -> tuple[Any, PipelineOptions]:
    """The runner and its options."""
    if name != EMBEDDED:
        options = PipelineOptions([*arguments, f"--runner={name}"])
        return create_runner(name), options
    # First, so that the user's own word on it comes last; workers in processes else report every step.
    options = PipelineOptions(["--default_sdk_harness_log_level=ERROR", *arguments])
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    # Without it, the workers of the multi-process mode would see none of the options.
    provision = fn_runner.ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return fn_runner.FnApiRunner(provision_info=provision), options
