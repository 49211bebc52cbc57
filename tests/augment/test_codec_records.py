"""What a record holds of a sample, what it means to other readers, and the canary of it all."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from augment import codec
from augment.codec import canary, jpeg, png
from augment.recipe import Storage
from tests.augment.test_codec import WHOLE, chunk, picture


def run_lengths(rows: bytes) -> bytes:
    """What Python's zlib makes of them, with all its memory."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return deflate.compress(rows) + deflate.flush()


def assert_png_holds(pixels: np.ndarray) -> None:
    contents = codec.encode_png(pixels)
    assert codec.encode_png(pixels) == contents
    assert contents[41:-16] == run_lengths(zlib.decompress(contents[41:-16]))
    height, width, channels = pixels.shape
    by_pillow = np.asarray(Image.open(io.BytesIO(contents))).reshape(pixels.shape)
    np.testing.assert_array_equal(by_pillow, pixels)
    np.testing.assert_array_equal(tf.io.decode_png(contents).numpy(), pixels)
    np.testing.assert_array_equal(tf.io.decode_image(contents).numpy(), pixels)
    np.testing.assert_array_equal(codec.decode(contents, channels), pixels)
    np.testing.assert_array_equal(codec.decode_stored(contents, Storage(), (height, width, channels)), pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 35), (64, 64), (180, 180)])
def test_png_decodes_to_the_same_pixels_everywhere(size: tuple[int, int], channels: int) -> None:
    assert_png_holds(picture(*size, channels))
    assert_png_holds(picture(*size, channels) & 0xF0)  # with runs of all lengths
    assert_png_holds(np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8))


@pytest.mark.parametrize("size", [1, 30, *(2**bits + more for bits in range(6, 17) for more in (-2, -1, 0))])
def test_a_small_png_has_the_bytes_that_deflate_makes_with_all_its_memory(size: int) -> None:
    contents = codec.encode_png(np.random.default_rng(size).integers(0, 256, (1, size - 1 or 1, 1), np.uint8))
    length, kind, data = int.from_bytes(contents[33:37], "big"), contents[37:41], contents[41:-16]
    assert (kind, len(data)) == (b"IDAT", length)
    assert data == run_lengths(zlib.decompress(data))


@settings(max_examples=100)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))))
def test_png_holds_any_pixels(pixels: np.ndarray) -> None:
    assert_png_holds(pixels)


@pytest.mark.parametrize("form", ["png", "jpeg", "raw"])
@pytest.mark.parametrize("size", [(1, 1), (33, 35), (180, 180), (300, 200)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_stored_of_several_samples_is_what_is_stored_of_each(
    form: str, size: tuple[int, int], channels: int
) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (7, *size, channels), np.uint8)
    storage = Storage(format=form)
    assert codec.encode_each(list(levels), storage) == [codec.encode(one, storage) for one in levels]
    assert codec.encode_each([], storage) == []


@pytest.mark.parametrize("form", ["png", "jpeg", "raw"])
def test_what_is_stored_of_a_view_is_what_is_stored_of_its_copy(form: str) -> None:
    pixels = picture(40, 50)[::2, ::-1].transpose(1, 0, 2)
    storage = Storage(format=form)
    assert codec.encode(pixels, storage) == codec.encode(np.ascontiguousarray(pixels), storage)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["png", "raw"])
def test_lossless_storage_is_the_identity(form: str, channels: int) -> None:
    storage, pixels = Storage(format=form), picture(channels=channels)
    np.testing.assert_array_equal(codec.round_trip(pixels, storage), pixels)
    stored = codec.encode(pixels, storage)
    np.testing.assert_array_equal(
        codec.decode_stored(stored, storage, (24, 33, channels)), pixels, strict=True
    )


def test_raw_storage_is_the_bytes_of_the_pixels_even_where_they_end_in_zeros() -> None:
    pixels = picture()
    pixels[-5:] = 0
    assert codec.encode(pixels, Storage(format="raw")) == pixels.tobytes()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("chroma", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [1, 50, 95, 100])
