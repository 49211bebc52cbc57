"""Real engines on this machine: Flink with Beam's job server, pools of Python workers, Prism.

All of them listen on loopback, and end with the context that started them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "engines"
PRISM_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
STARTS = 120  # seconds in which a server has to answer

_JAVA_17 = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.lang", "java.util", "java.net")]


def missing(*commands: str) -> list[str]:
    """Those of the commands that this machine lacks."""
    return [command for command in commands if shutil.which(command) is None]


def flink_jars() -> Path:
    """Brings Flink and the job server from Maven Central, once; the directory with their jars."""
    jars, pom = BUILD / "flink", ROOT / "docker" / "flink" / "pom.xml"
    done = jars / "pom.xml"
    if not done.exists() or done.read_bytes() != pom.read_bytes():
        shutil.rmtree(jars, ignore_errors=True)
        command = ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        subprocess.run(command, check=True)
        shutil.copyfile(pom, done)
    return jars


def prism() -> Path:
    """Builds Beam's Prism from its Go module, once; the path of the program."""
    import apache_beam

    folder = BUILD / f"prism-{apache_beam.__version__}"
    if not (folder / "prism").exists():
        subprocess.run(
            ["go", "install", f"{PRISM_MODULE}@v{apache_beam.__version__}"],
            check=True,
            env={**os.environ, "GOBIN": str(folder)},
        )
    return folder / "prism"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], log: Path, ready: Callable[[], bool], **environment: str) -> Iterator[int]:
    """A server in a process group of its own, once it is ready; its process id."""
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + STARTS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def worker_pool(logs: Path) -> Iterator[str]:
    """A pool that starts Python workers when a runner asks for them; its address."""
    port = free_port()
    module = "apache_beam.runners.worker.worker_pool_main"
    with running(
        [sys.executable, "-m", module, f"--service_port={port}"],
        logs / "workers.log",
        lambda: answers(port),
        PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",  # it starts `python`
        PYTHONPATH=str(ROOT),
    ):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def job_server(logs: Path, master: str = "[local]") -> Iterator[str]:
    """Beam's job server for Flink: a cluster of its own within, or the one at `master`; its address."""
    port = free_port()
    main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
    arguments = [
        f"--flink-master={master}",
        "--job-host=127.0.0.1",
        f"--job-port={port}",
        "--artifact-port=0",
        "--expansion-port=0",
        f"--artifacts-dir={logs / 'artifacts'}",
        "--clean-artifacts-per-job=true",
    ]
    with running(_java(main, "2g", *arguments), logs / "job-server.log", lambda: answers(port)):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def flink_cluster(logs: Path, task_managers: int) -> Iterator[tuple[str, list[int]]]:
    """A job manager with task managers of one slot each; its address, and their process ids."""
    rest = free_port()
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": free_port(),
        "rest.port": rest,
        "rest.bind-address": "127.0.0.1",
        "blob.server.port": free_port(),
        "taskmanager.host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": 1,
        "taskmanager.cpu.cores": 1,
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        "taskmanager.memory.task.heap.size": "384m",
        "taskmanager.memory.task.off-heap.size": "128m",
        "taskmanager.memory.network.min": "256m",
        "taskmanager.memory.network.max": "256m",
        "taskmanager.memory.managed.size": "128m",
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 6000,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 5,
        "restart-strategy.fixed-delay.delay": "1 s",
        "io.tmp.dirs": str(logs),
    }
    conf = logs / "conf"
    conf.mkdir()
    (conf / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    where = ["--configDir", str(conf)]
    manager = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    worker = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            running(_java(manager, "512m", *where), logs / "job-manager.log", lambda: answers(rest))
        )
        pids = [
            stack.enter_context(
                running(_java(worker, "640m", *where), logs / f"task-manager-{i}.log", lambda: True)
            )
            for i in range(task_managers)
        ]
        deadline = time.monotonic() + STARTS
        while _registered(rest) < task_managers:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the task managers did not register: see {logs}")
            time.sleep(0.2)
        yield f"127.0.0.1:{rest}", pids


def _registered(rest: int) -> int:
    """How many task managers a job manager knows; it says nothing while it starts."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{rest}/taskmanagers", timeout=10) as answer:
            return len(json.load(answer)["taskmanagers"])
    except urllib.error.URLError:
        return 0


def _java(main: str, heap: str, *arguments: str) -> list[str]:
    level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", f"-Xmx{heap}", level, *_JAVA_17, "-cp", f"{flink_jars()}/*", main, *arguments]
