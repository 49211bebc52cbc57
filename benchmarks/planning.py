"""What listing, planning, grouping, reporting and reading the manifest take, by the number of images.

    python -m benchmarks.planning [--images 100000 1000000 10000000] [--copies 10]
    python -m benchmarks.planning --phases reporting --images 1000000000
    python -m benchmarks.planning --balance --images 1000000

Nothing is decoded: the job's own code works on sources that are made up as they are asked for. Each
phase runs in a process of its own, whose peak memory is then the phase's.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from augment.recipe import load_recipe
from benchmarks.measure import ROOT
from pipelines.format.manifest import File, read_manifest
from pipelines.format.request import Request
from pipelines.materialize.commit import GroupFiles, Shards, write_dataset
from pipelines.materialize.grouping import AssignToGroup, PackSources
from pipelines.materialize.pipeline import CountFound
from pipelines.materialize.run import Run
from pipelines.packets import things_of
from pipelines.plan import Plan, group_of, make_plan, places
from pipelines.sources import Folder, Listing, Reject, Source

CLASSES = 1000
BUNDLE = 10_000
"""sources that a worker takes at once"""
REJECTS = 1000
"""one image of so many is rejected"""


class Taken(NamedTuple):
    """What one phase took."""

    seconds: float
    """of processor time"""
    before: int
    """bytes: peak memory before it, which is that of the imports"""
    peak: int
    """bytes"""


def listed(images: int) -> Iterator[Source]:
    """Sources named as ImageNet's are, class after class."""
    for number in range(CLASSES):
        label = f"n{number:08d}"
        prefix = f"{label}/{label}_"
        for image in range(number * images // CLASSES, (number + 1) * images // CLASSES):
            yield Source(f"{prefix}{image:010d}.JPEG", "train", label, 100_000 + image % 7919)


def counted(images: int) -> Listing:
    """Their listing, bundle by bundle as Beam combines it."""
    with tempfile.TemporaryDirectory() as output:
        combine = CountFound(output)
        combine.setup()
        total, bundle = combine.create_accumulator(), combine.create_accumulator()
        for number, source in enumerate(listed(images), 1):
            bundle = combine.add_input(bundle, source)
            if number % BUNDLE == 0:
                total = combine.merge_accumulators([total, bundle])
                bundle = combine.create_accumulator()
        return combine.extract_output(combine.merge_accumulators([total, bundle]))


def in_numbers(images: int) -> Listing:
    """The same but for its digest, without going through them."""
    listing = Listing()
    for number in range(CLASSES):
        label = f"n{number:08d}"
        count = (number + 1) * images // CLASSES - number * images // CLASSES
        listing.add(Folder(label, "train", label)).counts["train", label] += count
    return listing


def planned(listing: Listing, copies: int) -> Plan:
    recipe = load_recipe("flowers")
    request = Request(name="flowers", recipe_name="flowers", recipe=recipe.canonical(), seed=0, copies=copies)
    return make_plan(request, listing, None)


def grouped(images: int, plan: Plan) -> np.ndarray:
    """int64 [groups]: how many sources the job assigns to each."""
    sizes = np.zeros(plan.splits["train"].groups, np.int64)
    pack, assign = PackSources(), AssignToGroup()
    sources = listed(images)
    while bundle := list(itertools.islice(sources, BUNDLE)):
        pack.start_bundle()
        assign.start_bundle()
        packets = [packet for source in bundle for packet in pack.process(source)]
        packets += [packet.value for packet in pack.finish_bundle()]
        pairs = [pair for packet in packets for pair in assign.process(packet, plan)]
        for (_, _, group), members in pairs + [pair.value for pair in assign.finish_bundle()]:
            sizes[group] += len(list(things_of([members])))
    return sizes


def written(plan: Plan, rejects: int) -> Iterator[GroupFiles]:
    """What groups send to the last step; so many of their sources were rejected."""
    groups = plan.splits["train"].groups
    for group in range(groups):
        mine = range(group * rejects // groups, (group + 1) * rejects // groups)
        damaged = frozenset(
            Reject(f"n{group:08d}/n{group:08d}_{image:010d}.JPEG", "corrupt", "it cannot be decoded")
            for image in mine
        )
        files = []
        for copy in plan.copies("train"):
            digest = hashlib.sha256(f"{group} {copy}".encode()).hexdigest()
            shard = File(bytes=1 << 27, sha256=digest, records=plan.sources // groups - len(mine))
            files.append((copy, shard, File(bytes=1 << 20, sha256=digest[::-1])))
        yield GroupFiles("train", group, tuple(files), damaged)


def report(plan: Plan, rejects: int, output: str) -> None:
    """Writes rejects.jsonl, dataset_info.json, manifest.json and the like of a dataset without shards."""
    run = Run(input="in", output=output, max_rejects=1, about={}, began=time.time())
    shards = Shards(plan)
    for group in written(plan, rejects):
        shards.add(group)
    write_dataset(shards, plan, run)


def _listing(images: int, copies: int) -> None:
    counted(images)


def _planning(images: int, copies: int) -> None:
    planned(in_numbers(images), copies)


def _grouping(images: int, copies: int) -> None:
    grouped(images, planned(in_numbers(images), copies))


def _reporting(images: int, copies: int) -> None:
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as output:
        report(planned(in_numbers(images), copies), images // REJECTS, output)


def _reading(images: int, copies: int) -> None:
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as output:
        plan = planned(in_numbers(images), copies)
        writer = multiprocessing.Process(target=report, args=(plan, images // REJECTS, output))
        writer.start()
        writer.join()
        read_manifest(output)


PHASES: dict[str, Callable[[int, int], None]] = {
    "listing": _listing,
    "planning": _planning,
    "grouping": _grouping,
    "reporting": _reporting,
    "reading": _reading,
}


def taken(phase: str, images: int, copies: int) -> Taken:
    """What a phase takes in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.planning", "--alone", "--phases", phase]
    command += ["--images", str(images), "--copies", str(copies)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return Taken(*json.loads(ended.stdout))


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _take(phase: str, images: int, copies: int) -> Taken:
    before, began = _peak(), time.process_time()
    PHASES[phase](images, copies)
    return Taken(time.process_time() - began, before, _peak())


def _table(phases: Iterable[str], sizes: Iterable[int], copies: int) -> Iterator[str]:
    yield f"{'':10} {'images':>14} {'CPU':>10} {'times':>6} {'an image':>10} {'memory':>9} {'of which':>9}\n"
    for phase in phases:
        earlier: Taken | None = None
        for images in sizes:
            now = taken(phase, images, copies)
            times = f"{now.seconds / earlier.seconds:.1f}" if earlier else ""
            each = f"{now.seconds / images * 1e6:.2f} us"
            memory, grown = (f"{size / 1e6:,.0f} MB" for size in (now.peak, now.peak - now.before))
            yield (
                f"{phase:10} {images:14,} {now.seconds:8.2f} s {times:>6} {each:>10} {memory:>9} {grown:>9}\n"
            )
            earlier = now


def skewed_bytes(images: int) -> dict[str, np.ndarray]:
    """int64 [images] each: sizes of files as they may be skewed, in the order of `listed`."""
    random = np.random.default_rng(0)
    alike = np.full(images, 100_000)
    giants = alike.copy()
    giants[: images // CLASSES] *= 100
    # Classes by Zipf's law, which also decides how large a class's photos are.
    share = 1 / np.arange(1, CLASSES + 1)
    rank = np.searchsorted(np.cumsum(share / share.sum()), np.arange(images) / images, side="right")
    return {
        "all alike": alike,
        "log-normal, sigma 1": (60_000 * random.lognormal(0, 1, images)).astype(np.int64),
        "log-normal, sigma 2": (15_000 * random.lognormal(0, 2, images)).astype(np.int64),
        "one class of giants": giants,
        "Zipf's classes": 1_000_000 // (rank + 1) + 10_000,
    }


def balance(images: int, groups: int) -> dict[str, tuple[float, float]]:
    """Largest group against the mean, by images and by bytes, for each kind of skew."""
    member = np.zeros(images, np.int64)
    ids = [source.id for source in listed(images)]
    for start in range(0, images, BUNDLE):
        block = places(0, ids[start : start + BUNDLE]).tolist()
        member[start : start + BUNDLE] = [group_of(place, groups) for place in block]
    count = np.bincount(member, minlength=groups)
    result = {}
    for kind, sizes in skewed_bytes(images).items():
        weight = np.bincount(member, weights=sizes, minlength=groups)
        result[kind] = (count.max() / count.mean(), weight.max() / weight.mean())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--copies", type=int, default=10, metavar="K", help="of each image [%(default)s]")
    parser.add_argument("--balance", action="store_true", help="how evenly groups are filled")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES), metavar="PHASE")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        sys.stdout.write(json.dumps(_take(arguments.phases[0], arguments.images[0], arguments.copies)))
    elif arguments.balance:
        sys.stdout.write(f"{'':20} {'images':>12} {'groups':>7} {'by images':>10} {'by bytes':>10}\n")
        for images in arguments.images:
            groups = planned(in_numbers(images), arguments.copies).splits["train"].groups
            for kind, (by_images, by_bytes) in balance(images, groups).items():
                sys.stdout.write(f"{kind:20} {images:12,} {groups:7,} {by_images:10.3f} {by_bytes:10.3f}\n")
    else:
        for line in _table(arguments.phases, arguments.images, arguments.copies):
            sys.stdout.write(line)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
