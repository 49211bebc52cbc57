"""Two runs into one output at once."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

from tests.torture.runs import Broken, Outcome, check_complete_or_absent, digest, draw, request, start

TIMES = 100
"""Pairs."""


def rivals(scratch: Path, chance: random.Random, times: int) -> Outcome:
    """Of the same request and of two that differ by the seed, in turn. Raises Broken.

    One of them may be refused; who ends with status 0 has left the dataset that was asked for.
    """
    photos, output, expected = draw(scratch / "photos"), scratch / "output", []
    began = time.monotonic()
    for seed in (0, 1):
        begun = start(request(photos, scratch / f"seed-{seed}", seed=seed), scratch / "log")
        if begun.wait():
            raise Broken(begun.said())
        expected.append(digest(scratch / f"seed-{seed}"))
    lasts = (time.monotonic() - began) / 2
    both = 0
    for number in range(times):
        shutil.rmtree(output, ignore_errors=True)
        seeds = (0, number % 2)
        pair = [start(request(photos, output, seed=seeds[0]), scratch / "log-0")]
        time.sleep(chance.choice([0.0, chance.uniform(0, lasts)]))
        pair.append(start(request(photos, output, seed=seeds[1]), scratch / "log-1"))
        statuses = [run.wait() for run in pair]
        story = f"pair {number}, seeds {seeds}, statuses {statuses}: " + " | ".join(
            run.said() for run in pair
        )
        won = {seed for seed, status in zip(seeds, statuses, strict=True) if status == 0}
        if len(won) != 1 or not set(statuses) <= {0, 1, 2}:
            raise Broken(f"{story}: exactly one dataset was to come of it")
        check_complete_or_absent(output)
        if digest(output) != expected[won.pop()]:
            raise Broken(f"{story}: a wrong dataset in {output}")
        both += statuses == [0, 0]
    return Outcome(f"{times} pairs", f"in {both} both ended well, else one was refused; no wrong dataset")
