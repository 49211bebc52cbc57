"""Runs in settings that must not matter."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from tests.torture.runs import LONGEST, Broken, Outcome, digest, draw, request

TIMES = 50
"""Runs."""

SHUFFLED = """
import os, random
_scandir, _listdir = os.scandir, os.listdir

class _Shuffled:
    def __init__(self, *path):
        with _scandir(*path) as entries:
            self.entries = list(entries)
        random.shuffle(self.entries)
        self.entries = iter(self.entries)
    def __iter__(self): return self
    def __next__(self): return next(self.entries)
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def close(self): pass

def listdir(*path):
    names = _listdir(*path)
    random.shuffle(names)
    return names

os.scandir, os.listdir = _Shuffled, listdir
"""
"""A sitecustomize that gives the entries of directories in another order each time."""


LOCALES = (("de_DE", "ISO-8859-1"), ("ru_RU", "KOI8-R"), ("ja_JP", "EUC-JP"))
"""Made for this, if the machine can, since few have any but UTF-8."""

CLASSES = ("déjà vu", "цветы")
"""Names that these locales spell in other bytes, or cannot."""


def settings(scratch: Path, chance: random.Random, times: int) -> Outcome:
    """Each in a process of its own, which takes its locale and hash seed at the start. Raises Broken."""
    photos, site, output = draw(scratch / "photos", CLASSES), scratch / "site", scratch / "output"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SHUFFLED, encoding="utf-8")
    locales = {"C": "", "POSIX": "", **dict.fromkeys(installed(), ""), **made(scratch / "locales")}
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    in_turn = chance.sample([*locales], len(locales))
    expected, tried = "", set()
    for number in range(times):
        shutil.rmtree(output, ignore_errors=True)
        umask, used = (
            chance.choice([0o000, 0o022, 0o027, 0o077]),
            chance.sample(cores, chance.randint(0, len(cores))),
        )
        locale = in_turn[number % len(in_turn)]
        tried.add(locale)
        changed = {
            "LC_ALL": locale,
            "LOCPATH": locales[locale],
            "PYTHONCOERCECLOCALE": chance.choice(["0", "1"]),
            "PYTHONIOENCODING": chance.choice(["", "ascii", "latin-1"]),
            "TZ": chance.choice(["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham"]),
            "PYTHONHASHSEED": str(chance.randrange(2**32)),
            "PYTHONUTF8": chance.choice(["0", "1"]),
            "PYTHONPATH": os.pathsep.join([str(site), os.getcwd()]),
            "OMP_NUM_THREADS": chance.choice(["1", "2", "7"]),
            "TF_NUM_INTRAOP_THREADS": chance.choice(["1", "2", "7"]),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        several = ["--direct_running_mode", "multi_processing", "--direct_num_workers", "2"]
        words = [*request(photos, output), *(several if chance.random() < 0.2 else [])]

        def prepare(umask: int = umask, used: list[int] = used) -> None:
            os.umask(umask)
            if used:
                os.sched_setaffinity(0, used)

        story = f"run {number}: {changed}, umask {umask:o}, cores {used}, {' '.join(words[-4:])}"
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "pipelines.cli", *words],
                env=os.environ | changed,
                preexec_fn=prepare,
                timeout=LONGEST,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{story}: it did not end within {LONGEST:.0f} s") from error
        if ended.returncode:
            raise Broken(f"{story}: status {ended.returncode}, {ended.stderr[-500:]!r}")
        expected = expected or digest(output)
        if digest(output) != expected:
            raise Broken(f"{story}: another digest than the first run's")
    return Outcome(f"{times} runs, in the locales {', '.join(sorted(tried))}", "one digest")


def installed() -> list[str]:
    """Locales that the machine has."""
    return subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()


def made(folder: Path) -> dict[str, str]:
    """New locales, each with the folder that it lies in; none where they cannot be made."""
    folder.mkdir()
    if not shutil.which("localedef"):
        return {}
    for language, encoding in LOCALES:
        words = ["localedef", "-i", language, "-f", encoding, folder / f"{language}.{encoding}"]
        subprocess.run(words, capture_output=True, check=False)  # warns of this and that
    return {path.name: str(folder) for path in folder.iterdir()}
