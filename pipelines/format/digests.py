"""What samples and sources were, in digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from blake3 import blake3

from pipelines.sources import Reject


def pixels_digest(pixels: np.ndarray) -> str:
    """BLAKE3 of a sample's levels, uint8 [H, W, C], row by row: of 256 bits, in hexadecimal."""
    return blake3(np.ascontiguousarray(pixels).data).hexdigest()


def bytes_digest(data: bytes) -> str:
    """The same of some bytes."""
    return blake3(data).hexdigest()


class SourcesDigest:
    """What the sources of a group were: a digest that is the same in the receipts of all its copies."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, source: str, sha256: str) -> None:
        """The source of the next row."""
        self._digest.update(f"{sha256} {source}\n".encode())

    @staticmethod
    def of_columns(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """What each row of a samples table's columns was made of, for `add`."""
        if "annotation_sha256" not in columns:
            yield from columns["source_sha256"]
            return
        for image, annotation in zip(columns["source_sha256"], columns["annotation_sha256"], strict=True):
            yield f"{image} {annotation}"

    def hexdigest(self, rejects: Iterable[Reject]) -> str:
        """With those that have no row, in any order."""
        whole = self._digest.copy()
        for reject in sorted(rejects):
            whole.update(f"{reject.reason} {reject.source}\n".encode())
        return whole.hexdigest()
