"""The work inside a group: each source decoded once, all its copies written.

A few threads derive the samples, a source each at a time: all that takes long there
(TensorFlow's graph, digests, PNG) is C code that releases the GIL. Records are
written in the order of the plan.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from augment.augmenter import CORES, NOT_AUGMENTED, Augmenter
from augment.draws import Draw
from pipelines import storage
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import parity_class
from pipelines.format.records import ShardWriter
from pipelines.format.request import job_recipe
from pipelines.format.samples import Receipt, read_receipt, schema, write_samples
from pipelines.materialize.derive import Derived, Deriver, PassingFault
from pipelines.plan import Plan
from pipelines.sources import Reject, read_source

COPIES_AT_ONCE = 8
"""Copies of one group that are written in one pass over its sources."""

ATTEMPTS = 3
"""How often a group is tried when reading fails for a passing reason."""


class Finished(NamedTuple):
    """A shard that is in place, with its receipt."""

    receipt: Receipt
    samples_file: str
    samples_bytes: int
    samples_sha256: str
    kept: bool = False
    """whether it was there before"""


@dataclasses.dataclass(frozen=True)
class Group:
    """The sources that one task handles together, in order: (id, label)."""

    split: str
    number: int
    sources: Sequence[tuple[str, str]]


class GroupWriter:
    """Writes groups of one plan. Built once a process; one group at a time."""

    def __init__(self, plan: Plan, root: str, output: str) -> None:
        self.plan, self.root, self.output = plan, root, storage.at(output)
        self.augmenter = Augmenter(job_recipe(plan.request), plan.request.seed)
        labels = {label: number for number, label in enumerate(plan.classes)}
        self._deriver = Deriver(self.augmenter, labels)
        self.schema = schema(self.augmenter)
        self.parity_class = parity_class()
        self._pool = ThreadPoolExecutor(CORES)
        self._ahead = storage.at(root).ahead
        self._readers = ThreadPoolExecutor(self._ahead) if self._ahead else None

    def write(self, group: Group, progress: Callable[..., None]) -> Iterator[Finished]:
        """Brings every copy's shard of a group into place; those that are already are left alone.

        `progress` is called with the number of samples that are done since the last call.
        """
        missing = []
        for copy in self.plan.copies(group.split):
            finished = self._in_place(group, copy)
            if finished:
                progress(finished.receipt.records + len(finished.receipt.rejects), kept=True)
                yield finished
            else:
                missing.append(copy)
        passes = -(-len(missing) // COPIES_AT_ONCE)
        for copies in np.array_split(missing, passes) if passes else ():
            yield from self._write_with_retries(group, [int(copy) for copy in copies], progress)

    def _in_place(self, group: Group, copy: int) -> Finished | None:
        """The shard of a copy if it is done: its receipt matches plan, size and digest."""
        groups = self.plan.splits[group.split].groups
        samples = samples_file(group.split, copy, group.number, groups)
        receipt = read_receipt(self.output.to(samples))
        if receipt is None or receipt.fingerprint != self.plan.fingerprint:
            return None
        if not self.output.is_whole(receipt.file, receipt.bytes, receipt.sha256):
            return None
        size = self.output.size(samples)
        if size is None:
            return None
        return Finished(receipt, samples, size, self.output.digest(samples), kept=True)

    def _write_with_retries(
        self, group: Group, copies: list[int], progress: Callable[[int], None]
    ) -> list[Finished]:
        for attempt in range(1, ATTEMPTS + 1):
            done = 0

            def count(samples: int) -> None:
                nonlocal done
                done += samples
                progress(samples)

            try:
                return self._write_pass(group, copies, count)
            except PassingFault:
                if attempt == ATTEMPTS:
                    raise
                progress(-done)
                time.sleep(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _write_pass(self, group: Group, copies: list[int], progress: Callable[[int], None]) -> list[Finished]:
        augmented = [copy for copy in copies if copy != NOT_AUGMENTED]
        draws = self._deriver.draws([source for source, _ in group.sources], augmented)
        drawn: dict[int, dict[str, np.ndarray]] = {NOT_AUGMENTED: {}}
        for i, copy in enumerate(augmented):
            drawn[copy] = {name: values[:, i] for name, values in self.augmenter.recorded(draws).items()}
        columns: dict[str, list[Any]] = collections.defaultdict(list)
        digests: list[list[str]] = []
        rejects: list[Reject] = []
        with ExitStack() as stack:
            attempt = os.path.join(stack.enter_context(self.output.scratch()), uuid.uuid4().hex)
            writers = [stack.enter_context(ShardWriter(f"{attempt}-{copy}")) for copy in copies]
            for position, derived in self._derived(group, copies, draws):
                if isinstance(derived, Reject):
                    rejects.append(derived)
                else:
                    for writer, record in zip(writers, derived.records, strict=True):
                        writer.write(record)
                    digests.append(derived.pixel_digests)
                    columns["position"].append(position)
                    for name, value in derived.columns.items():
                        columns[name].append(value)
                progress(len(copies))
            return [
                self._put_in_place(
                    group, copy, writer, rejects, self._rows(group, copy, i, columns, digests, drawn[copy])
                )
                for i, (copy, writer) in enumerate(zip(copies, writers, strict=True))
            ]

    def _derived(
        self, group: Group, copies: list[int], draws: Draw
    ) -> Iterator[tuple[int, Derived | Reject]]:
        """What becomes of each source, in order, with its position."""
        tensors = [tf.constant(values) for values in tf.nest.flatten(draws)]
        waiting: collections.deque[Future[Derived | Reject]] = collections.deque()
        for position, ((source, label), read) in enumerate(
            zip(group.sources, self._reads(group), strict=True)
        ):
            waiting.append(
                self._pool.submit(self._deriver.derive, source, label, read, copies, position, tensors)
            )
            if len(waiting) > 2 * CORES:
                yield position + 1 - len(waiting), waiting.popleft().result()
        while waiting:
            yield len(group.sources) - len(waiting), waiting.popleft().result()

    def _reads(self, group: Group) -> Iterator[Callable[[], bytes]]:
        """What gives each source's contents: read from a disk when it is called, from a store before."""
        if self._readers is None:
            yield from (functools.partial(read_source, self.root, source) for source, _ in group.sources)
            return
        coming: collections.deque[Future[bytes]] = collections.deque()
        for source, _ in group.sources:
            coming.append(self._readers.submit(read_source, self.root, source))
            if len(coming) == self._ahead:
                yield coming.popleft().result
        yield from (read.result for read in coming)

    def _rows(
        self,
        group: Group,
        copy: int,
        column: int,
        columns: dict[str, list[Any]],
        digests: list[list[str]],
        draws: dict[str, np.ndarray],
    ) -> dict[str, Any]:
        """One copy's part of the samples table, by column; `draws` are its columns, of all sources."""
        count = len(digests)
        positions = np.array(columns["position"], np.int64)
        drawn: dict[str, Any] = {name: values[positions] for name, values in draws.items()}
        if not draws:
            drawn = {name: [None] * count for name in self.schema.names if "." in name}
        return {
            "split": [group.split] * count,
            "copy": [copy] * count,
            "shard": [group.number] * count,
            "record": range(count),
            **{name: columns[name] for name in self.schema.names if name in _SOURCE_COLUMNS},
            "pixels_sha256": [digest[column] for digest in digests],
            **drawn,
        }

    def _put_in_place(
        self, group: Group, copy: int, writer: ShardWriter, rejects: list[Reject], rows: dict[str, Any]
    ) -> Finished:
        """Moves a shard to its name, then writes its receipt: with the receipt it counts as done."""
        request, groups = self.plan.request, self.plan.splits[group.split].groups
        size, digest = writer.finish()
        receipt = Receipt(
            fingerprint=self.plan.fingerprint,
            split=group.split,
            copy=copy,
            shard=group.number,
            file=shard_file(request.name, group.split, copy, group.number, groups),
            bytes=size,
            sha256=digest,
            records=writer.records,
            parity_class=self.parity_class,
            rejects=tuple(rejects),
        )
        samples = samples_file(group.split, copy, group.number, groups)
        table = f"{writer.path}.parquet"
        write_samples(table, rows, self.schema, receipt)
        samples_size, samples_digest = os.path.getsize(table), storage.at(table).digest()
        self.output.place(writer.path, receipt.file, digest)
        self.output.place(table, samples, samples_digest)
        return Finished(receipt, samples, samples_size, samples_digest)


_SOURCE_COLUMNS = ("source", "class", "label", "source_sha256", "source_height", "source_width")
