"""Who is measured: the job in its ways, what else writes the same images, and what a start costs."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import multiprocessing
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Ended, ended
from benchmarks.photos import draw_photos, find_photos, lay_out

HERE = Path(__file__).parent


class Taken(NamedTuple):
    """What a contestant took in one round; what was not measured is not a number."""

    rate: float = math.nan
    """images that are written, or samples, a second: steady, without the start"""
    cpu: float = math.nan
    """seconds of processor time for one of them, on all cores"""
    seconds: float = math.nan
    """of the whole command, of the larger run"""
    whole: float = math.nan
    """images a second of the larger run, with the start"""
    largest: float = math.nan
    """bytes of memory that one process held at most, of the larger run"""
    growth: float = math.nan
    """memory of all processes, of the larger run by the smaller"""


class Inputs:
    """Images by kind and number, and datasets of them, made when they are first asked for."""

    def __init__(self, scratch: Path, given: Path | None) -> None:
        self.scratch = scratch
        self._photos = {"photos": find_photos(given)} if given else {}
        self._drawing = {
            "photos": functools.partial(draw_photos, scratch / "drawn/photos"),
            "large": functools.partial(draw_photos, scratch / "drawn/large", count=1, side=3000),
            "icons": functools.partial(
                draw_photos, scratch / "drawn/icons", side=32, square=True, suffix=".png"
            ),
        }

    def folder(self, kind: str, count: int) -> Path:
        if kind not in self._photos:
            # In a process that ends: what this one has held at most counts as what those held that it starts.
            with multiprocessing.get_context("fork").Pool(1) as pool:
                self._photos[kind] = pool.apply(self._drawing[kind])
        folder = self.scratch / f"{kind}-{count}"
        return folder if folder.exists() else lay_out(self._photos[kind], folder, count)

    def dataset(self, recipe: str, kind: str, count: int) -> Path:
        """What the job makes of them."""
        output = self.scratch / f"dataset-{recipe}-{kind}-{count}"
        if not output.exists():
            ended([*job(recipe), "--input", self.folder(kind, count), "--output", output])
        return output


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One way to do something with so many images: a command of Python's."""

    arguments: tuple[str, ...]
    """{input}, {output} and {dataset} stand for folders"""
    sizes: tuple[int, ...] = (3600, 10800)
    """Sources of the runs. The line through two has the steady state for its slope. The smaller has to be
    worth the start of processes, by which the job derives what takes longer than two seconds of one core,
    on a machine of twice the speed too, and what an audit compiles for each size of photos."""
    kind: str = "photos"
    recipe: str = ""
    """by which {dataset} is made"""
    copies: int = 4
    loop: bool = False
    """whether one process is given all inputs, and tells what each took"""

    def taken(self, inputs: Inputs, parts: int) -> Taken:
        """Measures it once, with one in so many of its images."""
        sizes = [max(size // parts, 8 * number) for number, size in enumerate(self.sizes, 1)]
        output = inputs.scratch / "output"
        output.mkdir()
        try:
            return (self._in_one if self.loop else self._one_by_one)(inputs, sizes, output)
        finally:
            shutil.rmtree(output)

    def _in_one(self, inputs: Inputs, sizes: Sequence[int], output: Path) -> Taken:
        folders = [inputs.folder(self.kind, size) for size in (8, *sizes)]
        run = ended([*self.arguments, output, *folders])
        runs = [dataclasses.replace(run, seconds=s, cpu=cpu) for s, cpu in json.loads(run.said)]
        return self._by_slope(sizes, runs[1:])

    def _one_by_one(self, inputs: Inputs, sizes: Sequence[int], output: Path) -> Taken:
        runs = []
        for size in sizes:
            folders = {"input": inputs.folder(self.kind, size), "output": output / str(size)}
            if "{dataset}" in self.arguments:
                folders["dataset"] = inputs.dataset(self.recipe, self.kind, size)
            runs.append(ended([word.format(**folders) for word in self.arguments]))
        return self._by_slope(sizes, runs)

    def _by_slope(self, sizes: Sequence[int], runs: Sequence[Ended]) -> Taken:
        images = [size * self.copies for size in sizes]
        whole = Taken(seconds=runs[-1].seconds, whole=images[-1] / runs[-1].seconds, largest=runs[-1].largest)
        if len(runs) == 1:
            return whole
        more = images[-1] - images[0]
        return whole._replace(
            rate=more / (runs[-1].seconds - runs[0].seconds),
            cpu=(runs[-1].cpu - runs[0].cpu) / more,
            growth=runs[-1].peak / runs[0].peak,
        )


def job(recipe: str, copies: int = 4) -> tuple[str, ...]:
    """The command's beginning: by a preset, or a recipe of this directory."""
    path = str(HERE / recipe) if recipe.endswith(".yaml") else recipe
    return "-m", "pipelines.cli", "materialize", "--recipe", path, "--copies", str(copies)


def _job(recipe: str, *, copies: int = 4, more: Sequence[str] = (), **rest: object) -> Contestant:
    places = "--input", "{input}", "--output", "{output}"
    return Contestant((*job(recipe, copies), *places, *more), copies=copies, **rest)  # type: ignore[arg-type]


def _loop(module: str, *arguments: object, copies: int = 4, **rest: object) -> Contestant:
    words = "-m", f"benchmarks.{module}", *map(str, arguments), str(copies)
    return Contestant(words, copies=copies, loop=True, **rest)  # type: ignore[arg-type]


def _audit(recipe: str) -> Contestant:
    words = "-m", "pipelines.cli", "audit", "{dataset}", "--input", "{input}", "--samples", "all"
    return Contestant(words, recipe=recipe, sizes=(600, 1800))


def _workers(count: int) -> Contestant:
    more = ["--direct_running_mode", "multi_processing", "--direct_num_workers", str(count)]
    return _job("flowers_jpeg.yaml", more=more, sizes=(3600,))


_FEW, _SOME, _MANY = (40, 200), (150, 750), (400, 2000)
"""Sizes for loops, which have no processes to start, by how fast they are."""

CONTESTANTS: dict[str, Contestant] = {
    "job, flowers": _job("flowers_jpeg.yaml"),
    "job, convnet": _job("convnet_jpeg.yaml", sizes=(2000, 6000)),
    "job, raw": _job("flowers_raw.yaml", sizes=(6000, 12000)),
    "job, PNG": _job("flowers", sizes=(1000, 3000)),
    "job, cifar10": _job("cifar10", copies=10, kind="icons", sizes=(4500, 13500)),
    "job, large": _job("large_jpeg.yaml", kind="large", sizes=(40, 120)),
    "job, large, reduced": _job("large_reduced.yaml", kind="large", sizes=(200, 600)),
    "job, 1 process": _workers(1),
    "job, 2 processes": _workers(2),
    "job, 4 processes": _workers(4),
    "job, 24 images": _job("flowers_jpeg.yaml", copies=1, sizes=(24,)),
    "recode, TensorFlow": _loop("recode", "tensorflow", 180, sizes=_MANY),
    "recode, OpenCV": _loop("recode", "opencv", 180, sizes=_MANY),
    "recode, simplejpeg": _loop("recode", "simplejpeg", 180, sizes=_MANY),
    "recode, Pillow": _loop("recode", "pillow", 180, sizes=_MANY),
    "recode, large, OpenCV": _loop("recode", "opencv", 224, kind="large", sizes=(12, 48)),
    "Albumentations, flowers": _loop("albumentations_loop", "flowers", sizes=_MANY),
    "Albumentations, convnet": _loop("albumentations_loop", "convnet", sizes=_MANY),
    "tf.data loop, flowers": _loop("handwritten", "flowers", sizes=_MANY),
    "tf.data loop, convnet": _loop("handwritten", "convnet", sizes=_SOME),
    "tf.data loop, cifar10": _loop("handwritten", "cifar10", copies=10, kind="icons", sizes=(1000, 4000)),
    "Beam as written first, flowers": _loop("naive", "flowers", sizes=_FEW),
    "Beam as written first, convnet": _loop("naive", "convnet", sizes=_FEW),
    "audit, flowers": _audit("flowers_jpeg.yaml"),
    "audit, convnet": _audit("convnet_jpeg.yaml"),
    "import apache_beam": Contestant(("-c", "import apache_beam"), sizes=(1,)),
    "import Beam, NumPy, OpenCV": Contestant(("-c", "import apache_beam, numpy, cv2"), sizes=(1,)),
}
