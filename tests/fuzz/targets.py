"""What is fuzzed: our own parsing of bytes that may be anybody's, each with what must hold for any bytes.

A target is a function of bytes. It lets pass what its subject may raise, and asserts what its answer may be.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Callable

import numpy as np
from pydantic import ValidationError

from augment import codec
from augment.codec.formats import PNG
from augment.codec.jpeg import check
from augment.codec.orientation import orientation
from augment.codec.parts import chunks, directory, riff, segments
from augment.errors import RequestError
from augment.recipe import Storage, parse_recipe, recipe_from_document
from augment.targets import Annotation, Moved
from pipelines.annotations import annotations_for, annotations_of, everything_annotated
from pipelines.annotations.json_stream import BadFile, items
from pipelines.annotations.numbers import BadAnnotation
from pipelines.annotations.voc import annotation_of
from pipelines.annotations.yolo_data import Data
from pipelines.annotations.yolo_lines import objects_of
from pipelines.containers.examples import BadExample, features
from pipelines.containers.tar import BLOCK, DamagedTar, members
from pipelines.engines.job import Job
from pipelines.format.example import serialize
from pipelines.format.layout import Shard, samples_file, shard_of
from pipelines.format.manifest import parse_manifest
from pipelines.format.records import FramingError, framed, frames, masked_crc
from pipelines.format.samples import parse_receipt, read_samples
from pipelines.format.targets import Targets, arrays, packed, unpacked
from pipelines.materialize.run import Outcome
from pipelines.plan import Plan
from pipelines.sources import Guess, Ignored, Reject, Source, is_id, read_source


def image(data: bytes) -> None:
    """Headers, tags and the reason why a file is refused."""
    refused = codec.examine(data)
    if refused:
        assert refused.reason in codec.REASONS
    else:
        pixels = codec.decode(data)
        assert (pixels.dtype, pixels.ndim) == ("uint8", 3)
        assert 0 < pixels.size <= 3 * codec.MAX_PIXELS


def record(data: bytes) -> None:
    """What a record says that it holds, it holds, or is refused."""
    for form in ("png", "jpeg", "raw"):
        for size, channels in (((5, 7), 3), ((3, 4), 1)):
            with contextlib.suppress(codec.DecodeError):
                pixels = codec.decode_stored(data, Storage(format=form), (*size, channels))
                assert (pixels.dtype, pixels.shape) == ("uint8", (*size, channels))


def exif(data: bytes) -> None:
    """EXIF as it stands in a JPEG, a PNG and a WebP."""
    body = b"Exif\0\0" + data[:65000]
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    png = PNG + struct.pack(">I4s", len(data), b"eXIf") + data + bytes(4)
    webp = b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(data)) + data
    for form, contents in (("JPEG", jpeg), ("PNG", png), ("WebP", webp)):
        assert 1 <= orientation(form, contents) <= 8


def tags(data: bytes) -> None:
    """TIFF's directories: no tag is believed to lie beyond the file, and no walk is longer than it."""
    for order in (b"II*\0", b"MM\0*", b""):
        tiff = order + data
        with contextlib.suppress(struct.error):
            found = list(directory(tiff))
            assert 12 * len(found) <= len(tiff)
            for tag in found:
                assert 8 * len(tag.numbers(tiff)) <= 8 * len(tiff)
        image(tiff)


def parts(data: bytes) -> None:
    """Segments and chunks: each walk ends, and gives no more than there is."""
    for walk, head in ((segments, 0), (chunks, 8), (riff, 12)):
        assert sum(len(body) for _, body in walk(data)) <= max(0, len(data) - head)
    with contextlib.suppress(codec.DecodeError):
        check(data)


def recipe(data: bytes) -> None:
    """YAML: a recipe that is read can be written down, and read again as the same."""
    try:
        read = parse_recipe(data.decode("utf-8", "replace"), name="fuzzed")
    except RequestError:
        return
    document = read.canonical()
    assert recipe_from_document(document, name=read.name, where="again").canonical() == document
    assert read.image_size[0] * read.image_size[1] <= codec.MAX_PIXELS


