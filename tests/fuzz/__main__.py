"""Fuzzes our parsing, guided by what of it is reached: `python -m tests.fuzz [TARGET...] [--seconds N]`.

Needs atheris (`pip install atheris`), which augshard does not. Each target runs in a process of its own for
its part of the time; an input by which one fails is left in build/fuzz, and belongs into tests/fuzz/found.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

NAMES = (
    *("image", "record", "exif", "tags", "parts", "recipe"),
    *("manifest", "receipt", "tfrecord", "samples", "work", "targets", "annotation", "beside"),
    *("tar", "example", "container"),
)
BUILD = Path("build/fuzz")


def _child(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["augment", "pipelines", "yaml"]):
        from tests.fuzz.corpus import seeds
        from tests.fuzz.targets import TARGETS
    corpus = BUILD / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={BUILD}/{name}-",
        "-max_len=20000",
        "-rss_limit_mb=2048",
        "-timeout=20",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; else all")
    parser.add_argument("--seconds", type=int, default=300, help="for all of them together; else 300")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    targets = arguments.targets or list(NAMES)
    for name in set(targets) - set(NAMES):
        parser.error(f"there is no target {name}; there are {', '.join(NAMES)}")
    if arguments.child:
        _child(targets[0], arguments.seconds)
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    each, failed = max(1, arguments.seconds // len(targets)), []
    for name in targets:
        command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(each), "--child"]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
        executed = re.findall(r"number_of_executed_units:\s*(\d+)", ended.stderr)
        if not executed:
            sys.stderr.write(ended.stderr[-3000:])
        if ended.returncode:
            failed.append(name)
            (BUILD / f"{name}.log").write_text(ended.stderr)
        verdict = (
            f"FAILED, see {BUILD}/{name}.log and {BUILD}/{name}-*" if ended.returncode else "nothing found"
        )
        print(f"{name:10}  {int(executed[-1]) if executed else 0:10,} executions  {verdict}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
