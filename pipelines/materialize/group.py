"""The work on a group: each source decoded once a pass, all copies of the pass written.

Processes derive the samples, some sources at a time (`processes`), and read what lies on a disk themselves.
Records are written here, in the order of the plan.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from augment.augmenter import CORES, NOT_AUGMENTED
from augment.errors import OpError
from augment.parity import parity_class
from pipelines import storage
from pipelines.format.copies import Tier
from pipelines.format.digests import SourcesDigest
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import File, parity_differences
from pipelines.format.records import ShardWriter
from pipelines.format.samples import BLOCK, Receipt, SamplesWriter, read_receipt, schema
from pipelines.format.targets import is_parameter
from pipelines.materialize.derive import Derived, Member, PassingFault
from pipelines.materialize.processes import Pool, ProcessEnded
from pipelines.materialize.run import Run
from pipelines.plan import Plan, estimated_bytes
from pipelines.sources import Reject, read_source

COPIES_AT_ONCE = 12
"""Copies of one group that are written in one pass over its sources."""

AT_ONCE = 64
"""The most sources that are derived in one go."""

BYTES_AT_ONCE = 6 << 20
"""As many fewer as have no more than this of records, by estimate: what is kept of a source that is made."""

ATTEMPTS = 3
"""How often a pass is tried when a source cannot be read."""


class GroupFailed(Exception):
    """Why a group cannot be written, in a sentence for the user; another attempt would not help."""


class Finished(NamedTuple):
    """A shard that is in place."""

    receipt: Receipt
    samples: File
    """its samples file"""
    kept: bool
    """whether it was there before"""


@dataclasses.dataclass(frozen=True)
class Group:
    """The sources that one task handles together, in order: (id, label, annotation, place within a file)."""

    split: str
    number: int
    tier: Tier
    """its copies, and how many groups there are of it"""
    sources: Sequence[tuple[str, str, bytes, str]]


class GroupWriter:
    """Writes groups of one plan. Built once a process. Threads may write some at once: while one is
    finished, sources of the next are derived.

    `processes` is how many may derive, if the work is worth their start. To be closed in the end.
    Raises GroupFailed in another parity class than the plan's.
    """

    def __init__(
        self,
        plan: Plan,
        run: Run,
        processes: int = CORES,
    ) -> None:
        differences = parity_differences(plan.parity_class, parity_class())
        if differences:
            raise GroupFailed(
                f"a worker on {platform.node()} is of another parity class than the shards of this dataset "
                f"({'; '.join(differences)}), so its pixels may differ; make all workers alike and run the "
                "same command again, or start over with --overwrite"
            )
        self.plan, self._root, self.output = plan, run.input, storage.at(run.output)
        made_of = (plan.request, plan.classes, run.input, run.backend, plan.targets, run.annotations)
        self._pool = Pool(processes, plan.sources, *made_of)
        self._recipe = self._pool.here.augmenters.recipe
        self.schema = schema(self._recipe, plan.targets)
        self._ahead = storage.at(run.input).ahead
        self._readers = ThreadPoolExecutor(self._ahead) if self._ahead else None
        self._turn = threading.Lock()
        """held by the group whose sources are given to those who derive"""

    @property
    def processes(self) -> int:
        """How many derive by now."""
        return self._pool.processes

    def close(self) -> None:
        """Lets go of what derives and reads."""
        self._pool.close()
        if self._readers:
            self._readers.shutdown(cancel_futures=True)

    def write(self, group: Group, progress: Callable[..., None]) -> list[Finished]:
        """Brings every copy's shard of a group into place; those that are already are left alone.

        `progress` is called with the number of samples that are done since the last call.
        Raises GroupFailed if a source cannot be read, or is not what it was for another copy.
        """
        finished: list[Finished] = []
        missing: list[int] = []
        for copy in group.tier.copies:
            there = self._in_place(group, copy)
            if there is None:
                missing.append(copy)
                continue
            self._check_sources(
                group, finished, there.receipt, self.output.to(self._samples_file(group, copy))
            )
            progress(there.receipt.records + len(there.receipt.rejects), kept=True)
            finished.append(there)
        passes = -(-len(missing) // COPIES_AT_ONCE)
        for copies in np.array_split(missing, passes) if passes else ():
            finished += self._write_with_retries(group, copies.tolist(), finished, progress)
        return finished

    def _in_place(self, group: Group, copy: int) -> Finished | None:
        """The shard of a copy if it is done: its receipt is for it, and says its size and digest."""
        samples = self._samples_file(group, copy)
        receipt = read_receipt(self.output.to(samples))
        if receipt is None or receipt != dataclasses.replace(receipt, **self._foreseen(group, copy)):
            return None
        if not self.output.is_whole(receipt.file, receipt.bytes, receipt.sha256):
            return None
        size = self.output.size(samples)
        return None if size is None else Finished(receipt, File(size, self.output.digest(samples)), kept=True)

    def _foreseen(self, group: Group, copy: int) -> dict[str, Any]:
        """What a shard's receipt says of which shard it is for."""
        groups = group.tier.groups
        return {
            "fingerprint": self.plan.fingerprint,
            "split": group.split,
            "copy": copy,
            "shard": group.number,
            "file": shard_file(self.plan.request.name, group.split, copy, group.number, groups),
            "parity_class": self.plan.parity_class,
        }

    def _samples_file(self, group: Group, copy: int) -> str:
        return samples_file(group.split, copy, group.number, group.tier.groups)

    def _check_sources(
        self, group: Group, earlier: Sequence[Finished], receipt: Receipt, samples: str
    ) -> None:
        """Raises GroupFailed if a copy was made of other sources than the earlier ones of its group."""
        if not earlier or earlier[0].receipt.sources == receipt.sources:
            return
        first = earlier[0].receipt
        was = _sources_of(first, self.output.to(self._samples_file(group, first.copy)))
        now = _sources_of(receipt, samples)
        changed = min((source for source, _ in was.items() ^ now.items()), default="a source")
        raise GroupFailed(
            f"{changed}: it changed between copies {first.copy} and {receipt.copy} "
            f"({was.get(changed)}, then {now.get(changed)}); put back what it was and run the same command "
            "again, or start over with --overwrite"
        )

    def _write_with_retries(
        self, group: Group, copies: list[int], earlier: Sequence[Finished], progress: Callable[[int], None]
    ) -> list[Finished]:
        for attempt in range(1, ATTEMPTS + 1):
            done = 0

            def count(samples: int) -> None:
                nonlocal done
                done += samples
                progress(samples)

            try:
                return self._write_pass(group, copies, earlier, count)
            except PassingFault as fault:
                if attempt == ATTEMPTS:
                    raise GroupFailed(str(fault)) from None
                progress(-done)
                time.sleep(attempt)
            except (OpError, ProcessEnded) as fault:
                raise GroupFailed(str(fault)) from fault
        raise AssertionError("the last attempt returns or raises")

    def _write_pass(
        self, group: Group, copies: list[int], earlier: Sequence[Finished], progress: Callable[[int], None]
    ) -> list[Finished]:
        """Nothing is put in place before all of it is finished, and known to be of the same sources.

        Each attempt has files of its own: of two at one group, as engines start them, both end well.
        """
        sources, rejects = SourcesDigest(), list[Reject]()
        with ExitStack() as stack:
            attempt = os.path.join(stack.enter_context(self.output.scratch()), uuid.uuid4().hex)
            shards = [stack.enter_context(ShardWriter(f"{attempt}-{copy}")) for copy in copies]
            tables = [stack.enter_context(SamplesWriter(f"{s.path}.parquet", self.schema)) for s in shards]
            for first in range(0, len(group.sources), BLOCK):
                block = dataclasses.replace(group, sources=group.sources[first : first + BLOCK])
                rejects += self._write_block(block, copies, shards, tables, sources, progress)
            receipts = []
            for copy, shard, table in zip(copies, shards, tables, strict=True):
                size, digest = shard.finish()
                receipt = Receipt(
                    **self._foreseen(group, copy),
                    bytes=size,
                    sha256=digest,
                    records=shard.records,
                    sources=sources.hexdigest(rejects),
                    rejects=tuple(rejects),
                )
                table.finish(receipt)
                receipts.append(receipt)
            self._check_sources(group, earlier, receipts[0], tables[0].path)
            return [
                self._put_in_place(group, receipt, shard.path, table.path)
                for receipt, shard, table in zip(receipts, shards, tables, strict=True)
            ]

    def _put_in_place(self, group: Group, receipt: Receipt, shard: str, table: str) -> Finished:
        """Moves a shard to its name, then its receipt: with the receipt it counts as done."""
        samples = File(bytes=os.path.getsize(table), sha256=storage.at(table).digest())
        self.output.place(shard, receipt.file, receipt.sha256)
        self.output.place(table, self._samples_file(group, receipt.copy), samples.sha256)
        return Finished(receipt, samples, kept=False)

    def _write_block(
        self,
        block: Group,
        copies: list[int],
        shards: Sequence[ShardWriter],
        tables: Sequence[SamplesWriter],
        sources: SourcesDigest,
        progress: Callable[[int], None],
    ) -> list[Reject]:
        """Writes the records and rows of some sources in all copies; those that have none are returned."""
        rejects: list[Reject] = []
        rows = _Rows(copies)
        # Closed here, for what keeps an exception would keep it too, and with it the turn of another group.
        with contextlib.closing(self._derived(block, copies)) as coming:
            for derived in coming:
                written = rows.add(derived)
                for one, its in zip(
                    derived.columns["source"], SourcesDigest.of_columns(derived.columns), strict=True
                ):
                    sources.add(one, its)
                for shard, framed in zip(shards, derived.records, strict=True):
                    shard.write(framed, written)
                rejects += derived.rejects
                progress(len(copies) * (written + len(derived.rejects)))
        if not rows.count:
            return rejects
        not_drawn = dict.fromkeys(filter(is_parameter, self.schema.names), [None] * rows.count)
        for number, (copy, shard, table) in enumerate(zip(copies, shards, tables, strict=True)):
            where = {
                "split": [block.split] * rows.count,
                "copy": [copy] * rows.count,
                "shard": [block.number] * rows.count,
                "record": range(shard.records - rows.count, shard.records),
            }
            table.write({**not_drawn, **where, **rows.of_copy(number)})
        return rejects

    def _derived(self, block: Group, copies: list[int]) -> Generator[Derived]:
        """What becomes of the sources, some at a time, in order."""
        record = estimated_bytes(self._recipe.image_shape, self._recipe.storage)
        most = BYTES_AT_ONCE // (record * len(copies))
        evenly = -(-len(block.sources) // (4 * self._pool.count))
        count = max(1, min(AT_ONCE, most, evenly))
        members = self._members(block)
        waiting: collections.deque[Future[Derived]] = collections.deque()
        with self._turn:
            while some := list(itertools.islice(members, count)):
                waiting.append(self._pool.derive(some, copies))
                if len(waiting) > 2 * self._pool.count:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _members(self, block: Group) -> Iterator[Member]:
        """The sources: with what they hold, read some ahead, where they lie in a store."""
        if self._readers is None:
            yield from (
                Member(source, label, None, its, place) for source, label, its, place in block.sources
            )
            return
        coming: collections.deque[Future[Member]] = collections.deque()
        for source in block.sources:
            coming.append(self._readers.submit(self._read, *source))
            if len(coming) == self._ahead:
                yield coming.popleft().result()
        yield from (read.result() for read in coming)

    def _read(self, source: str, label: str, annotation: bytes, place: str) -> Member:
        try:
            return Member(source, label, read_source(self._root, place or source), annotation)
        except OSError as error:
            return Member(source, label, error, annotation)


class _Rows:
    """What the samples table says of some sources' samples in some copies."""

    def __init__(self, copies: Sequence[int]) -> None:
        self.count = 0
        """of sources"""
        self._plain = [copy == NOT_AUGMENTED for copy in copies]
        self._alike: dict[str, list[Any]] = collections.defaultdict(list)
        self._by_copy: dict[str, list[list[Any]]] = collections.defaultdict(lambda: [[] for _ in copies])
        self._drawn: dict[str, list[np.ndarray]] = collections.defaultdict(list)

    def add(self, derived: Derived) -> int:
        """More sources; how many."""
        for name, values in derived.columns.items():
            self._alike[name] += values
        for name, lists in derived.copies.items():
            for values, more in zip(self._by_copy[name], lists, strict=True):
                values += more
        for name, drawn in derived.drawn.items():
            self._drawn[name].append(drawn)
        added = len(derived.columns["source"])
        self.count += added
        return added

    def of_copy(self, number: int) -> dict[str, Any]:
        """The columns of the copy at a place, but for what is not drawn for it."""
        columns = {**self._alike, **{name: lists[number] for name, lists in self._by_copy.items()}}
        if self._plain[number]:
            return columns
        place = number - sum(self._plain[:number])
        drawn = {name: _joined([v[:, place] for v in values]) for name, values in self._drawn.items()}
        return columns | drawn


def _joined(values: Sequence[np.ndarray]) -> np.ndarray:
    """With masks, where classes have recipes of their own."""
    masked = isinstance(values[0], np.ma.MaskedArray)
    return np.ma.concatenate(values) if masked else np.concatenate(values)


_OF_A_SOURCE = ("source", "source_sha256", "annotation_sha256")


def _sources_of(receipt: Receipt, samples: str) -> dict[str, str]:
    """What each source of a shard was, in words."""
    with storage.at(samples).open() as file:
        table = pq.ParquetFile(file)
        names = [name for name in _OF_A_SOURCE if name in table.schema_arrow.names]
        rows = table.read(columns=names)
    columns = {name: rows[name].to_pylist() for name in names}
    digests = zip(columns["source"], SourcesDigest.of_columns(columns), strict=True)
    shown = {
        source: "SHA-256 " + " and ".join(f"{part[:12]}..." for part in digest.split())
        for source, digest in digests
    }
    return shown | {reject.source: f"rejected as {reject.reason}" for reject in receipt.rejects}
