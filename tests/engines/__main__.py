"""The same request on every engine: seconds, images a second, and one digest.

python -m tests.engines [--only embedded,flink-2] [--images 256] [--copies 4]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.photos import draw_photos, lay_out
from tests.engines import servers
from tests.engines.engines import ENGINES, PACKAGES

RECIPE = "flowers"
SHARDS = 8
"""Tasks that workers can share."""


def main() -> None:
    """Exit status: 0 all digests are equal, 1 a run failed or differs, 2 the request is wrong."""
    arguments = _arguments()
    names = arguments.only.split(",")
    _check(names)
    _bring(names)
    servers.BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=servers.BUILD) as scratch:
        photos = [
            *draw_photos(Path(scratch, "car"), count=64),
            *draw_photos(Path(scratch, "truck"), count=64),
        ]
        root = lay_out(photos, Path(scratch, "images"), arguments.images)
        print(f"{arguments.images} photos, {arguments.copies} copies of 180x180 as PNG", flush=True)
        print(f"{'engine':12} {'seconds':>8} {'images/s':>9}  digest", flush=True)
        digests = [_run(name, root, arguments.copies, Path(scratch, name)) for name in names]
    if len(set(digests)) > 1:
        sys.exit("the engines differ")
    print(f"equal on {len(names)} engines")


def _run(name: str, root: Path, copies: int, scratch: Path) -> str:
    """Runs the request on one engine, and prints its line; the digest of what it wrote."""
    scratch.mkdir()
    output = scratch / "out"
    with ENGINES[name].started(scratch) as options:
        command = ["materialize", "--input", root, "--output", output, "--recipe", RECIPE]
        command += ["--copies", copies, "--shards", SHARDS]
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *map(str, command), *options],
            env={**os.environ, "PYTHONPATH": str(servers.ROOT)},
            cwd=scratch,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - began
    if ended.returncode:
        sys.exit(f"{name}: exit status {ended.returncode}\n{ended.stderr}")
    digest = digest_of(output)
    images = sum(len(files) for _, _, files in os.walk(root))  # each with all its copies
    print(f"{name:12} {seconds:8.1f} {images / seconds:9.1f}  {digest}", flush=True)
    return digest


def digest_of(output: Path) -> str:
    """SHA-256 of all names and contents in a directory, but run.json, which may differ."""
    total = hashlib.sha256()
    for path in sorted(output.rglob("*")):
        if path.is_file() and path.name != "run.json":
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(output)} {content}\n".encode())
    return total.hexdigest()


def _check(names: list[str]) -> None:
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        _refuse(f"there is no engine {unknown[0]!r}; there is {', '.join(ENGINES)}")
    needed = dict.fromkeys(command for name in names for command in ENGINES[name].needs)
    missing = servers.missing(*needed)
    if missing:
        packages = " ".join(PACKAGES[command] for command in missing)
        _refuse(
            f"{', '.join(missing)} not found; on Debian and Ubuntu, apt-get install {packages}, "
            "or choose engines that do without by --only (make engines ARGS='--only embedded,processes')"
        )


def _bring(names: list[str]) -> None:
    """Downloads and builds what the engines need before anything is timed."""
    needed = {command for name in names for command in ENGINES[name].needs}
    if "mvn" in needed:
        servers.flink_jars()
    if "prism" in names:
        servers.prism()
    if {"flink-1", "flink-2"} & set(names):
        servers.boot()


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"engines: {sentence}\n")
    sys.exit(2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("engines", description="The same request on every engine of Beam's.")
    add = parser.add_argument
    add("--only", default=",".join(ENGINES), metavar="NAMES", help="with commas [%(default)s]")
    add("--images", type=int, default=256, metavar="N", help="photos [%(default)s]")
    add("--copies", type=int, default=4, metavar="N", help="copies of each [%(default)s]")
    arguments = parser.parse_args()
    if arguments.images < 2 or arguments.copies < 1:
        parser.error("--images must be at least 2, and --copies at least 1")
    return arguments


if __name__ == "__main__":
    main()
