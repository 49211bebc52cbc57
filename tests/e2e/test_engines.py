"""Runs on Beam's other engines: the same bytes, also when workers are killed, and the same sentences."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.engines import servers
from tests.engines.engines import ENGINES, flink_options

pytestmark = pytest.mark.engines

REQUEST = ("--copies", 2, "--shards", 3)
LONG = ("--copies", 40, "--shards", 20)


@contextlib.contextmanager
def engine(name: str, logs: Path) -> Iterator[list[str]]:
    missing = servers.missing(*ENGINES[name].needs)
    if missing:
        pytest.skip(f"{name} needs {', '.join(missing)}")
    with ENGINES[name].started(logs) as options:
        yield options


@pytest.fixture(scope="module")
def flink_local(tmp_path_factory) -> Iterator[list[str]]:
    """The options for an embedded cluster in a job server, with a pool of workers."""
    with engine("flink-local", tmp_path_factory.mktemp("local")) as options:
        yield options


class Cluster(NamedTuple):
    """Two task managers that start workers as processes of their own."""

    options: list[str]
    rest: str
    task_managers: list[int]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    missing = servers.missing(*ENGINES["flink-2"].needs)
    if missing:
        pytest.skip(f"a cluster needs {', '.join(missing)}")
    logs = tmp_path_factory.mktemp("cluster")
    with (
        servers.flink_cluster(logs, 2) as (master, task_managers),
        servers.job_server(logs, master) as jobs,
    ):
        yield Cluster(flink_options(jobs, 2), f"http://{master}", task_managers)


def states(cluster: Cluster) -> list[str]:
    """Of all jobs that the cluster knows."""
    with urllib.request.urlopen(f"{cluster.rest}/jobs", timeout=30) as answer:
        return [job["status"] for job in json.load(answer)["jobs"]]


def wait_for(count: int, output: Path, process: subprocess.Popen) -> None:
    """Until a running command has finished so many shards; a cluster needs a while to begin."""
    deadline = time.monotonic() + 600
    while len(list((output / "samples").glob("*.parquet"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(task_manager: int) -> list[psutil.Process]:
    """Its Python workers, without the programs that start them."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "apache_beam.runners.worker.sdk_worker_main" in (process.info["cmdline"] or ())
        and os.getsid(process.pid) == task_manager
    ]


def test_c4_flink_on_one_machine_writes_the_same_bytes(images, materialize, tree, flink_local, tmp_path):
    output = materialize(images, *REQUEST, *flink_local, into=tmp_path / "out")
    assert tree(output) == tree(materialize(images, *REQUEST))
    assert json.loads((output / "run.json").read_text())["runner"] == "FlinkRunner"


@pytest.mark.parametrize("name", ["flink-local", "prism"])
def test_c4_other_engines_balance_classes_and_keep_duplicates_together_alike(
    many_images, materialize, tree, tmp_path, name
):
    fractions = (
        "--split-fractions",
        "train=0.7,test=0.3",
        "--duplicates",
        "same-split",
        "--group-by",
        "([0-9])[.]",
    )
    request = ("--balance", 97, "--shards", 2, *fractions)
    with engine(name, tmp_path) as options:
        output = materialize(many_images, *request, *options, into=tmp_path / "out")
    assert tree(output) == tree(materialize(many_images, *request))


@pytest.mark.parametrize("started_by", ["a pool", "the entry point"])
def test_c4_workers_in_containers_write_the_same_bytes(
    images, materialize, tree, tmp_path_factory, tmp_path, started_by
):
    missing = servers.missing("docker", "java", "mvn")
    if missing:
        pytest.skip(f"containers on Flink need {', '.join(missing)}")
    if not servers.image():
        pytest.skip(f"there is no image {servers.IMAGE!r}; `make image` builds it")
    with contextlib.ExitStack() as stack:
        jobs = stack.enter_context(servers.job_server(tmp_path))
        everything = tmp_path_factory.getbasetemp()
        if started_by == "a pool":
            pool = stack.enter_context(servers.container_pool(tmp_path, everything))
            workers = ["--environment_type=EXTERNAL", f"--environment_config={pool}"]
        else:
            start = tmp_path / "start"
            start.write_text(f'#!/bin/sh\nexec {shlex.join(servers.container(everything))} "$@"\n')
            start.chmod(0o755)
            config = json.dumps({"command": str(start)})
            workers = ["--environment_type=PROCESS", f"--environment_config={config}"]
        flink = ("--runner=FlinkRunner", f"--job_endpoint={jobs}", "--parallelism=2")
        output = materialize(images, *REQUEST, *flink, *workers, into=tmp_path / "out")
    assert tree(output) == tree(materialize(images, *REQUEST))


