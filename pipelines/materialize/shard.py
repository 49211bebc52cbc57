"""The work inside a group: each source decoded once, all its copies written.

Decoding, augmenting and JPEG run as one TensorFlow graph in a parallel `tf.data`
map. What follows in Python (digests, PNG, the record) runs in a few threads, for
it is C code that releases the GIL. Records are written in the order of the plan.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from augment import codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.keys import source_words
from pipelines.format.layout import SAMPLES, SCRATCH, samples_file, shard_file
from pipelines.format.manifest import parity_class
from pipelines.format.records import ShardWriter, file_digest, serialize
from pipelines.format.samples import Receipt, read_receipt, schema, write_samples
from pipelines.plan import Plan
from pipelines.sources import Reject, source_path

COPIES_AT_ONCE = 8
"""Copies of one group that are written in one pass over its sources."""

ATTEMPTS = 3
"""How often a group is tried when reading fails for a passing reason."""

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class PassingFault(Exception):
    """A source could not be read, or decoded, but could be when looked at again."""


class Finished(NamedTuple):
    """A shard that is in place, with its receipt."""

    receipt: Receipt
    samples_file: str
    samples_bytes: int
    samples_sha256: str


class _Derived(NamedTuple):
    """All of one source that is written in one pass."""

    position: int
    columns: dict[str, Any]
    records: list[bytes]
    pixel_digests: list[str]


@dataclasses.dataclass(frozen=True)
class Group:
    """The sources that one task handles together, in order: (id, label)."""

    split: str
    number: int
    sources: Sequence[tuple[str, str]]


class GroupWriter:
    """Writes groups of one plan. Built once a process; one group at a time."""

    def __init__(self, plan: Plan, root: str, output: str) -> None:
        self.plan, self.root, self.output = plan, root, output
        self.augmenter = Augmenter(plan.request.parsed_recipe(), plan.request.seed)
        self.labels = {label: number for number, label in enumerate(plan.classes)}
        self.schema = schema(self.augmenter)
        self.parity_class = parity_class()
        self._pool = ThreadPoolExecutor(THREADS)
        self._derive = functools.cache(self._trace)

    def write(self, group: Group, progress: Callable[[int], None]) -> Iterator[Finished]:
        """Brings every copy's shard of a group into place; those that are already are left alone.

        `progress` is called with the number of samples that are done since the last call.
        """
        missing = []
        for copy in self.plan.copies(group.split):
            finished = self._in_place(group, copy)
            if finished:
                progress(finished.receipt.records + len(finished.receipt.rejects))
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
        path = os.path.join(self.output, samples)
        receipt = read_receipt(path)
        if receipt is None or receipt.fingerprint != self.plan.fingerprint:
            return None
        shard = os.path.join(self.output, receipt.file)
        try:
            if os.path.getsize(shard) != receipt.bytes or file_digest(shard) != receipt.sha256:
                return None
        except FileNotFoundError:
            return None
        return Finished(receipt, samples, os.path.getsize(path), file_digest(path))

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
        scratch = os.path.join(self.output, SCRATCH)
        os.makedirs(scratch, exist_ok=True)
        os.makedirs(os.path.join(self.output, SAMPLES), exist_ok=True)
        attempt = os.path.join(scratch, uuid.uuid4().hex)
        draws = self._draws(group, copies)
        columns: dict[str, list[Any]] = collections.defaultdict(list)
        digests: list[list[str]] = []
        rejects: list[Reject] = []
        with ExitStack() as stack:
            writers = [stack.enter_context(ShardWriter(f"{attempt}-{copy}")) for copy in copies]
            for derived in self._samples(group, copies, draws):
                if isinstance(derived, Reject):
                    rejects.append(derived)
                else:
                    for writer, record in zip(writers, derived.records, strict=True):
                        writer.write(record)
                    digests.append(derived.pixel_digests)
                    columns["position"].append(derived.position)
                    for name, value in derived.columns.items():
                        columns[name].append(value)
                progress(len(copies))
            return [
                self._put_in_place(
                    group, copy, writer, rejects, self._rows(group, copy, i, columns, digests, draws)
                )
                for i, (copy, writer) in enumerate(zip(copies, writers, strict=True))
            ]

    def _draws(self, group: Group, copies: list[int]) -> dict[str, np.ndarray]:
        """All parameters of the group: arrays [sources, copies, ...]."""
        if copies == [NOT_AUGMENTED]:
            return {}
        words = source_words(source for source, _ in group.sources)[:, np.newaxis]
        return self.augmenter.draw((words[..., 0], words[..., 1]), np.array([copies], np.int32))

    def _samples(
        self, group: Group, copies: list[int], draws: dict[str, np.ndarray]
    ) -> Iterator[_Derived | Reject]:
        """What becomes of each source, in order."""
        waiting: collections.deque[Future[_Derived]] = collections.deque()
        expected = 0
        for element in self._derived(group, copies, draws):
            position = int(element["position"])
            while waiting and (len(waiting) > 2 * THREADS or position > expected):
                yield waiting.popleft().result()
            yield from self._examine(group, range(expected, position))
            expected = position + 1
            waiting.append(self._pool.submit(self._finish, group, copies, element))
        while waiting:
            yield waiting.popleft().result()
        yield from self._examine(group, range(expected, len(group.sources)))

    def _derived(
        self, group: Group, copies: list[int], draws: dict[str, np.ndarray]
    ) -> Iterable[dict[str, Any]]:
        """The graph's output for each source that it does not drop, in order."""
        if not group.sources:
            return ()
        paths = [os.fsencode(source_path(self.root, source)) for source, _ in group.sources]
        options = tf.data.Options()
        options.autotune.enabled = False
        options.deterministic = True
        dataset = (
            tf.data.Dataset.from_tensor_slices((np.arange(len(paths)), paths, draws))
            .map(self._derive(len(copies), copies == [NOT_AUGMENTED]), num_parallel_calls=THREADS)
            .ignore_errors()
            .prefetch(THREADS)
            .with_options(options)
        )
        return dataset.as_numpy_iterator()

    def _trace(self, copies: int, plain: bool) -> Callable[..., dict[str, tf.Tensor]]:
        """The graph of one source: its position, path and draws [copies, ...] to samples [copies, ...]."""
        storage = self.augmenter.recipe.storage

        @tf.function(autograph=False, reduce_retracing=True)
        def derive(position: tf.Tensor, path: tf.Tensor, draws: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            contents = tf.io.read_file(path)
            source = codec.decode(contents)
            if plain:
                samples = [self.augmenter.plain(source)]
            else:
                head = self.augmenter.head(source)
                samples = [
                    self.augmenter.tail(head, {name: values[i] for name, values in draws.items()})
                    for i in range(copies)
                ]
            derived = {
                "position": position,
                "contents": contents,
                "source_size": tf.shape(source)[:2],
                "pixels": tuple(samples),
            }
            if storage.format == "jpeg":
                derived["encoded"] = tuple(codec.encode(sample, storage) for sample in samples)
            return derived

        return derive

    def _finish(self, group: Group, copies: list[int], element: dict[str, Any]) -> _Derived:
        """Digests, encodes what the graph did not, and serializes. Runs in a thread."""
        position = int(element["position"])
        source, label = group.sources[position]
        pixels = element["pixels"]
        if "encoded" in element:
            encoded = element["encoded"]
        elif self.augmenter.recipe.storage.format == "png":
            encoded = [codec.encode_png(image) for image in pixels]
        else:
            encoded = [image.tobytes() for image in pixels]
        height, width = element["source_size"]
        return _Derived(
            position=position,
            columns={
                "source": source,
                "class": label,
                "label": self.labels[label],
                "source_sha256": hashlib.sha256(element["contents"]).hexdigest(),
                "source_height": int(height),
                "source_width": int(width),
            },
            records=[
                serialize(image=image, label=self.labels[label], source=source, copy=copy)
                for image, copy in zip(encoded, copies, strict=True)
            ],
            pixel_digests=[hashlib.sha256(image).hexdigest() for image in pixels],
        )

    def _examine(self, group: Group, positions: Iterable[int]) -> Iterator[Reject]:
        """Why the graph dropped sources. Raises PassingFault if there is no reason that lasts."""
        for position in positions:
            source, _ = group.sources[position]
            try:
                with open(source_path(self.root, source), "rb") as file:
                    rejection = codec.examine(file.read())
            except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
                detail = os.strerror(error.errno or 0).lower()
                rejection = codec.Rejection("unreadable", detail)
            except OSError as error:
                raise PassingFault(f"{source}: {os.strerror(error.errno or 0).lower()}") from error
            if rejection is None:
                raise PassingFault(f"{source}: it could not be read at first")
            yield Reject(source, rejection.reason, rejection.detail)

    def _rows(
        self,
        group: Group,
        copy: int,
        column: int,
        columns: dict[str, list[Any]],
        digests: list[list[str]],
        draws: dict[str, np.ndarray],
    ) -> dict[str, Any]:
        """One copy's part of the samples table, by column."""
        count = len(digests)
        positions = np.array(columns["position"], np.int64)
        drawn = {
            name: values[positions, column] if count else values[:0, column]
            for name, values in self.augmenter.recorded(draws).items()
        }
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
        write_samples(f"{writer.path}.parquet", rows, self.schema, receipt)
        samples_size, samples_digest = (
            os.path.getsize(f"{writer.path}.parquet"),
            file_digest(f"{writer.path}.parquet"),
        )
        os.replace(writer.path, os.path.join(self.output, receipt.file))
        os.replace(f"{writer.path}.parquet", os.path.join(self.output, samples))
        return Finished(receipt, samples, samples_size, samples_digest)


_SOURCE_COLUMNS = ("source", "class", "label", "source_sha256", "source_height", "source_width")
