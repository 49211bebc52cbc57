"""Bytes to uint8 RGB and back: the one decode used everywhere.

The rules, the same in a worker, in live training and for one image; docs/images.md
has them format by format:

JPEG    accurate integer DCT and smooth chroma upsampling; gray becomes three
        equal channels, CMYK is multiplied by its black.
PNG     16 bits become 8 by `>> 8`; palettes are looked up; alpha is dropped, the
        color under it kept.
GIF, BMP, WebP, TIFF, AVIF, JPEG 2000, and HEIF by the extra heic  read by Pillow, the
        first frame of several; 16 bits become 8 by `>> 8`; alpha is dropped; CMYK and
        YCbCr as Pillow converts them.
PBM, PGM, PPM  scaled to 8 bits; see `netpbm`.
All     EXIF orientation is applied. What an image is, its content decides, not
        its extension.

JPEG and PNG are decoded in the TensorFlow graph. What TensorFlow does not read
leaves it by a stateless `numpy_function`: a stateful op anywhere in a graph,
even in a branch that is not taken, would make every ordered map serial.

What cannot be decoded fails in the graph; `examine` then says why.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from augment import imagefile
from augment.arrays import tf
from augment.formats import HARMLESS, JPEG, MAX_PIXELS, PNG, DecodeError, Rejection
from augment.mending import END, mended_png
from augment.recipe import Storage
from augment.refusal import check_scans

__all__ = [
    "ENCODERS",
    "EXTENSIONS",
    "MAX_PIXELS",
    "DecodeError",
    "Rejection",
    "decode",
    "decode_stored",
    "decoder",
    "encode",
    "encode_png",
    "examine",
    "round_trip",
]

_EXTENSIONS = (
    "jpg jpeg jpe jfif mpo png apng gif bmp dib webp tif tiff avif avifs heic heif hif "
    "jp2 j2k jpf jpx jpc j2c ppm pgm pbm pnm"
)
EXTENSIONS = frozenset(f".{name}" for name in _EXTENSIONS.split())
"""What makes a file an image's, whatever its case."""


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Decodes an image file's bytes (a string scalar) to uint8 [H, W, 3], in or out of a graph.

    Raises tf.errors.InvalidArgumentError for what cannot be decoded; `examine` says why.
    """
    image = tf.cond(
        _bytes(contents, 0, len(JPEG)) == JPEG,
        lambda: _decode_jpeg(contents),
        lambda: tf.cond(
            _bytes(contents, 0, len(PNG)) == PNG,
            lambda: _decode_png(contents),
            lambda: _upright(_in_python(_read, contents, tf.uint8), contents),
        ),
    )
    return tf.ensure_shape(image, [None, None, 3])


def decoder(contents: bytes) -> Callable[[tf.Tensor], tf.Tensor]:
    """As much of `decode` as these bytes need, with the same pixels.

    Most files need one op. Whoever holds the bytes saves the graph from finding
    that out, which takes a third of the time of decoding a small photo.
    """
    return _ORDINARY.get(imagefile.ordinary(contents) or "", decode)


def examine(contents: bytes) -> Rejection | None:
    """Why `decode` fails on these bytes, or None if it does not."""
    with tf.device("CPU"):
        try:
            decode(tf.constant(contents))
        except tf.errors.InvalidArgumentError:  # and nothing else: a full memory says nothing of the file
            return imagefile.explain(contents)
    return None


def _decode_jpeg(contents: tf.Tensor) -> tf.Tensor:
    pixels = _product(tf.io.extract_jpeg_shape(contents)[:2])
    within = pixels <= MAX_PIXELS
    harmless = pixels * tf.cast(tf.strings.length(contents), tf.int64) <= HARMLESS

    def decoded_if_soon() -> tf.Tensor:
        soon = tf.ensure_shape(_in_python(check_scans, contents, tf.bool), [])
        return tf.cond(within & soon, lambda: _ordinary_jpeg(contents), _nothing)

    image = tf.cond(within & harmless, lambda: _ordinary_jpeg(contents), decoded_if_soon)
    # Most files begin with the tables, perhaps after a JFIF header of 18 bytes. Only
    # where something else comes first can there be EXIF.
    tables = b"\xff\xdb"
    bare = (_bytes(contents, 2, 2) == tables) | (
        (_bytes(contents, 2, 4) == b"\xff\xe0\x00\x10") & (_bytes(contents, 20, 2) == tables)
    )
    return tf.cond(bare, lambda: image, lambda: _upright(image, contents))


def _decode_png(contents: tf.Tensor) -> tf.Tensor:
    # libpng would skip an unknown chunk before the header, whose size is then elsewhere.
    headed = _bytes(contents, 8, 8) == b"\x00\x00\x00\x0dIHDR"
    size = tf.reshape(tf.io.decode_raw(_bytes(contents, 16, 8), tf.uint8), [2, 4])
    places = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    pixels = _product(tf.reduce_sum(tf.cast(size, tf.int64) * places, axis=1))
    ended = _bytes(contents, tf.strings.length(contents) - len(END), len(END)) == END

    def with_an_end() -> tf.Tensor:
        return tf.ensure_shape(_in_python(mended_png, contents, tf.string), [])

    image = tf.cond(
        headed & (pixels >= 0) & (pixels <= MAX_PIXELS),  # a product past 2**63 is negative
        lambda: _ordinary_png(tf.cond(ended, lambda: contents, with_an_end)),
        _nothing,
    )
    bare = _bytes(contents, 37, 4) == b"IDAT"
    return tf.cond(bare, lambda: image, lambda: _upright(image, contents))


def _ordinary_jpeg(contents: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)
    return tf.ensure_shape(image, [None, None, 3])


def _ordinary_png(contents: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_png(contents, channels=3, dtype=tf.uint8)
    return tf.ensure_shape(image, [None, None, 3])


_ORDINARY = {"JPEG": _ordinary_jpeg, "PNG": _ordinary_png}


def _nothing() -> tf.Tensor:
    """What stands for an image that is refused: it fails as soon as a shape is asked of it."""
    return tf.zeros([0], tf.uint8)


def _read(contents: bytes) -> np.ndarray:
    try:
        return imagefile.read(contents)
    except DecodeError:  # raised here it would leave a screenful on stderr for every file
        return np.zeros([0], np.uint8)


def _bytes(contents: tf.Tensor, start: int, count: int) -> tf.Tensor:
    """Bytes of a file, fewer where it ends. (`substr` alone would fail, quoting all of the file.)"""
    return tf.strings.substr(contents, tf.minimum(start, tf.strings.length(contents)), count)


def _product(size: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.cast(size, tf.int64))


def _upright(image: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
    """Applies the EXIF orientation, 1 to 8."""
    image = tf.ensure_shape(image, [None, None, 3])
    orientation = tf.ensure_shape(_in_python(imagefile.orientation, contents, tf.int32), [])

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == tf.constant(values))

    def turned() -> tf.Tensor:
        turning = tf.cond(one_of(5, 6, 7, 8), lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        turning = tf.cond(one_of(2, 3, 6, 7), lambda: tf.reverse(turning, [1]), lambda: turning)
        return tf.cond(one_of(3, 4, 7, 8), lambda: tf.reverse(turning, [0]), lambda: turning)

    return tf.cond(orientation == 1, lambda: image, turned)  # as most are, and each branch costs


def _in_python(function: Callable[[bytes], Any], contents: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    def call(value: bytes | np.ndarray) -> Any:  # out of a graph TensorFlow gives an array of one object
        return function(value if isinstance(value, bytes) else value.item())

    return tf.numpy_function(call, [contents], dtype, stateful=False)


def encode(image: tf.Tensor, storage: Storage) -> tf.Tensor:
    """uint8 [H, W, 3] to the bytes that a record holds (a string scalar)."""
    if storage.format == "jpeg":
        return tf.io.encode_jpeg(
            image, format="rgb", quality=storage.quality, chroma_downsampling=storage.chroma == "4:2:0"
        )
    return tf.ensure_shape(
        tf.numpy_function(ENCODERS[storage.format], [image], tf.string, stateful=False), []
    )


def decode_stored(contents: tf.Tensor, storage: Storage, size: tuple[int, int]) -> tf.Tensor:
    """What a record's bytes mean: uint8 [H, W, 3], as tf.io.decode_image and TFDS read them.

    A record may be anybody's: fails with tf.errors.InvalidArgumentError for what is not of this format and
    size by its header, before memory is spent on what that says, or for more scans than a JPEG may have.
    """
    height, width = size
    if storage.format == "raw":
        return _stored(contents, storage, size)
    if storage.format == "png":  # as every PNG of ours begins: eight bits of RGB
        header = PNG + struct.pack(">I4sIIBB", 13, b"IHDR", width, height, 8, 2)
        right = _bytes(contents, 0, len(header)) == header
    else:
        right = _bytes(contents, 0, len(JPEG)) == JPEG
        right &= tf.cond(right, lambda: _of_size(contents, size), lambda: False)
    return tf.ensure_shape(
        tf.cond(right, lambda: _stored(contents, storage, size), _nothing_stored), [*size, 3]
    )


def _of_size(jpeg: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Whether a JPEG is of a size, and decoded soon."""
    pixels = size[0] * size[1]
    harmless = pixels * tf.cast(tf.strings.length(jpeg), tf.int64) <= HARMLESS
    return tf.reduce_all(tf.io.extract_jpeg_shape(jpeg)[:2] == size) & tf.cond(
        harmless, lambda: True, lambda: tf.ensure_shape(_in_python(imagefile.check_scans, jpeg, tf.bool), [])
    )


def _stored(contents: tf.Tensor, storage: Storage, size: tuple[int, int]) -> tf.Tensor:
    if storage.format == "jpeg":
        image = tf.io.decode_jpeg(contents, channels=3)
    elif storage.format == "png":
        image = tf.io.decode_png(contents, channels=3)
    else:
        image = tf.reshape(tf.io.decode_raw(contents, tf.uint8), [*size, 3])
    return tf.ensure_shape(image, [*size, 3])


def _nothing_stored() -> tf.Tensor:
    return tf.zeros([0, 0, 3], tf.uint8)


def round_trip(image: tf.Tensor, storage: Storage) -> tf.Tensor:
    """What becomes of uint8 [H, W, 3] by being stored and read: nothing, unless storage is lossy."""
    if storage.format != "jpeg":
        return image
    height, width, _ = image.shape
    return _stored(encode(image, storage), storage, (height, width))


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
    data = deflate.compress(rows.data) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


ENCODERS: dict[str, Callable[[np.ndarray], bytes]] = {"png": encode_png, "raw": np.ndarray.tobytes}
"""The encoders that are not TensorFlow's, by storage format."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
