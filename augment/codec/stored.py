"""What a record holds of a sample's pixels, and what it means to every reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from augment.codec import jpeg, png
from augment.codec.formats import JPEG
from augment.codec.rejection import DecodeError, Rejection

if TYPE_CHECKING:
    from augment.recipe import Storage


def encode(image: np.ndarray, storage: Storage) -> bytes:
    """uint8 [H, W, 1 or 3] to the bytes that a record holds."""
    return encode_each([image], storage)[0]


def encode_each(images: Sequence[np.ndarray], storage: Storage) -> list[bytes]:
    """The same of several images of one shape; of small ones as PNG it takes less time."""
    if storage.format == "jpeg":
        return [jpeg.encode(image, storage.quality, storage.chroma) for image in images]
    return png.encode_each(images) if storage.format == "png" else [image.tobytes() for image in images]


def decode_stored(contents: bytes, storage: Storage, shape: tuple[int, int, int]) -> np.ndarray:
    """What a record's bytes mean: uint8 of this shape (H, W, C), as tf.io.decode_image and TFDS read them.

    Raises DecodeError as `read_stored` does.
    """
    pixels = np.empty(shape, np.uint8)
    read_stored(contents, storage, pixels)
    return pixels


def read_stored(contents: bytes, storage: Storage, pixels: np.ndarray) -> None:
    """Fills `pixels`, uint8 [H, W, C] that lie in one piece, with what a record's bytes mean.

    A record may be anybody's: raises DecodeError for what is not of this format and shape by its
    header, before time is spent on what that says, or for more scans than a JPEG may have.
    """
    height, width, channels = pixels.shape
    if storage.format == "raw":
        if len(contents) != pixels.size:
            raise _other(storage, pixels.shape)
        pixels[:] = np.frombuffer(contents, np.uint8).reshape(pixels.shape)
    elif storage.format == "png":  # as every PNG of ours begins
        if not contents.startswith(png.header(width, height, channels)):
            raise _other(storage, pixels.shape)
        png.read_ours(contents, pixels)
    else:
        if not contents.startswith(JPEG):
            raise _other(storage, pixels.shape)
        header = jpeg.check(contents)
        if (header.width, header.height, header.channels) != (width, height, channels):
            raise _other(storage, pixels.shape)
        jpeg.read_ours(contents, pixels)


def _other(storage: Storage, shape: tuple[int, ...]) -> DecodeError:
    what = "raw pixels" if storage.format == "raw" else storage.format.upper()
    return DecodeError(Rejection("corrupt", f"a record without {what} of {shape[0]}x{shape[1]}"))


def round_trip(image: np.ndarray, storage: Storage) -> np.ndarray:
    """What becomes of uint8 [H, W, 1 or 3] by being stored and read: nothing, unless storage is lossy."""
    if storage.format != "jpeg":
        return image
    return decode_stored(encode(image, storage), storage, image.shape)
