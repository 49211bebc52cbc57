"""Pictures of records, by their place, encoded when they are asked for."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import threading
from typing import NamedTuple

import numpy as np

from augment.by_class import ByClass
from pipelines import storage
from pipelines.audit.decoding import Decoder
from pipelines.format.example import unpack
from pipelines.format.inside import path_in
from pipelines.format.layout import Shard, shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.records import frames_of, masked_crc
from pipelines.report.drawing import Overlay
from pipelines.report.thumbnail import as_image

TILE, LARGE = 320, 960
"""Pixels of the longer side of a picture among others, and of one by itself, at most."""
_DRAWN_OVER = 512
"""The same of one with lines and names over it, which are as large as they are whatever it is."""
_SMALL = 128
"""A picture of no more pixels on a side is encoded without loss, for it is shown enlarged."""
_SHARDS = 64
"""Of which it is kept where records lie: 16 bytes a record."""


class Encoded(NamedTuple):
    """A picture as it is sent."""

    webp: bytes
    height: int
    width: int


class Pictures:
    """Reads records of a dataset. Used by several threads at once."""

    def __init__(self, directory: str, manifest: Manifest) -> None:
        self._directory, self._manifest = directory, manifest
        request = manifest.request
        self._decoder = Decoder(ByClass(request.parsed_recipe(), request.seed))
        self._frames = functools.lru_cache(_SHARDS)(self._frames_of)
        self._finding = threading.Lock()

    def picture(self, shard: Shard, record: int, side: int) -> Encoded | None:
        """A record's image with its targets over it; None if it is not there, or cannot be read."""
        data = None
        with contextlib.suppress(OSError, ValueError):
            data = self._record(shard, record)
        found = None if data is None else unpack(data)
        pixels = None if found is None else self._decoder.stored(found.image)
        if found is None or pixels is None:
            return None
        overlay, targets = None, self._manifest.targets
        if targets and pixels.shape == self._manifest.image_shape:
            overlay = Overlay.of_record(found.targets, targets, pixels.shape)
        return encoded(pixels, overlay, side)

    def _record(self, shard: Shard, record: int) -> bytes | None:
        """Raises OSError, or ValueError as FramingError is one, if the file is not there or damaged."""
        with self._finding:  # a page asks for sixty of one shard at once
            starts, lengths = self._frames(shard)
        if not 0 <= record < len(starts):
            return None
        start, length = int(starts[record]), int(lengths[record])
        with storage.at(self._path(shard)).open(buffering=0) as file:
            data = os.pread(file.fileno(), length + 4, start)
        return data[:length] if masked_crc(data[:length]) == data[length:] else None

    def _frames_of(self, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        with storage.at(self._path(shard)).open(buffering=0) as file:
            return frames_of(file, self._manifest.image_size)

    def _path(self, shard: Shard) -> str:
        return path_in(self._directory, shard_file(self._manifest.request.name, *shard))


def encoded(pixels: np.ndarray, overlay: Overlay | None, side: int) -> Encoded:
    """In WebP: uint8 [H, W, 1 or 3], whose longer side becomes at most `side`.

    It is enlarged only for what is drawn over it, else by who shows it.
    """
    longest = max(pixels.shape[:2])
    small = longest <= _SMALL
    side = min(side, _DRAWN_OVER) if overlay else side
    scale = float(side // longest) if longest <= side else 1 / -(-longest // side)
    if overlay:
        image = as_image(overlay.drawn(pixels, scale))
    elif scale < 1:
        image = as_image(pixels).reduce(round(1 / scale))
    else:
        image = as_image(pixels)
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", method=1, quality=90, lossless=small)
    return Encoded(file.getvalue(), image.height, image.width)


def is_enlarged(height: int, width: int) -> bool:
    """Whether a picture is shown larger than it is, so pixel by pixel."""
    return max(height, width) <= _SMALL