def test_c4_the_image_runs_read_only_as_any_user_without_a_network(
    images, materialize, recipe_file, tree, tmp_path
):
    if servers.missing("docker") or not servers.image():
        pytest.skip(f"there is no image {servers.IMAGE!r}; `make image` builds it")
    here = tmp_path / "mounted"
    shutil.copytree(images, here / "in")
    shutil.copy(recipe_file("png"), here)
    for path in (here, *here.rglob("*")):
        path.chmod(0o777)
    locked = ["--read-only", "--network=none", "--user=12345", "--tmpfs=/tmp", "--cap-drop=ALL"]
    ended = subprocess.run(
        [
            *("docker", "run", "--rm", *locked, f"--volume={here}:/data", servers.IMAGE),
            *("augshard", "materialize", "--input", "/data/in", "--output", "/data/out"),
            *("--recipe", f"/data/{recipe_file('png').name}", *map(str, REQUEST)),
        ],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert tree(here / "out") == tree(materialize(images, *REQUEST))


def test_c4_prism_writes_the_same_bytes(images, materialize, tree, tmp_path):
    with engine("prism", tmp_path) as options:
        output = materialize(images, *REQUEST, *options, into=tmp_path / "out")
    assert tree(output) == tree(materialize(images, *REQUEST))


def test_what_fails_on_flink_is_said_in_one_sentence(images, run_command, recipe_file, flink_local, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(images, bad)
    (bad / "train/cat/empty.png").write_bytes(b"")
    request = ("materialize", "--input", bad, "--output", tmp_path / "out", "--recipe", recipe_file("png"))
    ended = run_command(*request, *flink_local)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("augshard: 1 of 27 images were rejected (1 empty), more than --max-rejects")
    assert ended.err.count("\n") == 1

    (bad / "train/cat/empty.png").unlink()
    (bad / "train/cat/memory.png").symlink_to("/proc/self/mem")  # its reading fails with EIO
    for options in (flink_local, [*flink_local[:2], "--environment_type=LOOPBACK"]):
        ended = run_command(*request, *options, "--overwrite")
        assert (ended.status, ended.out) == (1, "")
        assert "augshard: train/cat/memory.png: it cannot be read (input/output error); make it" in ended.err
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize("victim", ["worker", "task manager"])
def test_c4_the_same_bytes_when_one_of_two_is_killed(
    many_images, materialize, start_command, recipe_file, tree, cluster, victim, tmp_path
):
    output = tmp_path / "out"
    process = start_command(
        *("materialize", "--input", many_images, "--output", output, "--recipe", recipe_file("png")),
        *LONG,
        *cluster.options,
    )
    wait_for(100, output, process)
    task_manager = cluster.task_managers[0]
    if victim == "worker":
        for worker in workers_of(task_manager):
            worker.kill()
    else:
        os.kill(task_manager, signal.SIGKILL)
    assert not (output / "manifest.json").exists()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert tree(output) == tree(materialize(many_images, *LONG))


def test_ctrl_c_ends_the_job_on_the_cluster(
    many_images, materialize, start_command, recipe_file, tree, cluster, tmp_path
):
    output = tmp_path / "out"
    process = start_command(
        *("materialize", "--input", many_images, "--output", output, "--recipe", recipe_file("png")),
        *LONG,
        *cluster.options,
    )
    wait_for(20, output, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "augshard: stopped; run the same command again to go on"
    assert "RUNNING" not in states(cluster)
    written = len(list(output.glob("tiny_png-*")))
    assert written < 800
    assert not (output / "manifest.json").exists()
    time.sleep(1)
    assert len(list(output.glob("tiny_png-*"))) == written
    materialize(many_images, *LONG, into=output)
    assert tree(output) == tree(materialize(many_images, *LONG))
