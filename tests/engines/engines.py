"""Beam's engines by name, each with the options that make `augshard materialize` run on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.engines import servers

PACKAGES = {"java": "default-jre-headless", "mvn": "maven", "go": "golang-go"}
"""Debian's package of each command that an engine may need."""


class Engine(NamedTuple):
    """Where a job can run."""

    started: Callable[[Path], contextlib.AbstractContextManager[list[str]]]
    """starts all of it, with logs in a directory; gives the options of the command"""
    needs: tuple[str, ...] = ()
    """commands, to bring and to run it"""


@contextlib.contextmanager
def _embedded(logs: Path) -> Iterator[list[str]]:
    yield []


@contextlib.contextmanager
def _processes(logs: Path) -> Iterator[list[str]]:
    yield ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@contextlib.contextmanager
def _prism(logs: Path) -> Iterator[list[str]]:
    yield ["--runner=PrismRunner", f"--prism_location={servers.prism()}"]


@contextlib.contextmanager
def _flink_local(logs: Path) -> Iterator[list[str]]:
    with servers.job_server(logs) as jobs, servers.worker_pool(logs) as pool:
        workers = ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
        yield ["--runner=FlinkRunner", f"--job_endpoint={jobs}", "--parallelism=2", *workers]


def flink_of(task_managers: int) -> Callable[[Path], contextlib.AbstractContextManager[list[str]]]:
    """A session cluster, with a Python worker a task manager."""

    @contextlib.contextmanager
    def started(logs: Path) -> Iterator[list[str]]:
        with (
            servers.flink_cluster(logs, task_managers) as (master, _),
            servers.job_server(logs, master) as jobs,
        ):
            yield flink_options(jobs, task_managers)

    return started


def flink_options(jobs: str, parallelism: int) -> list[str]:
    """For a job server whose cluster's task managers start the workers."""
    job = ["--runner=FlinkRunner", f"--job_endpoint={jobs}", f"--parallelism={parallelism}"]
    return [*job, *servers.processes()]


ENGINES = {
    "embedded": Engine(_embedded),
    "processes": Engine(_processes),
    "prism": Engine(_prism, ("go",)),
    "flink-local": Engine(_flink_local, ("java", "mvn")),
    "flink-1": Engine(flink_of(1), ("java", "mvn", "go")),
    "flink-2": Engine(flink_of(2), ("java", "mvn", "go")),
}