def test_a_stored_jpeg_means_what_tensorflow_and_tfds_read(chroma: str, quality: int, channels: int) -> None:
    storage, pixels = Storage(format="jpeg", quality=quality, chroma=chroma), picture(31, 45, channels)
    stored = codec.encode(pixels, storage)
    assert codec.encode(pixels, storage) == stored
    read = tf.io.decode_image(stored).numpy()
    assert (read != pixels).any()
    np.testing.assert_array_equal(codec.round_trip(pixels, storage), read, strict=True)
    np.testing.assert_array_equal(codec.decode_stored(stored, storage, (31, 45, channels)), read, strict=True)
    with Image.open(io.BytesIO(stored)) as file:
        assert "progression" not in file.info
        factors = file.layer[0][1:3]
    assert factors == ((2, 2) if chroma == "4:2:0" and channels == 3 else (1, 1))


@pytest.mark.parametrize("form", ["png", "jpeg", "raw"])
def test_a_record_of_another_size_or_kind_is_refused(form: str) -> None:
    storage = Storage(format=form)
    stored = codec.encode(picture(20, 30), storage)
    others = [codec.encode(picture(20, 30), Storage(format=o)) for o in ("png", "jpeg", "raw") if o != form]
    bad = [(stored, (30, 20), 3), (stored, (20, 31), 3), (stored, (20, 30), 1), (b"", (20, 30), 3)]
    bad += [(other, (20, 30), 3) for other in others] + [(stored[:-20], (20, 30), 3)]
    for contents, size, channels in bad:
        if (form, size) == ("raw", (30, 20)):
            continue  # of which there is no telling
        with pytest.raises(codec.DecodeError):
            codec.decode_stored(contents, storage, (*size, channels))


def png_of(rows: bytes, size: tuple[int, int], channels: int, *, parts: int = 1) -> bytes:
    """A PNG that begins as ours, of rows with their filters, in so many chunks."""
    data = zlib.compress(rows)
    cut = [len(data) * part // parts for part in range(parts + 1)]
    chunks = [chunk(b"IDAT", data[first:last]) for first, last in itertools.pairwise(cut)]
    return b"".join((png.header(size[1], size[0], channels), *chunks, chunk(b"IEND", b"")))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (150, 149)])
def test_a_png_with_any_filters_in_any_number_of_chunks_is_read_as_pillow_does(size, parts, channels):
    height, width = size
    rows = np.random.default_rng(0).integers(0, 256, (height, 1 + width * channels), np.uint8)
    rows[:, 0] = np.arange(height) % 5
    contents = png_of(rows.tobytes(), size, channels, parts=parts)
    expected = np.asarray(Image.open(io.BytesIO(contents))).reshape(height, width, channels)
    np.testing.assert_array_equal(codec.decode_stored(contents, Storage(), (*size, channels)), expected)


@pytest.mark.parametrize("rows", [b"\5" + bytes(6), b"\0" + bytes(5), b""])
def test_a_png_with_an_unknown_filter_or_too_few_levels_is_refused(rows):
    with pytest.raises(codec.DecodeError):
        codec.decode_stored(png_of(rows, (1, 2), 3), Storage(), (1, 2, 3))


