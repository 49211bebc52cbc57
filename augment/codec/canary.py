"""Whether this machine's codecs write and read what every other's do: tried, not assumed.

Small images, made by arithmetic, are encoded, and files that lie beside this one decoded; the digests
of what comes out are held to `canary.json`. That takes a few milliseconds. What Pillow alone reads is
not tried: its version stands for it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np

from augment.codec import jpeg, png


def outcomes() -> dict[str, str]:
    """For each encoder and decoder, under its name, 16 hexadecimal digits of SHA-256 over what it gives."""
    return {name: digest(made()) for name, made in _tried().items()}


def digest(given: bytes) -> str:
    return hashlib.sha256(given).hexdigest()[:16]


def differences() -> list[str]:
    """The names of the encoders and decoders whose outcome on this machine is not the golden one."""
    golden = _data()["outcomes"]
    return sorted(name for name, digest in outcomes().items() if golden.get(name) != digest)


def _data() -> Any:
    return json.loads((resources.files("augment.codec") / "canary.json").read_text())


def _image(channels: int) -> np.ndarray:
    """uint8 [37, 53, channels]: smooth in parts, by arithmetic that no library can change."""
    row, column, channel = np.ogrid[0:37, 0:53, 0:channels]
    levels = row * row * 3 + column * 7 * (channel + 1) + (row * column) // 5 + (column % 7) * 29
    return (levels % 256).astype(np.uint8)


def _tried() -> dict[str, Callable[[], bytes]]:
    color, gray = _image(3), _image(1)
    files = {name: b64decode(text) for name, text in _data()["files"].items()}

    def pixels(name: str, *, least: int | None = None) -> bytes:
        contents = files[name]
        if name == "png":
            return png.read(contents).tobytes()
        return jpeg.read(contents, jpeg.check(contents), least=least).tobytes()

    def stored(name: str) -> bytes:
        header = jpeg.check(files[name])
        found = np.empty((header.height, header.width, header.channels), np.uint8)
        jpeg.read_ours(files[name], found)
        return found.tobytes()

    return {
        "encode_png": lambda: png.encode(color),
        "encode_png_gray": lambda: png.encode(gray),
        "encode_jpeg": lambda: jpeg.encode(color, 95, "4:2:0"),
        "encode_jpeg_444": lambda: jpeg.encode(color, 70, "4:4:4"),
        "encode_jpeg_gray": lambda: jpeg.encode(gray, 70, "4:2:0"),
        "decode_png": lambda: pixels("png"),
        "decode_jpeg": lambda: pixels("jpeg"),
        "decode_jpeg_progressive": lambda: pixels("jpeg_progressive"),
        "decode_jpeg_half": lambda: pixels("jpeg", least=9),
        "decode_jpeg_8th": lambda: pixels("jpeg_444", least=3),
        "decode_stored_jpeg": lambda: stored("jpeg"),
        "decode_stored_jpeg_444": lambda: stored("jpeg_444"),
    }
