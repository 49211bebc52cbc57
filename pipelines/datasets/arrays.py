"""Shards read by any library that takes NumPy's arrays: a sample by its number, or batch after batch.

Where each record lies is found out once, when the reader is made, and kept in memory: 24 bytes a record,
beside the ids and labels. Nothing is written, and no TensorFlow is imported.
"""

from __future__ import annotations

import collections
import importlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, overload

import numpy as np

from augment.augmenter import CORES
from augment.codec import DecodeError, read_stored
from augment.errors import RequestError
from augment.keys import source_words
from pipelines.datasets.selection import check_shuffle, chosen_copies, shuffled
from pipelines.format.example import unpack
from pipelines.format.manifest import read_manifest
from pipelines.format.stored import StoredCopy
from pipelines.format.targets import arrays

Sample = dict[str, Any]
"""`image` uint8 [H, W, C], `label` int64, `source` str, `copy` int64; of a batch, arrays of these.

Where a dataset has targets, they are as `pipelines.format.targets.arrays` has them; those of a batch are a
list for each of `objects` and `labels`, and one array of masks. Where images have no label there is none.
"""


def numpy(
    directory: str,
    *,
    split: str = "train",
    copies: Sequence[int] | None = None,
    shuffle: int | None = None,
    epoch: int = 0,
) -> Samples:
    """The samples of a split, copy after copy, as `from_shards` yields them, and without TensorFlow.

    Args:
        directory: a finished dataset.
        split: as the manifest names it, without the copy.
        copies: which, in which order; all by default, but for the originals (-1) of a split
            that is augmented.
        shuffle: a seed, by which each copy is in an order of its own, that of `augshard train`; None for
            the order of live training.
        epoch: how often all of this has been read before, which decides the order if it is shuffled: of n
            copies, the k-th is ordered as epoch `n * epoch + k`.

    Raises RequestError if the directory is no finished dataset, lacks the split, a copy or a file, or its
    manifest or its shards are not to be believed.
    """
    return Samples(directory, split, copies, shuffle, epoch)


