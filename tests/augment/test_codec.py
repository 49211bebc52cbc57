"""One decode everywhere: its rules, its refusals, and what is stored."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, TiffImagePlugin

from augment import codec
from augment.augmenter import augment_image
from augment.codec import pillow
from augment.codec.formats import PNG, file_format
from augment.recipe import load_recipe

# ---------------------------------------------------------------- what is decoded


def picture(height: int = 24, width: int = 33, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth color with some noise, so that codecs have something to do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (3 + c) + y / (7 - c) + rng.uniform(0, 6)) for c in range(channels)]
    values = 128 + 90 * np.stack(waves, -1) + rng.normal(0, 8, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)


def image(mode: str, height: int = 24, width: int = 33) -> Image.Image:
    rgb = Image.fromarray(picture(height, width))
    if mode in ("RGBA", "LA"):
        rgb.putalpha(Image.fromarray(picture(height, width, 1)[..., 0]))
    return rgb.convert(mode)


def saved(pixels: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    pixels.save(buffer, form, **options)
    return buffer.getvalue()


def by_pillow(contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents)) as file:
        return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))


def png(
    samples: np.ndarray, depth: int, color: int, *, interlaced: bool = False, chunks: bytes = b""
) -> bytes:
    """A PNG of any kind: samples [H, W, channels]; `chunks` come before the pixels."""
    height, width, _ = samples.shape

    def rows(part: np.ndarray) -> bytes:
        lines = b""
        for row in part:
            values = row.reshape(-1)
            if depth == 16:
                line = values.astype(">u2").tobytes()
            else:
                bits = (values[:, None].astype(np.uint8) >> np.arange(depth - 1, -1, -1, dtype=np.uint8)) & 1
                line = np.packbits(bits.reshape(-1)).tobytes()
            lines += b"\0" + line
        return lines if part.size else b""

    adam7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = [samples[y::down, x::right] for y, x, down, right in adam7] if interlaced else [samples]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    data = zlib.compress(b"".join(rows(part) for part in parts))
    return PNG + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker whose name does not fit into an entry"
    return exif


def decode(contents: bytes) -> np.ndarray:
    """Decodes to three channels, and asserts what holds for every image beside."""
    pixels = codec.decode(contents)
    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
    assert pixels.flags.c_contiguous
    gray = codec.decode(contents, channels=1)
    np.testing.assert_array_equal(gray[..., 0], luma(pixels), strict=True)
    assert codec.examine(contents) is None
    return pixels


def luma(rgb: np.ndarray) -> np.ndarray:
    return ((rgb @ np.array([19595, 38470, 7471]) + (1 << 15)) >> 16).astype(np.uint8)


# ---------------------------------------------------------------- JPEG


@pytest.mark.parametrize("size", [(24, 33), (1, 1), (17, 8), (64, 64)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_decodes_as_pillow_does_it(size: tuple[int, int], subsampling: str, progressive: bool) -> None:
    options = {"subsampling": subsampling, "progressive": progressive}
    contents = saved(image("RGB", *size), "JPEG", quality=85, **options)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


def test_jpeg_with_color_halved_downwards_decodes_as_pillow_does_it() -> None:
    # 4:4:0, which Pillow does not write. Where blocks are as many across as down, 4:2:2
    # turned on its side is the same stream of blocks in other places.
    contents = saved(image("RGB", 64, 64), "JPEG", quality=85, subsampling="4:2:2")
    frame = contents.index(b"\xff\xc0")
    assert contents[frame + 11] == 0x21
    contents = contents[: frame + 11] + b"\x12" + contents[frame + 12 :]
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}]
)
def test_gray_jpeg_becomes_three_equal_channels(options: dict[str, object]) -> None:
    contents = saved(image("L"), "JPEG", **options)
    pixels = decode(contents)
    np.testing.assert_array_equal(pixels, by_pillow(contents))
    assert (pixels == pixels[..., :1]).all()


def test_cmyk_jpeg_is_multiplied_by_its_black() -> None:
    cmyk = Image.fromarray(picture(16, 24, 4), "CMYK")
    adobe = saved(cmyk, "JPEG", quality=95)  # Pillow writes the marker, and inverted ink
    inverted = 255 - np.asarray(Image.open(io.BytesIO(adobe))).astype(int)  # Pillow inverts what it reads
    np.testing.assert_array_equal(decode(adobe), inverted[..., :3] * inverted[..., 3:] // 255)
    assert np.abs(decode(adobe).astype(int) - by_pillow(adobe)).max() <= 1


def test_cmyk_jpeg_without_adobe_marker_holds_ink_as_it_is() -> None:
    adobe = saved(Image.fromarray(picture(16, 24, 4), "CMYK"), "JPEG", quality=95)
    at = adobe.index(b"\xff\xee")
    plain = adobe[:at] + adobe[at + 2 + struct.unpack_from(">H", adobe, at + 2)[0] :]
    left = np.asarray(Image.open(io.BytesIO(plain))).astype(int)  # what is left of white
    np.testing.assert_array_equal(decode(plain), left[..., :3] * left[..., 3:] // 255)


def test_ycck_jpeg_is_cmyk_after_a_color_transform() -> None:
    adobe = saved(Image.fromarray(picture(16, 24, 4), "CMYK"), "JPEG", quality=95)
    at = adobe.index(b"Adobe") + 11
    assert adobe[at] in (0, 2)
    ycck = adobe[:at] + b"\x02" + adobe[at + 1 :]
    assert np.abs(decode(ycck).astype(int) - by_pillow(ycck)).max() <= 1


def test_first_picture_of_a_multi_picture_jpeg() -> None:
    first, second = image("RGB"), Image.fromarray(picture(seed=1))
    contents = saved(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))
    assert Image.open(io.BytesIO(contents)).n_frames == 2


@pytest.mark.parametrize("factors", [0x22, 0x24, 0x42, 0x31, 0x13, 0x41, 0x14, 0x32])
def test_jpeg_of_unusual_sampling_decodes_as_tensorflow_does_it(factors: int) -> None:
    contents = saved(image("RGB"), "JPEG", subsampling="4:4:4", quality=80)
    frame = contents.index(b"\xff\xc0")
    contents = contents[: frame + 11] + bytes([factors]) + contents[frame + 12 :]
    np.testing.assert_array_equal(decode(contents), by_tensorflow(contents))


def by_tensorflow(jpeg: bytes) -> np.ndarray:
    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True).numpy()


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_of_damaged_data_decodes_as_far_as_libjpeg_takes_it_and_nothing_is_said(
    progressive: bool, capfd: pytest.CaptureFixture
) -> None:
    contents = bytearray(saved(image("RGB", 64, 64), "JPEG", progressive=progressive))
    place = contents.rindex(b"\xff\xda") + 200
    contents[place : place + 4] = b"\xff\0\xff\0"
    np.testing.assert_array_equal(decode(bytes(contents)), by_pillow(bytes(contents)))
    assert (decode(bytes(contents)) != decode(saved(image("RGB", 64, 64), "JPEG"))).any()
    assert capfd.readouterr().err == ""


def test_jpeg_with_an_error_behind_damaged_data_is_corrupt() -> None:
    contents = WHOLE["JPEG, progressive"]
    scan = contents.index(b"\xff\xda")
    tables = contents.index(b"\xff\xc4", scan)
    rest = tables + 2 + struct.unpack_from(">H", contents, tables + 2)[0]
    damaged = contents[: scan + 12] + b"\xff\xff\xff\xd3" + contents[scan + 12 : tables] + contents[rest:]
    assert refusal(damaged) == codec.Rejection("corrupt", "JPEG data cannot be decoded")


@pytest.mark.parametrize(("place", "value"), [(1, 0xC3), (1, 0xC5), (4, 12)])
def test_jpeg_other_than_of_eight_bits_baseline_or_progressive_is_unsupported(place: int, value: int) -> None:
    contents = bytearray(WHOLE["JPEG"])
    contents[contents.index(b"\xff\xc0") + place] = value
    assert refusal(bytes(contents)) == codec.Rejection(
        "unsupported", "JPEG other than 8-bit baseline or progressive"
    )


# ---------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF in strips"])
def test_orientation_is_applied(form: str, orientation: int) -> None:
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}.get(form, {})
    contents = saved(image("RGB"), form.split()[0], exif=oriented(orientation), **options)
    pixels = decode(contents)
    np.testing.assert_array_equal(pixels, by_pillow(contents))
    assert pixels.shape[:2] == ((24, 33) if orientation < 5 else (33, 24))


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_orientation_is_read_in_either_byte_order(byte_order: str) -> None:
    order = "<" if byte_order == "little" else ">"
    exif = b"Exif\0\0" + (b"II*\0" if order == "<" else b"MM\0*")
    exif += struct.pack(order + "IHHHIHxxI", 8, 1, 0x0112, 3, 1, 6, 0)
    contents = saved(image("RGB"), "JPEG", exif=exif)
    assert decode(contents).shape == (33, 24, 3)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


def test_exif_behind_other_segments_counts() -> None:
    contents = saved(image("RGB"), "JPEG", exif=oriented(6), icc_profile=b"p" * 70_000, comment=b"c" * 100)
    exif = contents.index(b"\xff\xe1")
    body = contents[exif : exif + 2 + struct.unpack_from(">H", contents, exif + 2)[0]]
    rest = contents.replace(body, b"", 1)
    tables = rest.index(b"\xff\xdb")
    last = rest[:tables] + body + rest[tables:]
    assert last.index(b"ICC_PROFILE") < last.index(b"Exif")
    np.testing.assert_array_equal(decode(last), by_pillow(contents))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_means_nothing_is_none(value: int) -> None:
    contents = saved(image("RGB"), "JPEG", exif=oriented(value))
    np.testing.assert_array_equal(decode(contents), by_pillow(saved(image("RGB"), "JPEG")))


@pytest.mark.parametrize("keep", [6, 8, 14, 16, 20])
def test_exif_that_cannot_be_read_does_not_cost_the_image(keep: int) -> None:
    contents = saved(image("RGB"), "JPEG", exif=oriented(6).tobytes()[:keep])
    np.testing.assert_array_equal(decode(contents), by_pillow(saved(image("RGB"), "JPEG")))


def test_png_orientation_behind_the_pixels_does_not_count() -> None:
    exif = chunk(b"eXIf", oriented(6).tobytes().removeprefix(b"Exif\0\0"))
    before = png(picture(), 8, 2, chunks=exif)
    after = png(picture(), 8, 2)[:-12] + exif + chunk(b"IEND", b"")
    assert decode(before).shape == (33, 24, 3)
    assert decode(after).shape == (24, 33, 3)


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF", "PNG"])
def test_orientation_in_xmp_does_not_count(form: str) -> None:
    options: dict[str, object] = {"xmp": XMP}
    if form == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = XMP
        options = {"tiffinfo": tags}
    contents = saved(image("RGB"), form, **options)
    assert XMP in contents or form == "PNG"
    assert decode(contents).shape == (24, 33, 3)


# ---------------------------------------------------------------- PNG


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_gray_png_is_scaled_to_eight_bits(depth: int, interlaced: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 2**depth, (11, 13, 1))
    levels = samples >> 8 if depth == 16 else samples * (255 // (2**depth - 1))
    pixels = decode(png(samples, depth, 0, interlaced=interlaced))
    np.testing.assert_array_equal(pixels, np.repeat(levels, 3, -1))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("color", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_alpha_of_png_is_dropped(color: int, channels: int, depth: int, interlaced: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 2**depth, (11, 13, channels))
    samples[::2, ..., -1] = 0  # no opacity, and color all the same
    pixels = decode(png(samples, depth, color, interlaced=interlaced))
    levels = (samples >> (depth - 8))[..., : 1 if channels == 2 else 3]
    np.testing.assert_array_equal(pixels, np.broadcast_to(levels, pixels.shape))


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_of_png_is_looked_up(depth: int, transparent: bool) -> None:
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (2**depth, 3)).astype(np.uint8)
    samples = rng.integers(0, 2**depth, (11, 13, 1))
    chunks = chunk(b"PLTE", palette.tobytes()) + (chunk(b"tRNS", b"\0\x80") if transparent else b"")
    contents = png(samples, depth, 3, chunks=chunks)
    np.testing.assert_array_equal(decode(contents), palette[samples[..., 0]])
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3)])
@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_color_of_png_is_kept(color: int, channels: int, depth: int) -> None:
    samples = np.random.default_rng(0).integers(0, 2**depth, (11, 13, channels))
    samples[0, 0] = 5
    contents = png(samples, depth, color, chunks=chunk(b"tRNS", b"\0\x05" * channels))
    levels = samples >> (depth - 8)
    np.testing.assert_array_equal(decode(contents), np.broadcast_to(levels, (11, 13, 3)))


def test_color_profile_and_gamma_of_png_are_ignored() -> None:
    chunks = (
        chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"sBIT", b"\5\6\5") + chunk(b"bKGD", b"\0\1" * 3)
    )
    np.testing.assert_array_equal(decode(png(picture(), 8, 2, chunks=chunks)), picture())


def test_default_image_of_an_animated_png() -> None:
    contents = saved(image("RGB"), "PNG", save_all=True, append_images=[Image.fromarray(picture(seed=1))])
    np.testing.assert_array_equal(decode(contents), picture())


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 8])
def test_png_without_its_last_rows_is_corrupt_though_the_rest_is_black(depth: int, interlaced: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 2**depth, (11, 13, 1))
    for level in (0, 1):
        samples[-3:] = level
        contents = png(samples, depth, 0, interlaced=interlaced)
        decode(contents)
        header = struct.pack(">IIBBBBB", 13, 12, depth, 0, 0, 0, interlaced)
        taller = PNG + chunk(b"IHDR", header) + contents[33:]
        assert refusal(taller) == codec.Rejection("corrupt", "PNG data cannot be decoded")


def test_what_is_not_needed_of_a_png_may_be_damaged() -> None:
    broken = chunk(b"gAMA", b"") + chunk(b"tEXt", b"x")[:-4] + b"sum!" + chunk(b"PLTE", b"abcd")
    np.testing.assert_array_equal(decode(png(picture(), 8, 2, chunks=broken)), picture())


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_png_whose_sums_are_wrong_is_corrupt(kind: bytes) -> None:
    contents = bytearray(WHOLE["PNG, palette"])
    at = contents.index(kind)
    contents[at + 4 + struct.unpack_from(">I", contents, at - 4)[0]] ^= 1
    assert refusal(bytes(contents)) == codec.Rejection("corrupt", "PNG data cannot be decoded")


def test_png_without_its_palette_is_corrupt() -> None:
    assert refusal(png(picture(9, 9, 1), 8, 3)).reason == "corrupt"


# ---------------------------------------------------------------- what Pillow reads


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("form", ["BMP", "GIF", "TIFF"])
def test_simple_modes_are_pillows(form: str, mode: str) -> None:
    contents = saved(image(mode), form)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize("form", ["WEBP", "TIFF", "BMP"])
def test_alpha_is_dropped_and_the_color_under_it_kept(form: str) -> None:
    pixels = image("RGBA")
    pixels.putalpha(0)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    np.testing.assert_array_equal(decode(saved(pixels, form, **options)), picture())


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_gray_and_palette_tiff_with_alpha(mode: str) -> None:
    pixels = image("LA")
    contents = saved(pixels.convert(mode), "TIFF")
    np.testing.assert_array_equal(decode(contents), by_pillow(saved(pixels.convert("L"), "TIFF")))


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 60}])
def test_webp_is_pillows(options: dict[str, object]) -> None:
    contents = saved(image("RGB"), "WEBP", **options)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF"])
def test_first_of_several_frames(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    frames = [image("P").convert("RGB").quantize(64), image("L").quantize(64)]
    frames = frames if form == "GIF" else [frame.convert("RGB") for frame in frames]
    contents = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(contents)).n_frames == 2
    np.testing.assert_array_equal(decode(contents), np.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_pillows_and_upright(orientation: int) -> None:
    contents = saved(image("RGB"), "AVIF", exif=oriented(orientation))
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))
    assert decode(contents).shape[:2] == ((24, 33) if orientation < 5 else (33, 24))


def test_avif_under_the_brand_of_heif_is_avif() -> None:
    contents = saved(image("RGB"), "AVIF")
    assert contents[8:12] == b"avif"
    other = contents[:8] + b"mif1" + contents[12:]
    assert file_format(other) == "AVIF"
    np.testing.assert_array_equal(decode(other), by_pillow(contents))


@pytest.mark.parametrize("form", ["AVIF", "JPEG2000"])
def test_alpha_of_newer_formats_is_dropped(form: str) -> None:
    options = {"quality": 100} if form == "AVIF" else {"irreversible": False}
    contents = saved(image("RGBA"), form, **options)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB"])
def test_jpeg_2000_is_pillows(mode: str, boxed: bool) -> None:
    contents = saved(image(mode), "JPEG2000", no_jp2=not boxed)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


def test_sixteen_bit_jpeg_2000_is_shifted() -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (24, 33)).astype(np.uint16)
    contents = saved(Image.fromarray(samples), "JPEG2000", irreversible=False)
    np.testing.assert_array_equal(decode(contents), np.repeat((samples >> 8)[..., None], 3, -1))


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_netpbm_is_pillows(mode: str) -> None:
    contents = saved(image(mode), "PPM")
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize(
    "contents",
    [
        b"P1\n# bits may stand together\n3 2\n101\n0 1 0\n",
        b"P2\n3 2 # a comment\n15\n0 5 10 15 1 2",
        b"P3 1 2 255 1 2 3 # four\n4 5 6\n",
        b"P4 3 2\n\xa0\x40",
        b"P5 3 2 100 " + bytes([0, 1, 50, 99, 100, 33]),
    ],
)
def test_small_netpbm_is_pillows(contents: bytes) -> None:
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize("most", [256, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [5, 6])
def test_deep_netpbm_fills_its_range(kind: int, most: int) -> None:
    samples = np.random.default_rng(0).integers(0, most + 1, (24, 33, 3 if kind == 6 else 1))
    contents = b"P%d 33 24 %d\n" % (kind, most) + samples.astype(">u2").tobytes()
    levels = np.floor(samples / most * 65535 + 0.5).astype(int) >> 8
    np.testing.assert_array_equal(decode(contents), np.broadcast_to(levels, (24, 33, 3)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_large_images_are_taken_from_pillow_in_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = Image.fromarray(np.arange(24 * 33, dtype=np.uint16).reshape(24, 33) * 80)
    contents = saved(pixels if mode == "I;16" else image(mode), "TIFF")
    whole = decode(contents)
    for size in (1, 33, 170, 33 * 24):
        monkeypatch.setattr(pillow, "_STRIP", size)
        np.testing.assert_array_equal(decode(contents), whole)


def test_heif_takes_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = b"\0\0\0\x18ftypheic" + bytes(50)
    monkeypatch.setattr(pillow, "_reader", lambda form: None)
    assert refusal(contents) == codec.Rejection(
        "unsupported", "HEIF takes the extra heic, which is not installed: make install EXTRAS=heic"
    )


def test_heif_is_read_with_the_extra() -> None:
    plugin = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    pixels = picture()
    file = io.BytesIO()
    plugin.from_pillow(Image.fromarray(pixels)).save(file, quality=-1, chroma=444)
    assert np.abs(decode(file.getvalue()).astype(int) - pixels).max() <= 2  # YCbCr in between


def small_gif(transparent: int | None) -> bytes:
    """A 4x3 screen of which the first frame covers the left 2x3 with color 2, and no second frame."""
    palette = bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    control = b"" if transparent is None else b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"
    # 3-bit codes: clear, six times color 2 (4-bit codes from the fifth on), end.
    bits, codes, filled, width = 0, [4, 2, 2, 2, 2, 2, 2, 5], 0, 3
    for i, code in enumerate(codes):
        bits |= code << filled
        filled += width
        width = 4 if i >= 3 else 3
    data = bits.to_bytes((filled + 7) // 8, "little")
    screen = struct.pack("<6sHHBBB", b"GIF89a", 4, 3, 0x81, 1, 0) + palette
    frame = struct.pack("<cHHHHBB", b",", 0, 0, 2, 3, 0, 2) + bytes([len(data)]) + data + b"\0"
    return screen + control + frame + b";"


@pytest.mark.parametrize(("transparent", "color"), [(None, 0), (3, 3)])
def test_what_a_small_first_gif_frame_leaves_has_one_color(transparent: int | None, color: int) -> None:
    colors = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]])
    expected = colors[[[2, 2, color, color]] * 3]
    np.testing.assert_array_equal(decode(small_gif(transparent)), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_sixteen_bit_gray_tiff_is_shifted(order: str, white_is_zero: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (24, 33))
    contents = tiff(samples[..., None], 16, order=order, photometric=0 if white_is_zero else 1)
    if white_is_zero and order == ">":
        assert codec.examine(contents) == codec.Rejection(  # Pillow has no such mode
            "unsupported",
            "TIFF of 1 x 16 bits, photometric interpretation 0, has no rule: convert it to 8-bit RGB",
        )
        return
    levels = (65535 - samples if white_is_zero else samples) >> 8
    np.testing.assert_array_equal(decode(contents), np.repeat(levels[..., None], 3, -1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_color_tiff_is_shifted(order: str, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (24, 33, channels))
    contents = tiff(samples, 16, order=order, photometric=2, extra=(2,) * (channels - 3))
    np.testing.assert_array_equal(decode(contents), samples[..., :3] >> 8)


def test_twelve_bit_gray_tiff_is_shifted() -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (24, 34))
    nibbles = (samples[..., None] >> np.array([8, 4, 0])) & 15
    packed = nibbles.reshape(24, -1, 2) @ np.array([16, 1])
    contents = tiff(packed.reshape(24, -1, 1), 8, bits=12, width=34, photometric=1)
    np.testing.assert_array_equal(decode(contents), np.repeat((samples >> 4)[..., None], 3, -1))


def test_cmyk_tiff_is_pillows() -> None:
    contents = saved(Image.fromarray(picture(16, 24, 4), "CMYK"), "TIFF")
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_compressed_tiff_is_pillows(compression: str) -> None:
    contents = saved(image("RGB"), "TIFF", compression=compression)
    np.testing.assert_array_equal(decode(contents), by_pillow(contents))


def tiff(
    samples: np.ndarray,
    depth: int,
    *,
    order: str = "<",
    photometric: int,
    extra: tuple[int, ...] = (),
    bits: int | None = None,
    width: int | None = None,
    kind: int = 1,
) -> bytes:
    """An uncompressed TIFF in one strip."""
    height, columns, channels = samples.shape
    data = samples.astype(f"{order}u{depth // 8}").tobytes()
    tags = {
        256: [width or columns],
        257: [height],
        258: [bits or depth] * channels,
        259: [1],
        262: [photometric],
        273: [8],
        277: [channels],
        278: [height],
        279: [len(data)],
        339: [kind] * channels,
    }
    if extra:
        tags[338] = list(extra)
    entries, tail, at = b"", b"", 8 + len(data)
    behind = at + 6 + 12 * len(tags)
    for tag, values in sorted(tags.items()):
        body = struct.pack(f"{order}{len(values)}I", *values)
        if len(body) > 4:
            body, tail = struct.pack(order + "I", behind + len(tail)), tail + body
        entries += struct.pack(order + "HHI", tag, 4, len(values)) + body
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return start + data + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0" + tail


# ---------------------------------------------------------------- what is refused


def refusal(contents: bytes) -> codec.Rejection:
    """Examines, and asserts that decoding fails for the same reason, of however many channels."""
    rejection = codec.examine(contents)
    assert rejection is not None
    assert rejection.reason in codec.REASONS
    assert " at 0x" not in rejection.detail
    for channels in (1, 3):
        with pytest.raises(codec.DecodeError) as caught:
            codec.decode(contents, channels)
        assert caught.value.rejection == rejection
    return rejection


WHOLE = {
    "AVIF": saved(image("RGB"), "AVIF"),
    "JPEG 2000": saved(image("RGB"), "JPEG2000"),
    "JPEG 2000, codestream": saved(image("RGB"), "JPEG2000", no_jp2=True),
    "Netpbm": saved(image("RGB"), "PPM"),
    "Netpbm, text": b"P2 # gray\n3 2\n255\n0 1 2 253 254 255",
    "JPEG": saved(image("RGB"), "JPEG", exif=oriented(6)),
    "PNG": saved(image("RGB"), "PNG"),
    "GIF": saved(image("P"), "GIF"),
    "BMP": saved(image("RGB"), "BMP"),
    "WebP": saved(image("RGB"), "WEBP", exif=oriented(3)),
    "TIFF": saved(image("RGB"), "TIFF", exif=oriented(5)),
    "TIFF, compressed": saved(image("RGB"), "TIFF", compression="tiff_lzw"),
    "JPEG, progressive": saved(image("L"), "JPEG", progressive=True),
    "PNG, palette": saved(image("P"), "PNG"),
    "TIFF, 16 bits": tiff(np.full((9, 9, 1), 777), 16, photometric=1),
}


def test_no_bytes_are_empty() -> None:
    assert refusal(b"") == codec.Rejection("empty", "the file has no bytes")


@pytest.mark.parametrize(
    "contents", [b"\0", b"BM", b"\xff\xd8", b"GIF8", b"hello, world", b"BMW is a car maker, sir"]
)
def test_other_bytes_are_not_an_image(contents: bytes) -> None:
    rejection = refusal(contents)
    assert rejection.reason == "not_an_image"
    assert contents[:8].hex(" ") in rejection.detail


@pytest.mark.parametrize("form", sorted(WHOLE))
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_half_a_file_is_truncated(form: str, share: float) -> None:
    contents = WHOLE[form]
    rejection = refusal(contents[: int(share * len(contents))])
    assert rejection.reason == "truncated"
    assert rejection.detail.startswith(form.split(",")[0])


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (b"P5 3 0 255\n", "corrupt: Netpbm of 3x0 pixels"),
        (b"P5 3 1 70000\nabcdef", "corrupt: Netpbm data cannot be decoded"),
        (b"P2 3 1 9 1 2 10", "corrupt: Netpbm data cannot be decoded"),
        (b"P2 3 1 9 1 x 2 3", "corrupt: Netpbm data cannot be decoded"),
        (b"P1 3 1 102", "corrupt: Netpbm data cannot be decoded"),
        (b"P2 3 1 9 1 2", "truncated: Netpbm ends after 12 bytes"),
        (b"P6 30000 30000 255\nabc", "too_large: Netpbm of 30000x30000 pixels"),
        (PNG + chunk(b"CgBI", b"\x50\0\x20\6") + chunk(b"IEND", b""), "unsupported: PNG with Apple's CgBI"),
        (
            saved(image("L"), "TIFF").replace(b"\3\1\3\0\1\0\0\0\1\0", b"\3\1\3\0\1\0\0\0\x51\xc3"),
            "unsupported: TIFF of compression 50001",
        ),
        (saved(image("P"), "BMP").replace(b"\1\0\x08\0", b"\1\0\2\0", 1), "unsupported: BMP of this depth"),
    ],
)
def test_a_reason_is_true_of_the_file(contents: bytes, sentence: str) -> None:
    rejection = refusal(contents)
    assert f"{rejection.reason}: {rejection.detail}".startswith(sentence)


@pytest.mark.parametrize("cut", [12, 8, 4, 1])
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_a_png_is_whole_without_its_end(mode: str, cut: int) -> None:
    contents = saved(image(mode), "PNG")
    np.testing.assert_array_equal(decode(contents[:-cut]), by_pillow(contents))
    np.testing.assert_array_equal(decode(contents[:-1] + b"!"), by_pillow(contents))
    np.testing.assert_array_equal(decode(contents + b"more"), by_pillow(contents))


@pytest.mark.parametrize("tag", [700, 34675, 65000])
def test_a_tiff_is_whole_whose_other_tags_lie_past_its_end(tag: int) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[tag] = 7
    tags[tag] = b"x" * 300
    contents = bytearray(saved(image("RGB"), "TIFF", tiffinfo=tags))
    at = contents.index(struct.pack("<HHI", tag, 7, 300))
    struct.pack_into("<I", contents, at + 8, len(contents) + 7)
    np.testing.assert_array_equal(decode(bytes(contents)), picture())


@pytest.mark.parametrize("form", ["PNG", "GIF", "WebP", "JPEG, progressive"])
def test_a_damaged_file_is_corrupt(form: str) -> None:
    contents = WHOLE[form]
    hole = {"PNG": 60, "GIF": 6 + 7 + 768, "WebP": 40, "JPEG, progressive": contents.find(b"\xff\xc2") + 10}[
        form
    ]
    damaged = contents[:hole] + b"\xfe" * 8 + contents[hole + 8 :]
    assert refusal(damaged).reason == "corrupt"


@pytest.mark.parametrize("mode", ["F", "I"])
def test_tiff_pixels_without_a_rule_are_unsupported(mode: str) -> None:
    rejection = refusal(saved(image("L").convert(mode), "TIFF"))
    assert rejection == codec.Rejection(
        "unsupported", f"pixels of mode {mode} have no rule: convert it to 8-bit RGB"
    )


@pytest.mark.parametrize(
    ("beginning", "form"),
    [
        (b"8BPS\0\1", "Photoshop"),
        (b"P7\n", "PAM"),
        (b"<?xml version='1.0'?><svg>", "SVG"),
        (b"\xff\x0a\x00", "JPEG XL"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
    ],
)
def test_formats_that_are_not_read_are_named(beginning: bytes, form: str) -> None:
    assert refusal(beginning + bytes(50)) == codec.Rejection(
        "unsupported", f"{form} files are not read: convert it to PNG or JPEG"
    )


def bomb(form: str, width: int, height: int) -> bytes:
    """A small file that claims to be large."""
    contents = bytearray(WHOLE[form])
    if form == "JPEG":
        at = contents.index(b"\xff\xc0") + 5
        contents[at : at + 4] = struct.pack(">HH", height, width)
    elif form == "PNG":
        contents[8:33] = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    elif form == "GIF":
        contents[6:10] = struct.pack("<HH", width, height)
    elif form == "BMP":
        contents[18:26] = struct.pack("<II", width, height)
    elif form == "TIFF":
        return tiff(np.zeros((1, 1, 3)), 8, photometric=2).replace(
            struct.pack("<HHII", 256, 4, 1, 1) + struct.pack("<HHII", 257, 4, 1, 1),
            struct.pack("<HHII", 256, 4, 1, width) + struct.pack("<HHII", 257, 4, 1, height),
        )
    else:
        frame = (
            b"VP8L"
            + struct.pack("<I", 10)
            + b"\x2f"
            + struct.pack("<I", width - 1 | height - 1 << 14)
            + bytes(5)
        )
        return b"RIFF" + struct.pack("<I", 4 + len(frame)) + b"WEBP" + frame
    return bytes(contents)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WebP"])
@pytest.mark.parametrize("size", [(9460, 9459), (16000, 16000), (65_000, 65_000)])
def test_more_pixels_than_the_bound_are_too_large(
    form: str, size: tuple[int, int], capfd: pytest.CaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    if form == "WebP":
        size = min(size[0], 16_384), min(size[1], 16_384)  # it cannot say more
    assert size[0] * size[1] > codec.MAX_PIXELS
    rejection = refusal(bomb(form, *size))
    assert rejection.reason == "too_large"
    assert f"{size[0]}x{size[1]}" in rejection.detail
    assert str(codec.MAX_PIXELS) in rejection.detail
    assert not recwarn.list
    assert "Bomb" not in capfd.readouterr().err


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (2**32 - 1, 2**32 - 1), (2**31, 2), (1_000_001, 1)])
def test_png_that_is_too_long_in_any_direction_is_too_large(size: tuple[int, int]) -> None:
    assert refusal(bomb("PNG", *size)).reason == "too_large"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF"])  # GIF grows to its first frame
def test_no_pixels_are_corrupt(form: str) -> None:
    assert refusal(bomb(form, 0, 3)).reason == "corrupt"


def test_png_header_that_hides_behind_another_chunk_is_refused() -> None:
    contents = WHOLE["PNG"]
    hidden = contents[:8] + chunk(b"abCd", struct.pack(">II", 1, 1)) + contents[8:]
    assert refusal(hidden).reason == "corrupt"


def test_jpeg_of_many_scans_is_too_large_and_soon_refused() -> None:
    contents = saved(Image.new("L", (5000, 5000), 128), "JPEG", progressive=True)
    last = contents[contents.rindex(b"\xff\xc4") : -2]
    hostile = contents[:-2] + last * 3000 + b"\xff\xd9"
    before = time.process_time()
    assert codec.examine(hostile) == codec.Rejection("too_large", "JPEG of more than 100 scans")
    assert time.process_time() - before < 10


def test_tiff_whose_tags_read_the_file_over_and_over_is_refused() -> None:
    entries = b"".join(struct.pack("<HHII", 300 + i, 7, 500_000, 0) for i in range(60_000))
    hostile = b"II*\0" + struct.pack("<IH", 8, 60_000) + entries + b"\0\0\0\0"
    before = time.process_time()
    assert codec.examine(hostile) == codec.Rejection("corrupt", "TIFF data cannot be decoded")
    assert time.process_time() - before < 10


def test_pillow_settings_and_warnings_are_left_alone() -> None:
    """In a process where every warning is an error, and where Pillow was never set up."""
    script = """
