"""Images read and decoded as training asks for them, and an account of what could not be used.

A file that cannot be used is left out and on record. Nothing else is left out: a fault that may pass is
waited for, and then raised, and so is whatever an op raises.
"""

from __future__ import annotations

import collections
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import storage
from pipelines.sources import Reject, read_source
from pipelines.sources.reading import contents_or_reject, rejected
from pipelines.sources.words import counted

_READERS = 10
"""Objects that are asked for at once, and files of which a block is made."""

_WAITS = (1, 2, 5, 10, 30)
"""Seconds before a file is read again, where a fault may pass."""


class Account:
    """The images of one directory that could not be used, each once. Used by several threads at once."""

    def __init__(
        self,
        root: str,
        on_reject: Callable[[Reject], object] | None = None,
        look: Callable[[str, bytes], Reject | None] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> None:
        """`on_reject` is told of each; else the first of each reason is said on stderr, and how many.

        `look` says why an image is of no use that can be decoded; `places` where those lie, by id, that are
        not files of their own.
        """
        self.root, self._look, self._places = root, look, places or {}
        self.rejects: dict[str, Reject] = {}
        self._faults: dict[str, str] = {}
        self._on_reject, self._said = on_reject, 0
        self._lock = threading.Lock()

    def add(self, reject: Reject) -> None:
        with self._lock:
            first = all(other.reason != reject.reason for other in self.rejects.values())
            if reject.source in self.rejects:
                return
            self.rejects[reject.source] = reject
        if self._on_reject:
            self._on_reject(reject)
        elif first:
            _say(f"warning: {reject.source} is left out, {reject.reason}: {reject.detail}")

    def end(self) -> None:
        """Says how many there are in all, if there are more than when that was said last."""
        if self._on_reject or len(self.rejects) == self._said:
            return
        self._said = len(self.rejects)
        reasons = collections.Counter(reject.reason for reject in self.rejects.values())
        _say(f"warning: {self._said:,} images of {self.root} are left out: {counted(reasons)}")

    def read(self, source: str) -> bytes:
        """A file's bytes; none if it cannot be read, for what were raised here would cost a whole block."""
        for wait in (*_WAITS, None):
            try:
                return read_source(self.root, self._places.get(source, source))
            except Exception as error:  # noqa: BLE001 (of the stores' own libraries, too)
                reject = rejected(source, error) if isinstance(error, OSError) else None
                if reject:
                    self.add(reject)
                    return b""
                why = (
                    storage.reason(error)
                    if isinstance(error, OSError)
                    else f"{type(error).__name__}: {error}"
                )
                if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
                    wait = None  # it will not pass by itself
            if wait is None:
                self._faults[source] = why
                break
            _say(f"{source}: {why}; trying again")
            time.sleep(wait)
        return b""

    def explain(self, sources: Iterable[bytes]) -> None:
        """Puts sources without a sample on record. Raises RuntimeError if that is not for their files."""
        for source in map(bytes.decode, sources):
            if source in self.rejects:
                continue
            if source in self._faults:
                raise RuntimeError(
                    f"{source} cannot be read ({self._faults[source]}), which says nothing of the image; "
                    "make it readable, or put it back"
                )
            contents = contents_or_reject(self.root, source, self._places.get(source, ""))
            found = contents if isinstance(contents, Reject) else self._look and self._look(source, contents)
            if found is None:
                raise RuntimeError(
                    f"{source} can be decoded, and no sample came of it: an op fails on it, or memory ran "
                    "out; augment.augment_image shows which"
                )
            self.add(found)


def _say(sentence: str) -> None:
    sys.stderr.write(f"augshard: {sentence}\n")


def accounted(
    files: tf.data.Dataset,
    sources: tf.Tensor,
    account: Account,
    make: Callable[[tf.data.Dataset], tf.data.Dataset],
) -> tf.data.Dataset:
    """What `make` makes of dictionaries with `image`, a file's bytes, and why something is missing.

    Args:
        files: dictionaries with `source`, one for each of `sources`, a string tensor [n], in their order.
        make: passes `position` through, in dictionaries, and leaves out those that cannot be used.
    """
    n = tf.shape(sources, tf.int64)[0]
    numbered = files.enumerate().map(lambda position, file: {**file, "position": position})
    made = make(_fetched(numbered, account))
    end = tf.nest.map_structure(_nothing, made.element_spec) | {"position": n}
    closed = made.concatenate(tf.data.Dataset.from_tensors(end))

    def explain(missing: np.ndarray, ended: np.ndarray) -> np.ndarray:
        account.explain(missing.tolist())
        if ended:
            account.end()
        return np.array(True)

    @tf.autograph.experimental.do_not_convert
    def look(expected: tf.Tensor, element: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tuple[Any, tf.Tensor]]:
        position = element.pop("position")
        told = tf.cond(
            (position == expected) & (position < n),
            lambda: tf.constant(True),
            lambda: tf.ensure_shape(
                tf.numpy_function(
                    explain, [sources[expected:position], position == n], tf.bool, stateful=False
                ),
                [],
            ),
        )
        return position + 1, (element, told & (position < n))

    looked = closed.scan(tf.constant(0, tf.int64), look)
    return looked.filter(lambda _, kept: kept).map(lambda element, _: element)


def _nothing(spec: tf.TensorSpec | tf.RaggedTensorSpec) -> tf.Tensor | tf.RaggedTensor:
    sides = [side or 0 for side in spec.shape]
    if isinstance(spec, tf.TensorSpec):
        return tf.zeros(sides, spec.dtype)
    flat = tf.zeros([0, *sides[spec.ragged_rank + 1 :]], spec.dtype)
    return tf.RaggedTensor.from_nested_row_splits(
        flat, [tf.zeros([1], spec.row_splits_dtype)] * spec.ragged_rank
    )


def _fetched(files: tf.data.Dataset, account: Account) -> tf.data.Dataset:
    """The same with `image`, the contents of `source`. The order stays."""
    remote = storage.at(account.root).ahead > 0
    each = ThreadPoolExecutor(_READERS).map if remote else map

    def contents_of(sources: np.ndarray) -> np.ndarray:
        return np.array([*each(account.read, map(bytes.decode, sources.tolist()))], object)

    @tf.autograph.experimental.do_not_convert
    def with_contents(block: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        read = tf.numpy_function(contents_of, [block["source"]], tf.string, stateful=False)
        return {**block, "image": tf.ensure_shape(read, [None])}

    blocks = files.batch(_READERS)
    if remote:
        return blocks.map(with_contents).prefetch(2).unbatch()
    return blocks.map(with_contents, num_parallel_calls=2, deterministic=True).unbatch()
