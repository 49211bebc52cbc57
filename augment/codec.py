"""Bytes to uint8 RGB and back: the one decode used everywhere.

The rules, the same in a worker, in live training and for one image:

JPEG    accurate integer DCT and smooth chroma upsampling; gray becomes three
        equal channels, CMYK is multiplied by its black.
PNG     16 bits become 8 by `>> 8`; palettes are looked up; alpha is dropped, the
        color under it kept.
GIF, BMP, WebP, TIFF  read by Pillow, the first frame of several; 16 bits become 8
        by `>> 8`; alpha is dropped; CMYK and YCbCr as Pillow converts them.
All     EXIF orientation is applied. What an image is, its content decides, not
        its extension.

JPEG and PNG are decoded in the TensorFlow graph. What TensorFlow does not read
leaves it by a stateless `numpy_function`: a stateful op anywhere in a graph,
even in a branch that is not taken, would make every ordered map serial.

What cannot be decoded fails in the graph; `examine` then says why, in words of
our own (Pillow's contain addresses).
"""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from augment.arrays import tf
from augment.recipe import Storage

MAX_PIXELS = 89_478_485
"""The largest image that is decoded: 256 MiB of RGB, Pillow's own warning bound."""

EXTENSIONS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"))
"""What makes a file an image's, whatever its case."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_PILLOW_FORMATS = ("GIF", "BMP", "WEBP", "TIFF")
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


@dataclasses.dataclass(frozen=True)
class Rejection:
    """Why a source cannot be used."""

    reason: str
    """one word of a fixed vocabulary"""
    detail: str


class DecodeError(ValueError):
    """Raised for bytes that are not a usable image; carries the rejection."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"{rejection.reason}: {rejection.detail}")
        self.rejection = rejection


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Decodes an image file's bytes (a string scalar) to uint8 [H, W, 3], in or out of a graph.

    Raises a TensorFlow error for what cannot be decoded; `examine` says why.
    """
    image = tf.cond(
        tf.strings.substr(contents, 0, 3) == _JPEG,
        lambda: _decode_jpeg(contents),
        lambda: tf.cond(
            tf.strings.substr(contents, 0, 8) == _PNG,
            lambda: _decode_png(contents),
            lambda: _by_pillow(contents),
        ),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _decode_jpeg(contents: tf.Tensor) -> tf.Tensor:
    image = tf.cond(
        _within_bound(tf.io.extract_jpeg_shape(contents)[:2]),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True),
        lambda: _by_pillow(contents),  # which refuses it
    )
    # Most files begin with the tables, perhaps after a JFIF header of 18 bytes. Only
    # where something else comes first can there be EXIF.
    tables = b"\xff\xdb"
    bare = (tf.strings.substr(contents, 2, 2) == tables) | (
        (tf.strings.substr(contents, 2, 4) == b"\xff\xe0\x00\x10")
        & (tf.strings.substr(contents, 20, 2) == tables)
    )
    return tf.cond(bare, lambda: image, lambda: _upright(image, contents))


def _decode_png(contents: tf.Tensor) -> tf.Tensor:
    size = tf.reshape(tf.io.decode_raw(tf.strings.substr(contents, 16, 8), tf.uint8), [2, 4])
    places = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    image = tf.cond(
        _within_bound(tf.reduce_sum(tf.cast(size, tf.int64) * places, axis=1)),
        lambda: tf.io.decode_png(contents, channels=3, dtype=tf.uint8),
        lambda: _by_pillow(contents),  # which refuses it
    )
    bare = tf.strings.substr(contents, 37, 4) == b"IDAT"
    return tf.cond(bare, lambda: image, lambda: _upright(image, contents))


def _within_bound(size: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.cast(size, tf.int64)) <= MAX_PIXELS


def _upright(image: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    """Applies the EXIF orientation, 1 to 8, that comes before the pixels of JPEG or PNG bytes."""
    orientation = tf.numpy_function(_orientation, [contents], tf.int32, stateful=False)
    orientation = tf.ensure_shape(orientation, [])

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == tf.constant(values))

    image = tf.cond(one_of(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(one_of(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(one_of(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)


def _orientation(contents: bytes) -> np.int32:
    try:
        with Image.open(io.BytesIO(contents)) as file:
            exif = Image.Exif()
            exif.load(file.info.get("exif", b""))
            value = exif.get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (Pillow raises nearly anything on bad metadata; the pixels count)
        value = 1
    return np.int32(value if value in range(1, 9) else 1)


def _by_pillow(contents: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(_pillow_rgb, [contents], tf.uint8, stateful=False)


def _pillow_rgb(contents: bytes) -> np.ndarray:
    """uint8 [H, W, 3] of a format that TensorFlow does not read. Raises DecodeError."""
    if not contents:
        raise DecodeError(Rejection("empty", "the file has no bytes"))
    try:
        file = Image.open(io.BytesIO(contents))
    except UnidentifiedImageError:
        raise DecodeError(_unidentified(contents)) from None
    except Image.DecompressionBombError:
        raise DecodeError(Rejection("too_large", f"more than twice {MAX_PIXELS} pixels")) from None
    except Exception:  # noqa: BLE001 (Pillow raises nearly anything on bad input)
        raise DecodeError(Rejection("corrupt", "its header cannot be read")) from None
    with file:
        width, height = file.size
        if width * height > MAX_PIXELS:
            raise DecodeError(
                Rejection("too_large", f"{width}x{height} pixels; at most {MAX_PIXELS} in all are decoded")
            )
        if file.format not in _PILLOW_FORMATS:
            raise DecodeError(Rejection("unsupported", f"{file.format} files are not read"))
        try:
            file.load()
            image = ImageOps.exif_transpose(file)
        except Exception as error:  # noqa: BLE001 (likewise)
            raise DecodeError(_undecodable(file.format, contents, error)) from None
        if image.mode in _SIXTEEN_BITS:
            gray = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
            return np.repeat(gray[..., np.newaxis], 3, axis=-1)
        if image.mode not in _MODES:
            raise DecodeError(Rejection("unsupported", f"pixels of mode {image.mode} have no rule"))
        return np.asarray(image.convert("RGB"))


_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b"\x3b"}


def _undecodable(form: str, contents: bytes, error: Exception | None) -> Rejection:
    end = _ENDS.get(form)
    cut = end not in contents[-64:] if end else "trunc" in str(error) or "broken" in str(error)
    if form == "WEBP":
        cut = len(contents) < 8 + struct.unpack_from("<I", contents, 4)[0]
    if cut:
        return Rejection("truncated", f"{form} ends after {len(contents)} bytes, before its pixels do")
    return Rejection("corrupt", f"{form} data cannot be decoded")


def _unidentified(contents: bytes) -> Rejection:
    return Rejection("not_an_image", f"its first bytes are {contents[:8].hex(' ')}")


def examine(contents: bytes) -> Rejection | None:
    """Why `decode` fails on these bytes, or None if it does not."""
    try:
        decode(tf.constant(contents))
        return None
    except tf.errors.OpError:
        pass
    if contents.startswith(_JPEG) or contents.startswith(_PNG):
        form = "JPEG" if contents.startswith(_JPEG) else "PNG"
        try:
            with Image.open(io.BytesIO(contents)) as file:
                width, height = file.size
        except Exception:  # noqa: BLE001 (Pillow raises nearly anything on bad input)
            return _undecodable(form, contents, None)
        if width * height > MAX_PIXELS:
            return Rejection("too_large", f"{width}x{height} pixels; at most {MAX_PIXELS} in all are decoded")
        return _undecodable(form, contents, None)
    try:
        _pillow_rgb(contents)
    except DecodeError as error:
        return error.rejection
    return Rejection("corrupt", "it cannot be decoded")


def encode(image: tf.Tensor, storage: Storage) -> tf.Tensor:
    """uint8 [H, W, 3] to the bytes that a record holds (a string scalar)."""
    if storage.format == "jpeg":
        return tf.io.encode_jpeg(
            image, format="rgb", quality=storage.quality, chroma_downsampling=storage.chroma == "4:2:0"
        )
    encoder = encode_png if storage.format == "png" else np.ndarray.tobytes
    return tf.ensure_shape(tf.numpy_function(encoder, [image], tf.string, stateful=False), [])


def decode_stored(contents: tf.Tensor, storage: Storage, size: tuple[int, int]) -> tf.Tensor:
    """What a record's bytes mean: uint8 [H, W, 3], as tf.io.decode_image and TFDS read them."""
    if storage.format == "jpeg":
        image = tf.io.decode_jpeg(contents, channels=3)
    elif storage.format == "png":
        image = tf.io.decode_png(contents, channels=3)
    else:
        image = tf.reshape(tf.io.decode_raw(contents, tf.uint8), [*size, 3])
    return tf.ensure_shape(image, [*size, 3])


def round_trip(image: tf.Tensor, storage: Storage) -> tf.Tensor:
    """What becomes of uint8 [H, W, 3] by being stored and read: nothing, unless storage is lossy."""
    if storage.format != "jpeg":
        return image
    height, width, _ = image.shape
    return decode_stored(encode(image, storage), storage, (height, width))


def encode_png(image: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as PNG.

    Every row takes the "average" filter of the PNG specification (section 9.4), and
    deflate only looks for runs: half the time of libpng at its fastest level, for
    photos of the same size.
    """
    height, width, _ = image.shape
    levels = image.reshape(height, 3 * width)
    framed = np.zeros((height + 1, 3 * width + 3), np.uint8)
    framed[1:, 3:] = levels
    left, above = framed[1:, :-3], framed[:-1, 3:]
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = 3
    np.subtract(levels, (left & above) + ((left ^ above) >> 1), out=rows[:, 1:])
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    data = deflate.compress(rows) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