import sys, warnings
from PIL import Image, ImageFile
from augment import codec
warnings.simplefilter("error")
contents = [bytes.fromhex(line) for line in sys.stdin.read().split()]
before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
print([codec.examine(c) for c in contents])
assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
"""
    files = [*WHOLE.values(), bomb("GIF", 9460, 9459), WHOLE["TIFF"][:3000]]
    lines = "\n".join(c.hex() for c in files)
    result = subprocess.run(
        [sys.executable, "-c", script], input=lines, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str([codec.examine(c) for c in files])


@pytest.mark.skipif(sys.platform != "linux", reason="takes a limit to a process's memory, which Linux keeps")
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_full_memory_is_no_fault_of_the_file(form: str) -> None:
    script = """
import resource, sys
from augment import codec
codec.decode(bytes.fromhex(sys.stdin.readline()))  # with all that it imports
large = bytes.fromhex(sys.stdin.readline())
used = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20), resource.RLIM_INFINITY))
try:
    codec.decode(large)
except MemoryError:
    print("full")
"""
    options = {"progressive": True} if form == "JPEG" else {}
    files = [saved(Image.new("RGB", size, (3, 4, 5)), form, **options) for size in ((8, 8), (4000, 4000))]
    lines = "\n".join(contents.hex() for contents in files)
    result = subprocess.run(
        [sys.executable, "-c", script], input=lines, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("full\n", "")


def test_augmenting_what_is_no_image_raises_the_rejection() -> None:
    with pytest.raises(
        codec.DecodeError, match="truncated: PNG ends after 200 bytes, before what it says it holds"
    ) as caught:
        augment_image(WHOLE["PNG"][:200], load_recipe("cifar10"), seed=0, source="a.png", copy=0)
    assert caught.value.rejection == codec.examine(WHOLE["PNG"][:200])


def agree(contents: bytes) -> None:
    """`decode` gives pixels within the bounds, or fails with a reason."""
    rejection = codec.examine(contents)
    if rejection:
        assert rejection.reason in codec.REASONS
        assert codec.examine(contents) == rejection
    else:
        pixels = codec.decode(contents)
        assert 0 < pixels.size <= 3 * codec.MAX_PIXELS
        np.testing.assert_array_equal(codec.decode(contents, channels=1)[..., 0], luma(pixels))


FUZZ = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about tags
@given(st.data())
def test_decode_and_examine_agree_on_damaged_files(data: st.DataObject) -> None:
    contents = bytearray(WHOLE[data.draw(st.sampled_from(sorted(WHOLE)))])
    header = data.draw(st.booleans())  # where a byte matters most
    places = st.integers(0, (min(150, len(contents)) if header else len(contents)) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        contents[place] = value
    if data.draw(st.booleans()):
        del contents[data.draw(st.integers(0, len(contents))) :]
    agree(bytes(contents))


BEGINNINGS = [
    b"P5 9 9 255\n",
    b"P2 3 3 9\n",
    b"\0\0\0\x1cftypavif",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"",
    b"\xff\xd8\xff",
    PNG,
    b"GIF89a",
    b"BM",
    b"RIFF\x50\0\0\0WEBP",
    b"II*\0",
    b"MM\0*",
]


@FUZZ
@given(st.sampled_from(BEGINNINGS), st.binary(max_size=200))
def test_decode_and_examine_agree_on_any_bytes(beginning: bytes, rest: bytes) -> None:
    agree(beginning + rest)