class Samples(Sequence[Sample]):
    """A sequence of samples, each of which can be read at any time; see `numpy`.

    To read one raises OSError if its record is damaged, or is none of the dataset's.
    """

    def __init__(
        self, directory: str, split: str, copies: Sequence[int] | None, shuffle: int | None, epoch: int
    ) -> None:
        check_shuffle(shuffle, epoch)
        self.manifest = read_manifest(directory)
        chosen = chosen_copies(directory, self.manifest, split, copies)
        opened = {copy: StoredCopy(directory, self.manifest, split, copy) for copy in dict.fromkeys(chosen)}
        self._copies = [opened[copy] for copy in chosen]
        self._starts = np.cumsum([0, *map(len, self._copies)])
        self._shuffle = shuffle
        self._storage, self._shape = self.manifest.request.storage, self.manifest.image_shape
        self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Has samples come in the order of another epoch; see `numpy`. Nothing changes without `shuffle`."""
        check_shuffle(self._shuffle, epoch)
        self.epoch, self._rows = epoch, np.arange(len(self))
        if self._shuffle is not None:
            first = epoch * len(self._copies)
            orders = [
                shuffled(source_words(copy.sources), self._shuffle, first + i)
                for i, copy in enumerate(self._copies)
            ]
            self._rows = np.concatenate(orders) + np.repeat(self._starts[:-1], list(map(len, orders)))

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, by label."""
        return self.manifest.classes

    @property
    def labels(self) -> np.ndarray:
        """int64 [n]: of every sample, in order, without reading any."""
        return np.concatenate([copy.labels for copy in self._copies])[self._rows]

    @property
    def sources(self) -> np.ndarray:
        """object [n]: the ids of the images that samples were made of, in order."""
        return np.array([source for copy in self._copies for source in copy.sources], object)[self._rows]

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _repr_html_(self) -> str:
        shown: str = importlib.import_module("pipelines.datasets.notebook").shown(
            self
        )  # for who looks, alone
        return shown

    @overload
    def __getitem__(self, number: int) -> Sample: ...
    @overload
    def __getitem__(self, number: slice) -> list[Sample]: ...
    def __getitem__(self, number: int | slice) -> Sample | list[Sample]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        at = operator.index(number)
        at += len(self) if at < 0 else 0
        if not 0 <= at < len(self):
            raise IndexError(f"there is no sample {number}; there are {len(self):,}")
        ((stored, position),) = self._places(np.array([at]))
        image = np.empty(self._shape, np.uint8)
        targets = self._read(stored, position, image)
        return {
            "image": image,
            **({"label": stored.labels[position]} if self.manifest.labeled else {}),
            "source": stored.sources[position],
            "copy": np.int64(stored.copy),
            **targets,
        }

    def batch(self, numbers: Sequence[int] | np.ndarray, images: np.ndarray | None = None) -> Sample:
        """Those samples as one: `image` uint8 [n, H, W, C], `label` and `copy` int64 [n], `source` [n].

        With `images`, of that type and shape and in one piece, these are filled, and no memory is taken.
        """
        if images is None:
            images = np.empty((len(numbers), *self._shape), np.uint8)
        places = list(self._places(np.asarray(numbers, np.int64)))
        read = [self._read(stored, at, image) for (stored, at), image in zip(places, images, strict=True)]
        batch: Sample = {"image": images}
        if self.manifest.labeled:
            batch["label"] = np.array([stored.labels[at] for stored, at in places], np.int64)
        batch["source"] = np.array([stored.sources[at] for stored, at in places], object)
        batch["copy"] = np.array([stored.copy for stored, _ in places], np.int64)
        for name in read[0] if read else ():
            values = [targets[name] for targets in read]
            batch[name] = np.stack(values) if name == "segmentation_mask" else values
        return batch

    def batches(
        self,
        size: int,
        *,
        drop_last: bool = False,
        rank: int = 0,
        ranks: int = 1,
        threads: int | None = None,
    ) -> Iterator[Sample]:
        """All samples in order, in batches as `batch` has them; those that come next are under way.

        Args:
            size: samples in a batch; the last one may have fewer.
            drop_last: whether that one is left out; then all ranks have equally many batches.
            rank, ranks: of several processes, which get every `ranks`-th sample: each sample goes to one.
            threads: that decode; the number of cores by default, and none but this one for 0.
        """
        shares = shares_of(len(self), size, drop_last=drop_last, rank=rank, ranks=ranks)
        if threads == 0:
            return map(self.batch, shares)
        return self._ahead(shares, CORES if threads is None else threads)

    def _ahead(self, shares: Iterable[np.ndarray], threads: int) -> Iterator[Sample]:
        with ThreadPoolExecutor(threads) as pool:
            coming: collections.deque[Future[Sample]] = collections.deque()
            try:
                for share in shares:
                    coming.append(pool.submit(self.batch, share))
                    if len(coming) > threads:
                        yield coming.popleft().result()
                while coming:
                    yield coming.popleft().result()
            finally:  # whoever takes no more is not kept waiting
                for batch in coming:
                    batch.cancel()

    def records(self, numbers: np.ndarray) -> np.ndarray:
        """The records of those samples as they are stored, as an array of bytes."""
        found = np.empty(len(numbers), object)
        for i, (stored, at) in enumerate(self._places(numbers)):
            found[i] = stored.record(at)
        return found

    def _read(self, stored: StoredCopy, at: int, image: np.ndarray) -> dict[str, Any]:
        """Fills the image of the record at a place, which is known to be that of its source; its targets."""
        targets, labeled = self.manifest.targets, self.manifest.labeled
        record = unpack(stored.record(at))
        expected = (stored.sources[at], int(stored.labels[at]) if labeled else None, stored.copy)
        if record is None or (record.source, record.label, record.copy) != expected:
            raise OSError(
                f"{stored.directory}: the record of {expected[0]} in copy {stored.copy} of split "
                f"{stored.split} is another one; augshard audit {stored.directory} says more"
            )
        try:
            read_stored(record.image, self._storage, image)
            return arrays(record.targets, targets, self._shape) if targets else {}
        except (DecodeError, ValueError) as error:
            raise OSError(f"{stored.directory}: {record.source}: {error}") from None

    def _places(self, numbers: np.ndarray) -> Iterator[tuple[StoredCopy, int]]:
        """The copy of each, and its position in that."""
        rows = self._rows[numbers]
        copies = np.searchsorted(self._starts, rows, "right") - 1
        for number, at in zip(copies.tolist(), (rows - self._starts[copies]).tolist(), strict=True):
            yield self._copies[number], at


def shares_of(
    samples: int, size: int, *, drop_last: bool = False, rank: int = 0, ranks: int = 1
) -> list[np.ndarray]:
    """The numbers, int64 [n], of the samples of each batch that a rank gets. Raises RequestError."""
    if size < 1:
        raise RequestError(f"size is {size}; a batch has at least one sample")
    if not 0 <= rank < ranks:
        raise RequestError(f"rank is {rank} of {ranks} ranks; they are counted from 0")
    mine = np.arange(rank, samples, ranks, dtype=np.int64)
    if drop_last:
        mine = mine[: samples // (size * ranks) * size]
    return [mine[first : first + size] for first in range(0, len(mine), size)]