def manifest(data: bytes) -> None:
    """What is read of a manifest leads nowhere, and is soon walked over."""
    try:
        read = parse_manifest(data, "manifest.json")
    except RequestError:
        return
    for name in read.files:
        assert is_id(name)
    faults = list(itertools.islice(read.faults(data), 100))
    if not faults:
        assert read.records <= 10**15
    names = {name for *_, name in itertools.islice(read.shards(), 100)}
    assert all(is_id(name) and "/" not in name for name in names)
    with contextlib.suppress(RequestError):
        read.request.parsed_recipe()


def receipt(data: bytes) -> None:
    read = parse_receipt(data)
    if read is not None:
        assert is_id(read.file)
        assert is_id(samples_file(read.split, read.copy, read.shard, 1))
        assert read.bytes >= 0 <= read.records


def tfrecord(data: bytes) -> None:
    """Frames whose lengths have their CRC where the eighth byte is even, for no fuzzer finds a CRC."""

    def read(at: int, count: int) -> bytes:
        header = data[at : at + count]
        if len(header) == 12 and not header[8] & 1:
            header = header[:8] + masked_crc(header[:8])
        return header

    end = 0
    with contextlib.suppress(FramingError):
        for start, length in frames(read, len(data), 1000):
            assert start == end + 12
            assert 0 <= length <= 1000
            end = start + length + 4
            assert end <= len(data)
        assert end == len(data)


def samples(data: bytes) -> None:
    """Parquet: a table, or a ValueError."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        path = os.path.join(folder, "samples.parquet")
        with open(path, "wb") as file:
            file.write(data)
        with contextlib.suppress(ValueError), open(path, "rb") as file:
            assert len(read_samples(file)) <= len(data)


def work(data: bytes) -> None:
    """What a run keeps in its output, and what a plan says of the files there."""
    for kind in (Plan, Job, Outcome):
        with contextlib.suppress(ValidationError):
            read = kind.model_validate_json(data)
            if isinstance(read, Plan):
                for split in read.splits:
                    shard = Shard(split, 0, 0, 1)
                    assert read.has(shard) in (True, False)
                    assert shard_of(samples_file(*shard), read.request.name) == shard
                assert read.sources >= 0


TARGETED = Targets(
    has=("boxes", "keypoints", "mask", "polygons"),
    classes=("car", "truck"),
    keypoints=("front", "rear"),
    pairs=((0, 1),),
    labels=("a", "b"),
)
DATA = Data({0: "car", 1: "truck"}, ("front", "rear"), 3, frozenset(), ())


def targets(data: bytes) -> None:
    """The entries of a record: what is read of them can be written, and read again as the same."""
    with contextlib.suppress(ValueError):
        read = unpacked(data, TARGETED, (4, 5, 3))
        moved = Moved(read.annotation.objects, read.ids, (), (), None)
        again = packed(moved, read.annotation.labels, TARGETED, (4, 5))
        assert unpacked(again, TARGETED, (4, 5, 3)).ids == read.ids
    with contextlib.suppress(ValueError, codec.DecodeError):
        arrays(data, TARGETED, (4, 5, 3))


def annotation(data: bytes) -> None:
    """Files beside images: VOC's XML, YOLO's lines, COCO's JSON as a stream, and masks."""
    with contextlib.suppress(BadAnnotation):
        assert Annotation.unpacked(annotation_of(data).packed())
    with contextlib.suppress(BadAnnotation):
        objects_of(data, DATA, (40, 30))
    with contextlib.suppress(BadFile):
        list(items(io.BytesIO(data), frozenset(("images", "annotations", "categories"))))
    with contextlib.suppress(codec.DecodeError):
        assert codec.decode_mask(data).dtype == "uint8"


def beside(data: bytes) -> None:
    """A file beside two images: each of them is found, rejected or passed over, or the file is refused."""
    for files in _BESIDE:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as root:
            for name, content in (files | {"images/a.png": b"", "images/b.png": _DOT}).items():
                os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
                with open(f"{root}/{name}", "wb") as file:
                    file.write(data if content is None else content)
            path = next(iter(files)).replace("annotations/b.xml", "annotations")
            found = list(everything_annotated(root, annotations_of(f"{root}/{path}"), None))
        if any(isinstance(one, Guess) and one.refused for one in found):
            continue
        images = Counter(one.id if isinstance(one, Source) else one.source for one in found if _is_image(one))
        assert all(count == 1 for count in images.values())
        passed = sum(isinstance(one, Ignored) and one.kind.startswith("(") for one in found)
        assert len(images.keys() & {"images/a.png", "images/b.png"}) + passed == 2
        for source in found:
            if isinstance(source, Source) and source.annotation:
                known = Annotation.unpacked(source.annotation)
                assert known.packed() == source.annotation
                for thing in known.objects:
                    assert thing.name
                    assert thing.box[0] <= thing.box[2]
                    assert thing.box[1] <= thing.box[3]
                    assert all(abs(place) <= 2**42 for part in (thing.box, *thing.polygons) for place in part)


