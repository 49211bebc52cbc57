"""Which engine runs the pipeline.

`embedded`, the default, is Beam's in-process runner, asked for by its class: a
plain `DirectRunner` first tries to download another runner, and picks one by what
the pipeline contains.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner
from apache_beam.runners.portability.portable_runner import PipelineResult as PortableResult
from apache_beam.runners.runner import PipelineResult, PipelineState, create_runner

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


def check_runner(name: str, arguments: Sequence[str]) -> None:
    """Raises RequestError for a runner that Beam does not know, cannot load, or could not reach."""
    if name == EMBEDDED:
        return
    known = (EMBEDDED, *(path.rpartition(".")[2] for path in StandardOptions.KNOWN_RUNNER_NAMES))
    if "." not in name and name.lower() not in map(str.lower, known):
        raise RequestError(f"--runner: there is no runner {name!r}; {did_you_mean(name, known)}")
    try:
        runner = create_runner(name)
    except (ImportError, ValueError, AttributeError) as error:
        raise RequestError(f"--runner {name}: it cannot be loaded ({error})") from None
    if not isinstance(runner, PortableRunner):
        return
    options = PipelineOptions([*arguments])
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint and endpoint != "embed":  # which is in this process
        _check_answers(endpoint)
    elif not endpoint and isinstance(runner, FlinkRunner):
        _check_can_serve(options)


def _check_answers(endpoint: str) -> None:
    host, _, port = endpoint.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 2**16):
        raise RequestError(f"--job_endpoint is {endpoint!r}; it must be HOST:PORT, such as localhost:8099")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise RequestError(
            f"--job_endpoint {endpoint}: no job server answers there "
            f"({(error.strerror or str(error)).lower()}); start one, and give its HOST:PORT "
            "(see docs/runners.md)"
        ) from None


def _check_can_serve(options: PipelineOptions) -> None:
    """Without --job_endpoint, Beam starts a job server of its own."""
    java = options.view_as(JobServerOptions).job_server_java_launcher
    if shutil.which(java) is None:
        raise RequestError(
            f"--runner FlinkRunner: it starts a job server, and there is no {java!r} to run it; install "
            "Java (on Debian and Ubuntu, default-jre-headless), or give the --job_endpoint of one that runs"
        )
    jar = options.view_as(FlinkRunnerOptions).flink_job_server_jar
    if jar and "://" not in jar and not os.path.isfile(jar):
        raise RequestError(f"--flink_job_server_jar {jar}: there is no such file; give a jar, or its URL")


# On Flink, Python workers otherwise end after each step, and those of the next import everything again.
# Not for longer: a worker that died is kept too, and given to each new attempt. First, so that the
# user's own word on it comes last; other runners do not read it.
_DEFAULTS = ["--environment_cache_millis=5000"]


def create(name: str, arguments: Sequence[str]) -> tuple[Any, PipelineOptions]:
    """The runner and its options."""
    if name != EMBEDDED:
        return create_runner(name), PipelineOptions([*_DEFAULTS, *arguments, f"--runner={name}"])
    # First, so that the user's own word on it comes last; workers in processes else report every step.
    options = PipelineOptions(["--default_sdk_harness_log_level=ERROR", *arguments])
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    # Without it, the workers of the multi-process mode would see none of the options.
    provision = fn_runner.ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return fn_runner.FnApiRunner(provision_info=provision), options


@contextlib.contextmanager
def quiet(engine: Any) -> Iterator[None]:
    """Hides what Beam, and workers in this process, print when they fail: the exception says it too."""
    if not isinstance(engine, PortableRunner):
        yield
        return
    others = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "wait_until_finish_read":
            others(failed)

    threading.excepthook = hook  # for good: the thread that reads a job's messages fails after it
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


_STOPS = 30  # seconds for workers to notice, and for the engine to end the job


def wait(result: PipelineResult, stop: Callable[[], None]) -> None:
    """Waits for a job's end. Ctrl-C ends it, wherever it runs: else two would write after a resume.

    `stop` tells the workers; cancelling is not enough, for Flink's job server only lets go of its job.
    """
    try:
        result.wait_until_finish()
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # a store that does not answer
            stop()
        with contextlib.suppress(Exception):  # an embedded job ends with this process
            deadline = time.monotonic() + (_STOPS if isinstance(result, PortableResult) else 0)
            while not PipelineState.is_terminal(result.state):
                if time.monotonic() > deadline:
                    result.cancel()
                    break
                time.sleep(0.2)
        raise


def message(error: Exception) -> str:
    """What a runner's exception says."""
    details = getattr(error, "details", None)  # gRPC's errors have them, and a text of many lines
    if callable(details):
        return f"the connection to the job server broke ({details()})"
    return str(error).strip() or type(error).__name__
