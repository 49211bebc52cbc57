"""python -m tests.torture [kills] [orders] [rivals] [settings] [--times N] [--seed N]

Prints a row of docs/reliability.md for each part. Exit status: 0 all held, 1 something broke; the scratch
directory then stays, and its path is said.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.torture import kills, orders, rivals, runs, settings


class Part(NamedTuple):
    """What can be tried alone."""

    what: str
    try_out: Callable[[Path, random.Random, int], runs.Outcome]
    times: int


PARTS = {
    "kills": Part(
        "Killed (SIGKILL) at a random moment of a fresh run, an extension, a run that overwrites; resumed "
        "until it ends. After every kill: what a manifest names is there, with its digest",
        kills.kills,
        kills.TIMES,
    ),
    "orders": Part(
        "First run, go on, add copies, overwrite, each of them killed at any of its steps or not; an image "
        "changed under its name, added, removed or spoiled; a file of somebody else's put into the output; "
        "read by `from_shards` and by TFDS: in any order (hypothesis). After every step: what has a manifest "
        "is whole, audits clean, and equals an undisturbed run on the very images that it says it was made "
        "from; what was refused changed nothing; what is not augshard's is still there",
        orders.orders,
        orders.TIMES,
    ),
    "rivals": Part(
        "Two runs into one output at once, started together or up to a run apart; of one request, and of two "
        "that differ by the seed",
        rivals.rivals,
        rivals.TIMES,
    ),
    "settings": Part(
        "Random locale, terminal encoding, time zone, hash seed, UTF-8 mode, umask, cores, threads, one or "
        "two processes, directories listed in another order each time; classes with names outside of ASCII",
        settings.settings,
        settings.TIMES,
    ),
}


def main() -> None:
    """Tries the chosen parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is named")
    parser.add_argument("--times", type=int, help="how often, in place of each part's own number")
    parser.add_argument("--seed", type=int, help="of what is random; the one that was used is printed")
    chosen = parser.parse_args()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
    runs.load()
    broken = False
    print("| what | how often | what happened | command |\n| --- | --- | --- | --- |", flush=True)
    for name in chosen.parts or PARTS:
        part, began = PARTS[name], time.monotonic()
        times = chosen.times or part.times
        scratch = Path(tempfile.mkdtemp(prefix=f"augshard-{name}-", dir="/var/tmp"))
        try:
            outcome = part.try_out(scratch, random.Random(seed), times)
            shutil.rmtree(scratch)
        except runs.Broken as error:
            outcome, broken = runs.Outcome(f"{times}", f"**BROKEN**: {error}; look at {scratch}"), True
        command = f"make torture ARGS='{name} --times {times} --seed {seed}'"
        print(f"| {part.what} | {outcome.how_often} | {outcome.what_happened} | `{command}` |", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    sys.exit(broken)


if __name__ == "__main__":
    main()
