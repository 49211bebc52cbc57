"""Where the time of an image goes: processor time of each step of the job's own code, for an image written.

    python -m benchmarks.parts [--recipe flowers_jpeg.yaml] [--images 600] [--copies 4] [--rounds 5]

First in one process, step by step, each without those within it; the clock itself takes about a microsecond a
step. Then with processes that derive: what is left to the one that writes, which bounds how many cores a
machine can use, and what more cores would give by that.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil

from augment.augmenter import Augmenter
from augment.kernels import host
from augment.recipe import load_recipe
from benchmarks.measure import CORES, aligned
from benchmarks.photos import draw_photos, find_photos, lay_out
from pipelines.format.records import ShardWriter
from pipelines.format.request import Request
from pipelines.format.samples import SamplesWriter
from pipelines.materialize import derive, processes
from pipelines.materialize.group import Group, GroupWriter
from pipelines.materialize.run import Run
from pipelines.plan import make_plan
from pipelines.sources import Folder, Listing, Source, list_folder

COPIES = 4


class Clock:
    """Processor time of each thread by the innermost part that is at work."""

    def __init__(self) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()
        self._local = threading.local()

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            within = self._local.__dict__.setdefault("within", [0.0])
            began = time.thread_time()
            within.append(0.0)
            try:
                return call(*arguments, **named)
            finally:
                took = time.thread_time() - began
                self.seconds[part] += took - within.pop()
                within[-1] += took

        return timed


def steps() -> Iterator[tuple[str, Any, str]]:
    """(part, where it is looked up, its name there), in the order of an image."""
    yield "read the file", derive, "read_source"
    yield "decode", derive.codec, "decode"
    yield "SHA-256 of the file", derive.hashlib, "sha256"
    yield "draw parameters", derive, "_draws"
    yield "describe kernels", Augmenter, "head"
    yield "describe kernels", Augmenter, "tail"
    yield "encode", derive.codec, "encode_each"
    yield "BLAKE3 of the pixels", derive, "pixels_digest"
    yield "record: serialize", derive, "serialized_parts"
    yield "record: frame, CRC-32C", derive, "framed_parts"
    yield "derive: the rest", derive.Deriver, "derive"
    yield "shard: SHA-256, write", ShardWriter, "write"
    yield "samples table", SamplesWriter, "write"
    yield "samples table", SamplesWriter, "finish"
    yield "sync, into place", GroupWriter, "_put_in_place"
    yield "write: the rest", GroupWriter, "write"


class Work(NamedTuple):
    """What is to be written, as one group."""

    writer: Callable[[Path, int], GroupWriter]
    """to which folder, by how many processes"""
    group: Group

    def first(self, sources: int) -> Group:
        return dataclasses.replace(self.group, sources=self.group.sources[:sources])


def work(root: Path, recipe: str, copies: int) -> Work:
    request = Request(
        name="parts",
        recipe_name="parts",
        recipe=load_recipe(recipe).canonical(),
        seed=0,
        copies=copies,
        shards=1,
    )
    listing, sources = Listing(), []
    for folder in sorted(path.name for path in root.iterdir()):
        listing.add(Folder(folder, "train", folder))
        for found in list_folder(str(root), Folder(folder, "train", folder)):
            listing.add(found)
            if isinstance(found, Source):
                sources.append((found.id, found.label, b"", ""))
    plan = make_plan(request, listing, None)
    if plan.errors:
        raise SystemExit("; ".join(plan.errors))

    def writer(output: Path, processes: int) -> GroupWriter:
        return GroupWriter(plan, Run(str(root), str(output), 0.0, {}, 0.0), processes)

    return Work(writer, Group("train", 0, plan.tier("train", 0), sources))


def written(writer: GroupWriter, group: Group, output: Path) -> None:
    writer.write(group, lambda *_, **__: None)
    shutil.rmtree(output)
    output.mkdir()


def in_one_process(given: Work, output: Path) -> dict[str, float]:
    """Seconds of processor time by part, of everything that is written."""
    clock = Clock()
    writer = given.writer(output, 1)
    written(writer, given.first(32), output)
    replaced: list[tuple[Any, str, Any]] = []
    kernels = dict(host._KERNELS)
    derive.hashlib = SimpleNamespace(sha256=derive.hashlib.sha256)  # type: ignore[assignment]
    try:
        for part, place, name in steps():
            replaced.append((place, name, getattr(place, name)))
            setattr(place, name, clock.around(part, getattr(place, name)))
        for kind, kernel in kernels.items():
            host._KERNELS[kind] = clock.around(f"kernel {kind.__name__}", kernel)
        began = time.process_time()
        written(writer, given.group, output)
        whole = time.process_time() - began
    finally:
        for place, name, call in reversed(replaced):
            setattr(place, name, call)
        host._KERNELS.update(kernels)
        writer.close()
    order = dict.fromkeys(part for part, _, _ in steps())
    found = {part: clock.seconds[part] for part in [*order, *sorted(clock.seconds.keys() - order.keys())]}
    return {**found, "threads": whole - sum(found.values())}


def handed_over(given: Work, root: Path, output: Path, copies: int) -> dict[str, float]:
    """The same for what goes through a connection, at both of its ends."""
    writer = given.writer(output, 1)
    members = [derive.Member(*source[:2]) for source in given.group.sources[:16]]
    derived = writer._pool.here.derive(members, range(copies))
    writer.close()
    here, there = Pipe()
    times, took = 50, [0.0]

    def send() -> None:
        began = time.thread_time()
        for _ in range(times):
            processes._hand_over(there, derived)
        took[0] = time.thread_time() - began

    sending = threading.Thread(target=send)
    sending.start()
    began = time.thread_time()
    for _ in range(times):
        processes._taken_over(here)
    received = time.thread_time() - began
    sending.join()
    part = len(given.group.sources) / (len(members) * times)
    return {"hand over: there": took[0] * part, "hand over: here": received * part}


class Divided(NamedTuple):
    """Seconds, of everything that is written by processes that derive and one that writes."""

    wall: float
    here: float
    """of processor time of the one that writes"""
    there: float
    """of those that derive"""
    end: float
    """of the clock's, from the last image of a group until its files are in place: nothing is derived then"""