_DATA = b"train: images\nnames: [cat, dog]\n"
_DOT = codec.encode_png(np.zeros((3, 4, 3), np.uint8))
_RECORD = serialize(image=_DOT, label=0, source="a", copy=0)
_INFO = b'{"name": "a", "splits": [{"name": "train", "shardLengths": ["1"]}]}'
_SHARD = "a-train.tfrecord-00000-of-00001"
_CONTAINERS: tuple[dict[str, bytes | None], ...] = (
    {"a.tar": None},
    {"a.tfrecord": None},
    {"features.json": None, "dataset_info.json": _INFO, _SHARD: framed(_RECORD)},
    {"features.json": b'{"featuresDict": {"features": {"image": {"image": {}}}}}', "dataset_info.json": None}
    | {_SHARD: framed(_RECORD)},
)
"""Containers, of which one file, None, is fuzzed."""
_BESIDE: tuple[dict[str, bytes | None], ...] = (
    {"instances.json": None},
    {"data.yaml": _DATA, "labels/b.txt": None},
    {"data.yaml": _DATA + b"kpt_shape: [1, 3]\n", "labels/b.txt": None},
    {"data.yaml": None, "labels/b.txt": b"0 0.5 0.5 1 1"},
    {"annotations/b.xml": None},
    {"images/t.csv": None},
    {"images/t.jsonl": None},
    {"images/t.parquet": None},
)
"""Annotations of which one file, None, is fuzzed."""


def tar(data: bytes) -> None:
    """Members in order, each within the tar; headers have their sum where its first digit is odd."""

    def read(at: int, count: int) -> bytes:
        header = data[at : at + count]
        if len(header) == BLOCK and header[148] & 1:
            total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
            header = header[:148] + b"%06o\0 " % total + header[156:]
        return header

    end = 0
    with contextlib.suppress(DamagedTar):
        for member in members(read, len(data)):
            assert end + BLOCK <= member.offset
            assert member.size >= 0
            end = member.offset + member.size
            assert end <= len(data)


def example(data: bytes) -> None:
    """Features, whose values lie within the Example."""
    with contextlib.suppress(BadExample):
        for feature in features(data).values():
            assert all(0 <= begin <= end <= len(data) for begin, end in feature.spans())
            assert feature.floats().ndim == 1
            assert all(-(2**63) <= number < 2**63 for number in feature.numbers())


def container(data: bytes) -> None:
    """A container, or what describes some: each image has a name of its own, and lies where it is said to."""
    for files in _CONTAINERS:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as root:
            for name, content in files.items():
                with open(f"{root}/{name}", "wb") as file:
                    own = framed(data) if name.endswith(".tfrecord") else data
                    file.write(own if content is None else content)
            known = annotations_for(root, None)
            assert known is not None
            found = list(everything_annotated(root, known, None))
            if any(isinstance(one, Guess) and one.refused for one in found):
                continue
            images = [one for one in found if isinstance(one, Source | Reject)]
            names = Counter(one.id if isinstance(one, Source) else one.source for one in images)
            assert all(count == 1 for count in names.values())
            for source in found:
                if isinstance(source, Source):
                    assert is_id(source.id)
                    assert len(read_source(root, source.where)) == source.size
                    if source.annotation:
                        assert Annotation.unpacked(source.annotation).packed() == source.annotation


def _is_image(found: object) -> bool:
    return isinstance(found, Source | Reject)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        image,
        record,
        exif,
        tags,
        parts,
        recipe,
        manifest,
        receipt,
        tfrecord,
        samples,
        work,
        targets,
        annotation,
        beside,
        tar,
        example,
        container,
    )
}
