"""The work on a group: each source decoded once a pass, all copies of the pass written.

A few threads derive the samples, a source each at a time: all that takes long there
(decoding, kernels, digests, encoding) is C code that releases the GIL. Records are
written in the order of the plan.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from augment import backends
from augment.augmenter import CORES, NOT_AUGMENTED, Augmenter
from augment.draws import Draw, at
from augment.errors import OpError
from augment.parity import parity_class
from pipelines import storage
from pipelines.format.copies import Tier
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import File, parity_differences
from pipelines.format.records import ShardWriter
from pipelines.format.request import job_recipe
from pipelines.format.samples import BLOCK, Receipt, SamplesWriter, SourcesDigest, read_receipt, schema
from pipelines.materialize.derive import Derived, Deriver, PassingFault
from pipelines.plan import Plan
from pipelines.sources import Reject, read_source

COPIES_AT_ONCE = 8
"""Copies of one group that are written in one pass over its sources."""

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
    """The sources that one task handles together, in order: (id, label)."""

    split: str
    number: int
    tier: Tier
    """its copies, and how many groups there are of it"""
    sources: Sequence[tuple[str, str]]


class GroupWriter:
    """Writes groups of one plan. Built once a process; one group at a time.

    Raises GroupFailed in another parity class than the plan's.
    """

    def __init__(self, plan: Plan, root: str, output: str, backend: backends.Name = "host") -> None:
        differences = parity_differences(plan.parity_class, parity_class())
        if differences:
            raise GroupFailed(
                f"a worker on {platform.node()} is of another parity class than the shards of this dataset "
                f"({'; '.join(differences)}), so its pixels may differ; make all workers alike and run the "
                "same command again, or start over with --overwrite"
            )
        self.plan, self.root, self.output = plan, root, storage.at(output)
        self.augmenter = Augmenter(job_recipe(plan.request), plan.request.seed, backend)
        labels = {label: number for number, label in enumerate(plan.classes)}
        self._deriver = Deriver(self.augmenter, labels)
        self.schema = schema(self.augmenter)
        self._pool = ThreadPoolExecutor(CORES)
        self._ahead = storage.at(root).ahead
        self._readers = ThreadPoolExecutor(self._ahead) if self._ahead else None

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
            except OpError as fault:
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
        augmented = [copy for copy in copies if copy != NOT_AUGMENTED]
        draws = self._deriver.draws([source for source, _ in block.sources], augmented)
        positions: list[int] = []
        columns: dict[str, list[Any]] = collections.defaultdict(list)
        digests: list[list[str]] = []
        rejects: list[Reject] = []
        for position, derived in enumerate(self._derived(block, copies, draws)):
            progress(len(copies))
            if isinstance(derived, Reject):
                rejects.append(derived)
                continue
            sources.add(derived.columns["source"], derived.columns["source_sha256"])
            for shard, record in zip(shards, derived.records, strict=True):
                shard.write(record)
            positions.append(position)
            digests.append(derived.pixel_digests)
            for name, value in derived.columns.items():
                columns[name].append(value)
        recorded = self.augmenter.recorded(draws)
        for i, (copy, shard, table) in enumerate(zip(copies, shards, tables, strict=True)):
            drawn: dict[str, Any] = dict.fromkeys(
                (name for name in self.schema.names if "." in name), [None] * len(positions)
            )
            if copy != NOT_AUGMENTED:
                at = augmented.index(copy)
                drawn = {name: values[positions, at] for name, values in recorded.items()}
            table.write(
                {
                    "split": [block.split] * len(positions),
                    "copy": [copy] * len(positions),
                    "shard": [block.number] * len(positions),
                    "record": range(shard.records - len(positions), shard.records),
                    **{name: columns[name] for name in self.schema.names if name in _SOURCE_COLUMNS},
                    "pixels_sha256": [digest[i] for digest in digests],
                    **drawn,
                }
            )
        return rejects

    def _derived(self, block: Group, copies: list[int], draws: Draw) -> Iterator[Derived | Reject]:
        """What becomes of each source, in order."""
        waiting: collections.deque[Future[Derived | Reject]] = collections.deque()
        for position, ((source, label), read) in enumerate(
            zip(block.sources, self._reads(block), strict=True)
        ):
            mine = at(draws, position)
            waiting.append(self._pool.submit(self._deriver.derive, source, label, read, copies, mine))
            if len(waiting) > 2 * CORES:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _reads(self, block: Group) -> Iterator[Callable[[], bytes]]:
        """What gives each source's contents: read from a disk when it is called, from a store before."""
        if self._readers is None:
            yield from (functools.partial(read_source, self.root, source) for source, _ in block.sources)
            return
        coming: collections.deque[Future[bytes]] = collections.deque()
        for source, _ in block.sources:
            coming.append(self._readers.submit(read_source, self.root, source))
            if len(coming) == self._ahead:
                yield coming.popleft().result
        yield from (read.result for read in coming)


_SOURCE_COLUMNS = ("source", "class", "label", "source_sha256", "source_height", "source_width")


def _sources_of(receipt: Receipt, samples: str) -> dict[str, str]:
    """What each source of a shard was, in words."""
    with storage.at(samples).open() as file:
        rows = pq.read_table(file, columns=["source", "source_sha256"])
    digests = zip(rows["source"].to_pylist(), rows["source_sha256"].to_pylist(), strict=True)
    return {source: f"SHA-256 {digest[:12]}..." for source, digest in digests} | {
        reject.source: f"rejected as {reject.reason}" for reject in receipt.rejects
    }
