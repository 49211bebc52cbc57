"""A million tiny images end to end, within a stated memory.

python -m tests.torture.million SCRATCH [--images N]

Not a part of `make torture`: at 1,200 images a second it takes a quarter of an hour, and
a block of the disk an image. Exit status: 0 it held, 1 it did not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

BASE_MB, KB_AN_IMAGE = 600, 0.5
"""What the processes may take together: libraries and a group's work, and the embedded runner's tables."""


def main() -> None:
    """Draws the images, if they are not there yet, runs the job, and compares its peak with the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--images", type=int, default=1_000_000)
    chosen = parser.parse_args()
    photos, output = chosen.scratch / "photos", chosen.scratch / "output"
    draw(photos, chosen.images)
    recipe = chosen.scratch / "tiny.yaml"
    recipe.write_text("name: tiny\nops:\n  - resize: {height: 8, width: 8}\n  - flip: {horizontal: 0.5}\n")
    words = ["materialize", "--input", photos, "--output", output, "--recipe", recipe, "--copies", "1"]
    began = time.monotonic()
    job = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words])
    peak = 0.0
    while job.poll() is None:
        peak = max(peak, resident(job.pid))
        time.sleep(0.5)
    bound = BASE_MB + chosen.images * KB_AN_IMAGE / 1000
    print(f"{chosen.images} images, {time.monotonic() - began:.0f} s, peak {peak:.0f} MB of {bound:.0f} MB")
    written = json.loads((output / "manifest.json").read_bytes())["records"] if not job.returncode else 0
    sys.exit(job.returncode or int(peak > bound or written != chosen.images))


def draw(folder: Path, count: int) -> None:
    """Images of 8x8 in ten classes, a thousand a folder, of which a hundred differ."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    contents = []
    for _ in range(100):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / ".one.png")
        contents.append((folder / ".one.png").read_bytes())
    for number in range(count):
        path = folder / f"class{number % 10}" / f"{number // 10_000:04}" / f"{number:07}.png"
        if number % 10_000 < 10:
            path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(contents[number % 100])


def resident(pid: int) -> float:
    """MB of a process and those that it started; 0 if it has just ended."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


if __name__ == "__main__":
    main()
