"""Which samples are derived again, where not all are: chosen by hash, spread evenly."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from augment.keys import fold_in, name_bits, source_key, source_words
from pipelines.audit.shards import ShardPlace
from pipelines.format.manifest import Manifest
from pipelines.format.stored import read_rows

Chosen = dict[ShardPlace, set[int]]
"""Numbers of records by shard."""


def choose(directory: str, manifest: Manifest, count: int) -> Chosen:
    """Up to `count` samples, the same on every call.

    Shards take turns, those of each split and copy alternately; of a shard, classes take
    turns, those that were chosen least first; of a class, the hash of fingerprint, source and
    copy decides. A samples file that cannot be read gives none.
    """
    used: Counter[str] = Counter()
    chosen: Chosen = {}
    for place, quota in _quotas(manifest, count).items():
        with contextlib.suppress(OSError, ValueError):  # which are a finding of their own
            rows = read_rows(directory, manifest, *place, ["source", "class"])
            chosen[place] = set(_spread(manifest, place, rows, quota, used))
    return chosen


def _quotas(manifest: Manifest, count: int) -> dict[ShardPlace, int]:
    """How many samples of each shard, in the order in which they take turns."""
    by_copy: dict[tuple[str, int], list[tuple[ShardPlace, int]]] = defaultdict(list)
    for split, copy, number, name in manifest.shards():
        by_copy[split, copy].append((ShardPlace(split, copy, number), manifest.files[name].records or 0))
    # The n-th copy of a split begins n shards further on, so that few samples meet many shards.
    turned = [
        shards[n % len(shards) :] + shards[: n % len(shards)] for n, shards in enumerate(by_copy.values())
    ]
    longest = max(map(len, turned), default=0)
    turns = [shards[i] for i in range(longest) for shards in turned if i < len(shards)]
    quotas = {place: 0 for place, _ in turns}
    left = min(count, sum(records for _, records in turns))
    while left:
        for place, records in turns:
            if left and quotas[place] < records:
                quotas[place] += 1
                left -= 1
    return {place: quota for place, quota in quotas.items() if quota}


def _spread(
    manifest: Manifest, place: ShardPlace, rows: pa.Table, quota: int, used: Counter[str]
) -> Iterator[int]:
    sources, classes = (rows.column(name).to_pylist() for name in ("source", "class"))
    words = source_words(sources)
    copy = np.full(len(words), place.copy, np.int32).view(np.uint32)
    key = source_key(name_bits(manifest.fingerprint), (words[:, 0], words[:, 1]))
    high, low = fold_in(key, (np.zeros_like(copy), copy))
    order = np.lexsort((low, high)).tolist()
    of_class: dict[str, list[int]] = defaultdict(list)
    for row in reversed(order):
        of_class[classes[row]].append(row)
    for _ in range(min(quota, len(order))):
        name = min((name for name, left in of_class.items() if left), key=lambda c: (used[c], c))
        used[name] += 1
        yield of_class[name].pop()