def with_processes(given: Work, output: Path) -> Divided:
    processes.WORTH_IT = 0
    writer = given.writer(output, CORES)
    pool = writer._pool
    while not (pool._processes and all(process.ready for process in pool._processes)):
        written(writer, given.first(32), output)
    written(writer, given.first(64), output)
    last = [0.0]
    write_block = GroupWriter._write_block

    def noted(*arguments: Any) -> Any:
        try:
            return write_block(*arguments)
        finally:
            last[0] = time.perf_counter()

    children = [psutil.Process(process._process.pid) for process in pool._processes]

    def there() -> float:
        return sum(sum(child.cpu_times()[:2]) for child in children)

    began = time.perf_counter(), time.process_time(), there()
    GroupWriter._write_block = noted  # type: ignore[method-assign]
    writer.write(given.group, lambda *_, **__: None)
    over = time.perf_counter()
    GroupWriter._write_block = write_block  # type: ignore[method-assign]
    taken = Divided(over - began[0], time.process_time() - began[1], there() - began[2], over - last[0])
    shutil.rmtree(output)
    output.mkdir()
    writer.close()
    return taken


def reckoned(here: float, there: float) -> str:
    """Images a second by cores, from seconds of one that writes and of those that derive: all cores at work,
    unless the one that writes, which can use one, is behind."""
    rows = [("cores", "images/s", "of those with one core", "bound by")]
    for cores in (1, 2, 4, 8, 16, 32, 96):
        all_at_work, one_writes = cores / (here + there), 1 / here
        rate = min(all_at_work, one_writes)
        bound = "the one that writes" if one_writes < all_at_work else "cores"
        rows.append((str(cores), f"{rate:,.0f}", f"{rate * (here + there):.1f}", bound))
    return aligned(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, metavar="DIR", help="photos; else some are drawn")
    parser.add_argument("--icons", action="store_true", help="draw PNGs of 32x32 instead of photos")
    parser.add_argument(
        "--recipe", default="flowers_jpeg.yaml", help="a file here, or a preset [%(default)s]"
    )
    parser.add_argument("--images", type=int, default=600, metavar="N", help="sources [%(default)s]")
    parser.add_argument("--copies", type=int, default=COPIES, metavar="K", help="of each [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of which the medians are")
    arguments = parser.parse_args()
    here = Path(__file__).with_name(arguments.recipe)
    images = arguments.images * arguments.copies
    parts: list[dict[str, float]] = []
    divided: list[Divided] = []
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        drawn = Path(scratch, "drawn/photos")
        if arguments.input:
            photos = find_photos(arguments.input)
        elif arguments.icons:
            photos = draw_photos(drawn, side=32, square=True, suffix=".png")
        else:
            photos = draw_photos(drawn)
        root, output = lay_out(photos, Path(scratch, "input"), arguments.images), Path(scratch, "output")
        output.mkdir()
        given = work(root, str(here) if here.exists() else arguments.recipe, arguments.copies)
        for _ in range(arguments.rounds):
            parts.append(in_one_process(given, output))
            parts[-1] |= handed_over(given, root, output, arguments.copies)
            divided.append(with_processes(given, output))
    rows = [("microseconds of processor time an image", "median", "from", "to")]
    for part in parts[0]:
        spent = [one[part] / images * 1e6 for one in parts]
        if max(spent) >= 0.05:
            rows.append((part, *(f"{of(spent):.1f}" for of in (statistics.median, min, max))))
    writing, deriving = (
        statistics.median(getattr(one, field) for one in divided) / images for field in ("here", "there")
    )
    rate = images / statistics.median(one.wall for one in divided)
    end = statistics.median(one.end for one in divided)
    sys.stdout.write(f"{aligned(rows)}\n")
    sys.stdout.write(
        f"with {CORES} processes that derive: {deriving * 1e6:.0f} us an image in them, "
        f"{writing * 1e6:.0f} us in the one that writes; {rate:,.0f} images/s, "
        f"and {end * 1e3:.0f} ms to end a group of {arguments.copies} copies\n\n"
        f"{reckoned(writing, deriving)}"
    )


if __name__ == "__main__":
    main()
