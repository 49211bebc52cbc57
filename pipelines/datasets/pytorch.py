"""Shards read by PyTorch: by the number of a sample, or batch after batch. No TensorFlow is imported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augment.errors import RequestError
from pipelines.datasets.arrays import Sample, Samples, shares_of

try:
    import torch as pytorch
    from torch.utils import data
except ModuleNotFoundError as missing:
    raise RequestError(
        "datasets.torch: PyTorch is not installed; it comes with the extra torch, or by the command that "
        "https://pytorch.org gives for this machine (datasets.numpy does without)"
    ) from missing

if TYPE_CHECKING:
    from pipelines.datasets.handing import Lender


def torch(
    directory: str,
    *,
    split: str = "train",
    copies: Sequence[int] | None = None,
    shuffle: int | None = None,
    epoch: int = 0,
) -> TorchSamples:
    """The samples of `datasets.numpy` as a map-style dataset, for a DataLoader; its arguments are the same.

    A sample is a dictionary of `image`, a uint8 tensor [H, W, C], `label` int, `source` str and `copy` int,
    and of what the dataset has beside images, as tensors. Its order is the dataset's, so a DataLoader is
    asked neither to shuffle nor to draw. See `batches` for what is faster.
    """
    return TorchSamples(Samples(directory, split, copies, shuffle, epoch))


class TorchSamples(data.Dataset[Sample]):
    """A map-style dataset; see `torch`."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        # In memory that workers share: those that outlive an epoch are to hear of the next one.
        self._epoch = pytorch.tensor(samples.epoch, dtype=pytorch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Has samples come in the order of another epoch, from the next pass of a DataLoader on."""
        self.samples.set_epoch(epoch)
        self._epoch.fill_(epoch)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, by label."""
        return self.samples.classes

    @property
    def labels(self) -> pytorch.Tensor:
        """int64 [n]: of every sample, in order, without reading any."""
        return pytorch.from_numpy(self.current().labels)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Sample:
        sample = self.current()[number]
        numbers = {name: int(sample[name]) for name in ("label", "copy") if name in sample}
        return _tensors(sample) | numbers

    def batches(
        self, size: int, *, drop_last: bool = False, rank: int | None = None, ranks: int | None = None
    ) -> Batches:
        """The same as an iterable dataset of whole batches, for `DataLoader(..., batch_size=None)`.

        Batches are the same, and in the same order, whatever the number of workers: each worker makes every
        n-th. `rank` and `ranks` are those of torch.distributed, where that runs, and every `ranks`-th sample
        is a rank's own; with `drop_last` all have equally many batches.
        """
        if rank is None or ranks is None:
            there = pytorch.distributed.is_available() and pytorch.distributed.is_initialized()
            rank = pytorch.distributed.get_rank() if there else 0
            ranks = pytorch.distributed.get_world_size() if there else 1
        return Batches(self, size, drop_last, rank, ranks)

    def current(self) -> Samples:
        """The samples in the order of the epoch that was set last, in whichever process."""
        epoch = int(self._epoch)
        if epoch != self.samples.epoch:
            self.samples.set_epoch(epoch)
        return self.samples


class Batches(data.IterableDataset[Sample]):
    """An iterable dataset of batches: `image` uint8 [n, H, W, C], `label` and `copy` int64 [n], `source`."""

    def __init__(self, samples: TorchSamples, size: int, drop_last: bool, rank: int, ranks: int) -> None:
        self._samples = samples
        self._share: dict[str, Any] = {"size": size, "drop_last": drop_last, "rank": rank, "ranks": ranks}
        self._count = len(shares_of(len(samples), **self._share))
        self._lender: Lender | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        samples, worker = self._samples.current(), data.get_worker_info()
        if worker is None:
            for batch in samples.batches(**self._share):
                yield _tensors(batch)
            return
        from pipelines.datasets.handing import Lender, small

        shape = samples.manifest.image_shape
        self._lender = self._lender or Lender(self._share["size"] * math.prod(shape))
        for share in shares_of(len(samples), **self._share)[worker.id :: worker.num_workers]:
            images = self._lender.take((len(share), *shape))
            yield {**_tensors(samples.batch(share, images.numpy()), small), "image": images}


def _tensors(values: Any, tensor: Callable[[np.ndarray], pytorch.Tensor] = pytorch.from_numpy) -> Any:
    """Text, of which there are no tensors, becomes a list or stays; what lists hold becomes tensors."""
    if isinstance(values, dict):
        return {name: _tensors(inside, tensor) for name, inside in values.items()}
    if isinstance(values, list):
        return [_tensors(inside, tensor) for inside in values]
    if not isinstance(values, np.ndarray):
        return values
    return values.tolist() if values.dtype == object else tensor(values)
