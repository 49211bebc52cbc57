"""How far each op's levels are from those of the library that it is held to: `make docs`.

    python -m docs.differences               # on drawn photos; writes differences.json
    python -m docs.differences DIR           # on the JPEG files below DIR; writes nothing

Compared are an op with settings like those of its picture in recipes.md, given what was drawn for a
sample, and the library's function (`docs.references`), given the same parameters. Levels of a library
that computes in floats are rounded to the nearest.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from augment import codec
from augment.augmenter import Augmenter
from augment.draws import at
from augment.keys import source_words
from augment.recipe import parse_recipe
from benchmarks.photos import draw_photos, find_photos
from docs.references import REFERENCES, Reference
from pipelines.demo.vehicles import draw_vehicle

MEASURED = Path(__file__).parent / "differences.json"
COPIES = 4
"""Samples of each photo."""


class Difference(NamedTuple):
    """The largest, in levels, and the part of pixels that differ in any channel."""

    levels: int
    pixels: float

    def __str__(self) -> str:
        if not self.levels:
            return "the same levels"
        off = f"{self.levels} level{'s' * (self.levels > 1)}"
        return f"at most {off} off on drawn photos ({100 * self.pixels:.2g} % of pixels)"


def measured(op: str, reference: Reference, photos: Iterable[np.ndarray]) -> Difference:
    """The largest difference over all photos and their copies."""
    largest = differing = total = 0
    for number, photo in enumerate(photos):
        height, width, _ = photo.shape
        frame = f"crop_or_pad: {{id: frame, height: {height}, width: {width}}}"
        recipe = parse_recipe(f"ops:\n  - {frame}\n  - {op}: {reference.settings}\n", name=op)
        augmenter = Augmenter(recipe, seed=0)
        copies = 1 if all(step.deterministic for step in recipe.steps) else COPIES
        for copy in range(copies):
            draw = at(augmenter.draw_copies(source_words([f"{number}.jpg"]), copy), 0)
            drawn = {path.partition(".")[2]: value for path, value in augmenter.recorded(draw).items()}
            theirs = np.asarray(reference.levels(photo, drawn), np.float64)
            ours = augmenter.sample(photo, draw, augmented=True)
            off = np.abs(ours - np.rint(np.clip(theirs, 0, 255))).max(axis=-1)
            off = off[~np.isnan(off)]
            largest = max(largest, int(off.max()))
            differing += np.count_nonzero(off)
            total += off.size
    return Difference(largest, differing / total)


def drawn_photos() -> list[np.ndarray]:
    """A car and a truck, and four of the benchmarks' photos: uint8 [H, W, 3]."""
    chance = random.Random("docs 18")  # noqa: S311
    vehicles = [np.asarray(draw_vehicle(label, chance)) for label in ("car", "truck")]
    with tempfile.TemporaryDirectory() as scratch:
        paths = draw_photos(Path(scratch, "photos"), count=4)
        return vehicles + [codec.decode(path.read_bytes()) for path in paths]


def stored() -> dict[str, list[Difference]]:
    """What was measured when `make docs` ran last, by op and in the order of its references."""
    measured_then = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {op: [Difference(*one) for one in found] for op, found in measured_then.items()}


def measure(photos: list[np.ndarray]) -> dict[str, list[Difference]]:
    """Measures all of them, and says so line by line."""
    found: dict[str, list[Difference]] = {}
    for op, references in REFERENCES.items():
        for reference in references:
            difference = measured(op, reference, photos)
            found.setdefault(op, []).append(difference)
            sys.stdout.write(f"{op:20} {reference.name}: {difference}\n")
    return found


def write() -> None:
    """Measures on drawn photos, and keeps what is found; parts of pixels to three digits."""
    found = measure(drawn_photos())
    rounded = {op: [[one.levels, float(f"{one.pixels:.3g}")] for one in each] for op, each in found.items()}
    lines = ",\n".join(f"  {json.dumps(op)}: {json.dumps(each)}" for op, each in rounded.items())
    MEASURED.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure([codec.decode(path.read_bytes()) for path in find_photos(Path(sys.argv[1]))])
    else:
        write()
