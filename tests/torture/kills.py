"""Runs that are killed at random moments, again and again, and resumed until they end."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

from tests.torture.runs import Broken, Outcome, check_complete_or_absent, digest, draw, request, start

TIMES = 200
"""Kills."""


def kills(scratch: Path, chance: random.Random, times: int) -> Outcome:
    """Fresh runs, extensions and runs that overwrite, in turn. Raises Broken."""
    photos, whole, one, other = draw(scratch / "photos"), scratch / "two", scratch / "one", scratch / "other"
    log, output = scratch / "log", scratch / "output"
    began = time.monotonic()
    for words in (
        request(photos, whole),
        request(photos, one, copies=1),
        request(photos, other, copies=1, seed=1),
    ):
        begun = start(words, log)
        if begun.wait():
            raise Broken(begun.said())
    lasts, expected = (time.monotonic() - began) / 3, digest(whole)
    befores = (("fresh", None), ("extended", one), ("overwritten", other))
    killed = ended = runs = 0
    while killed < times:
        kind, before = befores[ended % len(befores)]
        shutil.rmtree(output, ignore_errors=True)
        if before:
            shutil.copytree(before, output)
        status = None
        while status != 0:
            words = [*request(photos, output), *(["--overwrite"] if kind == "overwritten" else [])]
            begun, runs = start(words, log), runs + 1
            if killed < times:
                time.sleep(chance.uniform(0, 1.1 * lasts))
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(begun.pid, signal.SIGKILL)
            status = begun.wait()
            killed += status == -signal.SIGKILL
            if status not in (0, -signal.SIGKILL):
                raise Broken(f"{kind}, after {killed} kills: status {status}, {begun.said()}")
            check_complete_or_absent(output)
        ended += 1
        if digest(output) != expected:
            raise Broken(f"{kind}, after {killed} kills: {output} differs from {whole}")
    return Outcome(f"{killed} kills of {runs} runs, {ended} datasets", "one digest")
