"""Runners of Beam's that are not in this process: Flink, Prism, whatever a job server stands before."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.portable_runner import PipelineResult as PortableResult
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineState, create_runner

from augment.augmenter import CORES
from augment.errors import RequestError, did_you_mean
from pipelines.engines.engine import Engine, Rows

_STOPS = 30  # seconds for workers to notice, and for the engine to end the job


class Beam(Engine):
    """Any runner of Beam's, by its name."""

    def check(self, places: Mapping[str, str], ours: Sequence[str]) -> None:
        """Raises RequestError for a runner that Beam does not know, cannot load, or could not reach."""
        super().check(places, ours)
        known = ("embedded", *(path.rpartition(".")[2] for path in StandardOptions.KNOWN_RUNNER_NAMES))
        if "." not in self.runner and self.runner.lower() not in map(str.lower, known):
            raise RequestError(
                f"--runner: there is no runner {self.runner!r}; {did_you_mean(self.runner, known)}"
            )
        try:
            runner = create_runner(self.runner)
        except (ImportError, ValueError, AttributeError) as error:
            raise RequestError(f"--runner {self.runner}: it cannot be loaded ({error})") from None
        if not isinstance(runner, PortableRunner):
            return
        options = PipelineOptions(self.arguments)
        endpoint = options.view_as(PortableOptions).job_endpoint
        if endpoint and endpoint != "embed":  # which is in this process
            _check_answers(endpoint)
        elif not endpoint and isinstance(runner, FlinkRunner):
            _check_can_serve(options)

    def workers_a_machine(self) -> int:
        """As many as a task manager starts: one, unless more are asked for; 0 stands for one a core."""
        given = str(PipelineOptions(self.arguments).view_as(PortableOptions).sdk_worker_parallelism)
        if not given.isdecimal():
            raise RequestError(f"--sdk_worker_parallelism is {given!r}; it must be a whole number from 0")
        return int(given) or CORES

    def defaults(self, name: str, output: str) -> list[str]:
        """On Flink, Python workers otherwise end after each step, and the next import everything again.

        Not for longer: a worker that died is kept too, and given to each new attempt.
        """
        return [f"--runner={self.runner}", "--environment_cache_millis=5000"]

    def follow(self, job: Any, output: str, stop: Callable[[], None]) -> Rows | None:
        """As it says there."""
        with _quiet(job.runner):
            return super().follow(job, output, stop)

    def end(self, result: PipelineResult) -> None:
        """Grants the job server some time before it is told."""
        deadline = time.monotonic() + (_STOPS if isinstance(result, PortableResult) else 0)
        while not PipelineState.is_terminal(result.state):
            if time.monotonic() > deadline:
                result.cancel()
                break
            time.sleep(0.2)


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


@contextmanager
def _quiet(runner: Any) -> Iterator[None]:
    """Hides what Beam, and workers in this process, print when they fail: the exception says it too."""
    if not isinstance(runner, PortableRunner):
        yield
        return
    others = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "wait_until_finish_read":
            others(failed)

    threading.excepthook = hook  # for good: the thread that reads a job's messages fails after it
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield
