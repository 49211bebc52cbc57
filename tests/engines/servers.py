"""Real engines on this machine: Flink with Beam's job server, pools of Python workers, Prism.

All of them listen on loopback, and end with the context that started them.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "engines"
PRISM_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
BOOT_MODULE = "github.com/apache/beam/sdks/v2/python/container"
IMAGE = "augshard"
STARTS = 300  # seconds in which a server has to answer


def missing(*commands: str) -> list[str]:
    """Those of the commands that this machine lacks."""
    return [command for command in commands if shutil.which(command) is None]


def flink_jars() -> Path:
    """Brings Flink and the job server from Maven Central, once; the directory with their jars."""
    jars, pom = BUILD / "flink", ROOT / "docker" / "flink" / "pom.xml"
    done = jars / "pom.xml"
    if not done.exists() or done.read_bytes() != pom.read_bytes():
        shutil.rmtree(jars, ignore_errors=True)
        command = [
            "mvn",
            "-B",
            "-q",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={jars}",
        ]
        subprocess.run(command, check=True)
        shutil.copyfile(pom, done)
    return jars


def prism() -> Path:
    """Beam's Prism, built from its Go module once; the path of the program."""
    return _go_program(PRISM_MODULE)


def boot() -> Path:
    """The program by which Beam's containers, and Flink's task managers, start Python workers."""
    return _go_program(BOOT_MODULE)


def _go_program(module: str) -> Path:
    version = importlib.metadata.version("apache-beam")
    folder = BUILD / f"go-{version}"
    program = folder / module.rpartition("/")[2]
    if not program.exists():
        command = ["go", "install", f"{module}@v{version}"]
        subprocess.run(command, check=True, env={**os.environ, "GOBIN": str(folder)})
    return program


def processes() -> list[str]:
    """The options by which task managers start Python workers as processes of their own."""
    variables = {
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",  # it starts `python`
        "PYTHONPATH": str(ROOT),
        "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1",  # no virtual environment for each worker
    }
    config = {"command": str(boot()), "env": variables}
    return ["--environment_type=PROCESS", f"--environment_config={json.dumps(config)}"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], log: Path, ready: Callable[[], bool], **environment: str) -> Iterator[int]:
    """A server in a session of its own, once it is ready; its process id. All of the session ends with it."""
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            cwd=log.parent,  # workers leave files where they are started
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
        for one in psutil.process_iter():  # workers make process groups of their own
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(one.pid) == process.pid:
                    one.kill()
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


def image() -> bool:
    """Whether this machine has the image of docker/Dockerfile, which `make image` builds."""
    return subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True).returncode == 0


def container(folder: Path) -> list[str]:
    """The start of a command in the image, run as whoever runs this, which sees a folder under its path."""
    user, mount = f"{os.getuid()}:{os.getgid()}", f"{folder}:{folder}"
    return ["docker", "run", "--rm", "--init", "--network=host", f"--user={user}", f"--volume={mount}", IMAGE]


@contextlib.contextmanager
def container_pool(logs: Path, folder: Path) -> Iterator[str]:
    """A pool of workers in a container, each started by Beam's boot program; its address."""
    port = free_port()
    module = "apache_beam.runners.worker.worker_pool_main"
    pool = ["python", "-m", module, f"--service_port={port}", "--container_executable=/opt/apache/beam/boot"]
    run = container(folder)
    name = f"augshard-pool-{port}"  # ending `docker run` would not end what it started
    with contextlib.ExitStack() as stack:
        stack.callback(subprocess.run, ["docker", "rm", "--force", name], capture_output=True)
        command = [*run[:2], f"--name={name}", *run[2:], *pool]
        stack.enter_context(running(command, logs / "workers.log", lambda: answers(port)))
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
    """A job manager with task managers; its address, and their process ids.

    Each of these keeps to a core, with its workers, as if it were a machine of one; and each has two
    slots, so that one can go on with a job of two when the other is gone.
    """
    rest = free_port()
    settings = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": free_port(),
        "rest.port": rest,
        "rest.bind-address": "127.0.0.1",
        "blob.server.port": free_port(),
        "taskmanager.host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": 2,
        "taskmanager.load-balance.mode": "SLOTS",
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
        # Longer than workers are kept (runners.py): a new attempt would be given one that died.
        "restart-strategy.fixed-delay.delay": "10 s",
        "io.tmp.dirs": str(logs),
        # Where jobs bring classes of their own, Beam ends its workers after each stage.
        "classloader.resolve-order": "parent-first",
    }
    conf = logs / "conf"
    conf.mkdir()
    (conf / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    where = ["--configDir", str(conf)]
    manager = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    worker = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            running(_java(manager, "512m", *where), logs / "job-manager.log", lambda: answers(rest))
        )
        pids = [
            stack.enter_context(
                running(
                    ["taskset", "--cpu-list", str(cores[i % len(cores)]), *_java(worker, "640m", *where)],
                    logs / f"task-manager-{i}.log",
                    lambda: True,
                )
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
    short = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # lives too short for much compiling
    level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", f"-Xmx{heap}", *short, level, "-cp", f"{flink_jars()}/*", main, *arguments]
