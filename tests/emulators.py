"""Object stores on this machine's loopback: moto's server for S3, fake-gcs-server for Google's."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.storage import clients

BUILD = Path(__file__).parents[1] / "build" / "stores"
"""Where `make test-stores` puts the emulators, which are no part of the locked environment."""


def missing() -> list[str]:
    """What the tests need and is not here."""
    modules = {"boto3": "the extra aws", "google.cloud.storage": "the extra gcp"}
    return [
        *(what for module, what in modules.items() if not _importable(module)),
        *(name for name in ("moto_server", "fake-gcs-server") if not _program(name)),
    ]


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent
        return False


def _program(name: str) -> str | None:
    places = [str(BUILD / "bin"), str(BUILD / "venv" / "bin"), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(places))


@contextlib.contextmanager
def running(logs: Path) -> Iterator[dict[str, str]]:
    """Both of them; what has to be in the environment of those who use them."""
    s3, gcs = free_port(), free_port()
    commands = {
        "moto_server": (["-H", "127.0.0.1", "-p", str(s3)], s3),
        "fake-gcs-server": (
            [
                *("-scheme", "http", "-host", "127.0.0.1", "-port", str(gcs)),
                *("-backend", "memory", "-external-url", f"http://127.0.0.1:{gcs}"),
            ],
            gcs,
        ),
    }
    with contextlib.ExitStack() as stack:
        for name, (options, port) in commands.items():
            log = stack.enter_context(open(logs / f"{name}.log", "wb"))
            command = [str(_program(name)), *options]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            _wait_for(port, process)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{gcs}",
        }


def make_bucket(scheme: str, name: str) -> None:
    client = clients.store(scheme)._client
    client.create_bucket(**{"Bucket" if scheme == "s3" else "bucket_or_name": name})


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)


class Narrow:
    """A way to a server that breaks off every connection after so many bytes of what is sent to it."""

    def __init__(self, port: int, most: int) -> None:
        self._to, self._most = port, most
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(near, far, self._most), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, 1 << 40), daemon=True).start()

    @staticmethod
    def _pass(near: socket.socket, far: socket.socket, left: int) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(min(1 << 16, left)):
                far.sendall(data)
                left -= len(data)
                if not left:
                    break
            for end in (near, far):
                end.shutdown(socket.SHUT_RDWR)
