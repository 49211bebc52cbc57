"""Every op beside its counterpart in Albumentations, or in Pillow: microseconds an image on one core.

    python -m benchmarks.ops [--op NAME ...] [--rounds 9] [--json FILE]

README.md in this directory says how to install Albumentations, which is no part of the
project, and how to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or it asks an index for its newest version
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
from PIL import Image

from augment.augmenter import Augmenter
from augment.draws import Draw, each
from augment.keys import source_words
from augment.recipe import recipe_from_document
from benchmarks.measure import aligned, machine
from benchmarks.photos import draw_photos

try:
    from benchmarks.counterparts import CASES, PHOTO, Case
except ImportError as error:
    raise SystemExit(f"{error}; benchmarks/README.md says how to install Albumentations") from None

BLOCK = 128
"""Images in a turn, for which draws are made at once, as in a job and in tf.data."""
FREE = 50.0
"""Microseconds: where the counterpart takes no longer than this, ours is to take no longer either."""
PHOTOS = 16


def photos() -> list[np.ndarray]:
    """uint8 [*PHOTO, 3]: photo-like images."""
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        files = draw_photos(Path(scratch, "photos"), count=PHOTOS, side=PHOTO[1] * 3 // 4)
        opened = [np.asarray(Image.open(file)) for file in files]
    wide = [image for image in opened if image.shape[1] >= PHOTO[1]]
    return [np.ascontiguousarray(image[: PHOTO[0], : PHOTO[1]]) for image in wide]


class Ours:
    """An op as a job and tf.data call it: draws for a block, then sample by sample."""

    def __init__(self, case: Case) -> None:
        recipe = recipe_from_document({"ops": case.entries()}, name=case.op, where="benchmark")
        self._augmenter = Augmenter(recipe, seed=0)
        self._op = recipe.ops[-1].id
        self._sources = [f"photos/{number:05}.jpg" for number in range(BLOCK)]

    def drawn(self, copy: int) -> Draw:
        return self._augmenter.draw_copies(source_words(self._sources), copy)

    def recorded(self) -> list[dict[str, Any]]:
        """What is drawn for copy 0 of each sample, by parameter."""
        columns = self._augmenter.recorded(self.drawn(0))
        names = [column.removeprefix(f"{self._op}.") for column in columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def turn(self, images: Sequence[np.ndarray], copy: int) -> None:
        for number, draw in zip(range(BLOCK), each(self.drawn(copy), 1), strict=False):
            self._augmenter.sample(images[number % len(images)], draw, augmented=True)


def measured(case: Case, pictures: Sequence[np.ndarray], rounds: int) -> list[tuple[float, float]]:
    """Ours and theirs in turn, the first round but to warm up."""
    height, width = case.size
    images = [np.ascontiguousarray(picture[:height, :width]) for picture in pictures]
    ours = Ours(case)
    theirs, given = case.theirs(ours.recorded()), [case.given(image) for image in images]

    def turn_of_theirs() -> None:
        for number in range(BLOCK):
            theirs(given[number % len(given)])

    times = []
    for copy in range(rounds + 1):
        times.append((_microseconds(lambda c=copy: ours.turn(images, c)), _microseconds(turn_of_theirs)))
    return times[1:]


def _microseconds(turn: Callable[[], None]) -> float:
    """Processor time an image, which what else runs on the machine changes less than the clock's."""
    began = time.process_time()
    turn()
    return (time.process_time() - began) / BLOCK * 1e6


def row(case: Case, times: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Medians, and the median of the ratios within a round."""
    ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    if theirs > FREE:
        verdict = "ok" if ratio >= 1 else "slower"
    else:
        verdict = "ok" if ours <= FREE else f"over {FREE:.0f} us"
    return {
        "op": case.op,
        "beside": case.library,
        "ours_us": ours,
        "theirs_us": theirs,
        "ratio": ratio,
        "verdict": verdict,
        "rounds": times,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    cells = [("op", "beside", "ours us", "theirs us", "ratio", "verdict")]
    for r in rows:
        figures = f"{r['ours_us']:,.1f}", f"{r['theirs_us']:,.1f}", f"{r['ratio']:.2f}x"
        cells.append((r["op"], r["beside"], *figures, r["verdict"]))
    mean = statistics.geometric_mean(r["ratio"] for r in rows)
    passed = sum(r["verdict"] == "ok" for r in rows)
    summary = f"geometric mean of ratios {mean:.2f}; {passed} of {len(rows)} within the floor"
    return f"{aligned(cells, left=2)}{summary}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--op", action="append", choices=[case.op for case in CASES], metavar="NAME")
    parser.add_argument(
        "--rounds", type=int, default=9, metavar="N", help="of which the medians are [%(default)s]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every figure goes")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    pictures = photos()
    chosen = [case for case in CASES if arguments.op is None or case.op in arguments.op]
    rows = [row(case, measured(case, pictures, arguments.rounds)) for case in chosen]
    sys.stdout.write(table(rows))
    if arguments.json:
        about = machine() | {"image": "224x224x3", "load": os.getloadavg()}
        arguments.json.write_text(json.dumps({**about, "ops": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