def test_levels_behind_the_last_row_are_not_inflated():
    picture = np.zeros((4, 5, 3), np.uint8)
    contents = png_of(bytes(4 * 16) + bytes(1 << 28), (4, 5), 3)
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(codec.decode_stored(contents, Storage(), picture.shape), picture)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_a_chunk_that_says_to_be_longer_than_its_file_takes_no_memory() -> None:
    code = (
        "import resource, struct; from augment import codec; from augment.recipe import Storage\n"
        "import numpy as np; picture = np.zeros([4, 5, 3], np.uint8)\n"
        "png = codec.encode(picture, Storage())\n"
        "codec.decode_stored(png, Storage(), picture.shape)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "longer = png[:33] + struct.pack('>I', 1 << 30) + png[37:]\n"
        "try: codec.decode_stored(longer, Storage(), picture.shape)\n"
        "except codec.DecodeError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # KiB


def test_codecs_import_no_tensorflow_and_no_library_before_the_first_file_needs_it() -> None:
    script = """
import sys
from augment import codec
from augment.recipe import Storage
libraries = {"tensorflow", "cv2", "PIL", "simplejpeg"}
assert not libraries & set(sys.modules), libraries & set(sys.modules)
contents = bytes.fromhex(sys.stdin.read())
for channels in (1, 3):
    image = codec.decode(contents, channels)
    for form in ("png", "jpeg", "raw"):
        storage = Storage(format=form)
        stored = codec.encode(image, storage)
        codec.decode_stored(stored, storage, (*image.shape[:2], channels))
        codec.round_trip(image, storage)
assert codec.examine(b"GIF89a")
assert "tensorflow" not in sys.modules
"""
    result = subprocess.run(
        [sys.executable, "-c", script], input=WHOLE["JPEG"].hex(), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_threads_decode_and_encode_what_one_does() -> None:
    def through(contents: bytes) -> list[bytes]:
        image = codec.decode(contents)
        return [image.tobytes(), *(codec.encode(image, Storage(format=form)) for form in ("png", "jpeg"))]

    files = [*WHOLE.values()] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(through, files)) == list(map(through, files))


# ---------------------------------------------------------------- the canary


def test_c9_the_canary_of_codecs_is_golden() -> None:
    assert canary.differences() == []


def test_c9_the_canary_names_what_another_machine_encodes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    imencode = cv2.imencode
    monkeypatch.setattr(cv2, "imencode", lambda form, image, options: imencode(form, image, [1, 60]))
    assert canary.differences() == ["encode_jpeg", "encode_jpeg_444", "encode_jpeg_gray"]


@pytest.mark.parametrize("least", [3, 6, 12, 25, 33])
@pytest.mark.parametrize("chroma", ["4:2:0", "4:4:4"])
def test_a_reduced_jpeg_is_what_pillow_and_tensorflow_make_of_it(least, chroma):
    rows, columns = np.mgrid[0:51, 0:90]
    image = np.stack([rows * 5, columns * 2, (rows * columns) // 18], -1).astype(np.uint8)
    contents = jpeg.encode(image, 90, chroma)
    part = {3: 8, 6: 8, 12: 4, 25: 2, 33: 1}[least]
    reduced = codec.decode(contents, least=least)
    assert reduced.shape == (-(-51 // part), -(-90 // part), 3)
    with Image.open(io.BytesIO(contents)) as file:
        file.draft("RGB", (90 // part, 51 // part))
        assert np.array_equal(reduced, np.asarray(file))
    theirs = tf.io.decode_jpeg(contents, ratio=part, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)
    assert np.array_equal(reduced, theirs)


def test_c9_tensorflow_decodes_the_files_of_the_canary_to_the_same_levels() -> None:
    files = {name: canary.b64decode(text) for name, text in canary._data()["files"].items()}
    accurate = {"dct_method": "INTEGER_ACCURATE", "fancy_upscaling": True}
    read = {
        "decode_png": tf.io.decode_png(files["png"]),
        "decode_jpeg": tf.io.decode_jpeg(files["jpeg"], **accurate),
        "decode_jpeg_progressive": tf.io.decode_jpeg(files["jpeg_progressive"], **accurate),
        "decode_stored_jpeg": tf.io.decode_image(files["jpeg"]),
        "decode_stored_jpeg_444": tf.io.decode_image(files["jpeg_444"]),
    }
    golden = canary._data()["outcomes"]
    for name, pixels in read.items():
        assert canary.digest(pixels.numpy().tobytes()) == golden[name], name
