"""Small runs in forked processes, which spares each the start of TensorFlow, and what they leave behind."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.photos import draw_photos

LONGEST = 300.0
"""Seconds after which a run counts as hanging."""


class Broken(Exception):
    """A promise that did not hold."""


class Outcome(NamedTuple):
    """What stands in a row of docs/reliability.md."""

    how_often: str
    what_happened: str


def load() -> None:
    """Imports what runs need. TensorFlow's runtime must not start here: it does not survive a fork."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import apache_beam  # noqa: F401
    import tensorflow  # noqa: F401

    import pipelines.commands.materialize  # noqa: F401


def draw(folder: Path, classes: Sequence[str] = ("car", "truck")) -> Path:
    """A directory of 8 small photos a class, whose name there is UTF-8 in every locale."""
    for name in classes:
        draw_photos(Path(os.fsdecode(os.fsencode(folder) + b"/" + name.encode())), count=8, side=60)
    return folder


def request(photos: Path, output: Path, *, copies: int = 2, seed: int = 0) -> list[str]:
    """The words of a small run of two groups, or four shards where there are two copies."""
    words = ["materialize", "--input", str(photos), "--output", str(output), "--recipe", "car_or_truck"]
    return [*words, "--shards", "2", "--copies", str(copies), "--seed", str(seed)]


@dataclass(frozen=True)
class Started:
    """A run in a process group of its own; what it says goes to `log`."""

    pid: int
    log: Path

    def wait(self, longest: float = LONGEST) -> int:
        """Its exit status, or the signal that ended it, negative. Raises Broken if it hangs."""
        until = time.monotonic() + longest
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.killpg(self.pid, 9)
        os.waitpid(self.pid, 0)
        raise Broken(f"a run did not end within {longest:.0f} s")

    def said(self) -> str:
        """The end of its output, on one line."""
        return " / ".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:])


def start(words: list[str], log: Path) -> Started:
    """`augshard WORDS` in a forked process."""

    def augshard() -> int:
        from tests.in_process import augshard

        ended = augshard(*words)
        print(ended.out + ended.err)
        return ended.status

    return fork(augshard, log)


def fork(action: Callable[[], int], log: Path) -> Started:
    """Something in a forked process, whose exit status it returns."""
    pid = os.fork()
    if pid:
        return Started(pid, log)
    status = 70
    try:
        os.setsid()
        opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, 1)
        os.dup2(opened, 2)
        status = action()
        sys.stdout.flush()
    finally:
        os._exit(status)


def digest(output: Path) -> str:
    """Of each file's name and bytes but run.json, which alone may differ."""
    found = hashlib.sha256()
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        name = path.relative_to(output).as_posix()
        if name != "run.json":
            found.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def check_complete_or_absent(output: Path) -> None:
    """C7. Raises Broken if there is a manifest that names a file which is not there, or is another."""
    manifest = output / "manifest.json"
    if not manifest.exists():
        return
    for name, said in json.loads(manifest.read_bytes())["files"].items():
        path = output / name
        if not path.exists():
            raise Broken(f"the manifest names {name}, which is not there")
        if hashlib.sha256(path.read_bytes()).hexdigest() != said["sha256"]:
            raise Broken(f"the manifest has another digest than {name}")
