"""Where fuzzing begins: a few small inputs for each target, made anew each time, and what was found before.

`found/<target>/` keeps inputs by which a fault was found, for good.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from augment import codec
from augment.recipe import Storage, load_recipe, preset_names, preset_text
from augment.targets import UNIT, Moved, Object
from pipelines.engines.job import Job
from pipelines.format.copies import ClassCopies, tiers
from pipelines.format.example import entry_of_bytes, entry_of_floats, entry_of_numbers, features
from pipelines.format.layout import FEATURES, LABELS, REJECTS, samples_file, shard_file
from pipelines.format.manifest import File, Manifest, SplitCounts
from pipelines.format.records import ShardWriter, framed
from pipelines.format.request import Request
from pipelines.format.samples import Receipt
from pipelines.format.targets import packed
from pipelines.materialize.run import Outcome
from pipelines.plan import make_plan
from pipelines.sources import Folder, Listing, Reject, Source
from tests.forgery import write_samples
from tests.fuzz.targets import TARGETED

FOUND = Path(__file__).parent / "found"


def seeds(target: str) -> Iterator[bytes]:
    """The inputs of a target."""
    yield from _MADE[target]()
    for path in sorted((FOUND / target).glob("*")):
        yield path.read_bytes()


def _images() -> Iterator[bytes]:
    picture = Image.fromarray(np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    for form, options in (
        ("JPEG", {"exif": exif}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"exif": exif}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {"exif": exif}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ):
        file = io.BytesIO()
        picture.save(file, form, **options)
        yield file.getvalue()
    file = io.BytesIO()
    Image.fromarray(np.full([3, 4], 4095, np.uint16)).save(file, "TIFF")
    yield file.getvalue()


def _records() -> Iterator[bytes]:
    for size, channels in ((35, 3), (12, 1)):
        picture = np.arange(size * channels, dtype=np.uint8).reshape(5 if channels == 3 else 3, -1, channels)
        for form in ("png", "jpeg", "raw"):
            yield codec.encode(picture, Storage(format=form))


def _targets() -> Iterator[bytes]:
    car = Object("car", (0, 0, UNIT, 2 * UNIT), ((0, 0, UNIT, 0, UNIT, UNIT),), ((5, 6, 2), (0, 0, 0)))
    truck = Object("truck", (1, 2, 3, 4), (), ((0, 0, 1), (0, 0, 2)), True)
    for objects in ((), (car,), (car, truck)):
        moved = Moved(objects, tuple(range(len(objects))), (), (), np.zeros((4, 5), np.uint8))
        yield packed(moved, ["b"], TARGETED, (4, 5))


def _annotations() -> Iterator[bytes]:
    yield (
        b"<annotation><size><width>30</width><height>40</height><depth>3</depth></size><object>"
        b"<name>car</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax>"
        b"<ymax>9</ymax></bndbox></object></annotation>"
    )
    yield b"0 0.5 0.5 0.2 0.2 0.1 0.1 2 0.2 0.2 1\n1 0.25 0.25 0.1 0.1 0 0 0 0 0 0\n"
    yield b'{"info": {"a": [1, "x"]}, "images": [{"id": 1}], "annotations": [{"bbox": [1.5, 2]}, {}]}'
    file = io.BytesIO()
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4), "P").save(file, "PNG")
    yield file.getvalue()


def _tags() -> Iterator[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 3
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    yield exif.tobytes().removeprefix(b"Exif\0\0")
    for contents in _images():
        if contents[:4] in (b"II*\0", b"MM\0*"):
            yield contents
            yield contents[4:]


def _recipes() -> Iterator[bytes]:
    for name in preset_names():
        yield preset_text(name).encode()
    yield b"ops: &all\n  - resize: {height: 8, width: 8, p: 1.0}\n  - flip: {id: a, horizontal: .5}\n"
    own = b"[{resize: {height: 8, width: 8}}, invert]"
    yield b"ops: [{resize: {height: 8, width: 8}}]\nrecipe_for: [{classes: [a, b], ops: " + own + b"}]\n"
    yield b'{"name": "x", "storage": {"format": "jpeg", "quality": 90}, "ops": [{"zoom": {"scale": 1}}]}'


def manifest(copies: int = 2) -> Manifest:
    """A sound one, of a dataset whose other files are not there."""
    request = Request(
        name="tiny", recipe_name="tiny", recipe=load_recipe("cifar10").canonical(), seed=0, copies=copies
    )
    splits = {
        "train": SplitCounts(sources=4, written=4, groups=2, augmented=True),
        "test": SplitCounts(sources=2, written=2, groups=1, augmented=False),
    }
    files = {name: File(bytes=9, sha256="0" * 64) for name in (FEATURES, LABELS, REJECTS)}
    for split, counts in splits.items():
        for copy in request.copies_of(augmented=counts.augmented):
            for shard in range(counts.groups):
                place = split, copy, shard, counts.groups
                files[shard_file("tiny", *place)] = File(bytes=90, sha256="1" * 64, records=2)
                files[samples_file(*place)] = File(bytes=900, sha256="2" * 64)
    return Manifest(
        schema_version=1,
        fingerprint=request.fingerprint({split: counts.groups for split, counts in splits.items()}),
        request=request,
        image_size=(32, 32),
        classes=("cat", "dog"),
        splits=splits,
        records=4 * copies + 2,
        rejects=0,
        ignored={".txt": 1},
        listing_digest="3" * 64,
        parity_class={"numpy": "2"},
        files=files,
    ).sealed()


def by_class() -> Manifest:
    """One whose classes have copies of their own; the images of cat get two, of those of dog one gets one."""
    request = manifest().request.model_copy(update={"copies": 1, "balance": 4, "group_by": "/(.)"})
    classes = {
        "cat": ClassCopies(sources=2, each=2),
        "dog": ClassCopies(sources=5, each=0, more=4, last=(7, "dog/3.png")),
    }
    found = tuple(tiers(classes.values(), originals=False, groups=lambda _: 1))
    train = SplitCounts(sources=7, written=6, groups=1, augmented=True, classes=classes, tiers=found)
    return manifest().model_copy(update={"request": request, "splits": {"train": train}}).sealed()


def receipt() -> Receipt:
    return Receipt(
        fingerprint="0" * 64,
        split="train",
        copy=1,
        shard=0,
        file=shard_file("tiny", "train", 1, 0, 2),
        bytes=90,
        sha256="1" * 64,
        records=2,
        parity_class={"numpy": "2"},
        sources="4" * 64,
        rejects=(Reject("cat/ü.png", "corrupt", "PNG data cannot be decoded"),),
    )


def _receipts() -> Iterator[bytes]:
    said = receipt()
    yield json.dumps({**said.__dict__, "rejects": [list(reject) for reject in said.rejects]}).encode()


def _shards() -> Iterator[bytes]:
    for records in ([], [b""], [b"one", b"", bytes(300)]):
        with tempfile.TemporaryDirectory() as folder, ShardWriter(f"{folder}/shard") as writer:
            for record in records:
                writer.write(framed(record))
            writer.finish()
            yield Path(f"{folder}/shard").read_bytes()


def _samples() -> Iterator[bytes]:
    columns = {"source": ["cat/1.png", "dog/2.png"], "label": [0, 1], "flip.horizontal": [True, None]}
    table = pa.table(columns)
    with tempfile.TemporaryDirectory() as folder:
        write_samples(f"{folder}/samples", columns, table.schema, receipt())
        yield Path(f"{folder}/samples").read_bytes()


def _work() -> Iterator[bytes]:
    request = manifest().request
    listing = Listing().add(Folder("cat", "train", "cat")).add(Folder("dog", "train", "dog"))
    for number in range(4):
        listing.add(Source(f"cat/{number}.png", "train", "cat", 100))
        listing.add(Source(f"dog/{number}.png", "train", "dog", 100))
    yield make_plan(request, listing, None).model_dump_json().encode()
    yield Job(project="p", region="r", id="1", name="tiny", request=request).model_dump_json().encode()
    yield Outcome(errors=("no",), warnings=("mind",), kept=3, seconds=0.5).model_dump_json().encode()


def _beside() -> Iterator[bytes]:
    things = [
        {
            "id": 1,
            "image_id": 2,
            "category_id": 3,
            "bbox": [0.5, 1, 2, 1.25],
            "iscrowd": 0,
            "segmentation": [[0, 0, 1, 0, 1.5, 2]],
            "keypoints": [1, 1, 2],
        }
    ]
    images = [
        {"id": n, "file_name": f"{name}.png", "height": 3, "width": 4} for n, name in ((1, "a"), (2, "b"))
    ]
    categories = [{"id": 3, "name": "cat", "keypoints": ["nose"]}]
    yield json.dumps({"images": images, "annotations": things, "categories": categories}).encode()
    yield b"0 0.5 0.5 0.25 1\n1 0.1 0.1 0.2 0.1 0.2 0.3\n"
    yield b"0 0.5 0.5 0.25 1 0.5 0.5 2\n"
    yield b"train: images\nnames: {0: cat}\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
    box = b"<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax></bndbox>"
    thing = b"<object><name>cat</name>" + box + b"<difficult>1</difficult></object>"
    yield b"<annotation><size><width>4</width><height>3</height></size>" + thing + b"</annotation>"
    yield b'file_name,label,labels,age\na.png,cat,x|y,3\nb.png,dog,,"4, 5"\n'
    yield b'{"file_name": "a.png", "label": 1, "labels": ["x"]}\n{"file_name": "b.png", "n": 1.5}\n'
    file = io.BytesIO()
    pq.write_table(pa.table({"file_name": ["a.png", "b.png"], "label": [1, 2]}), file)
    yield file.getvalue()


def _tars() -> Iterator[bytes]:
    dot = codec.encode_png(np.zeros((3, 4, 3), np.uint8))
    for form, name in (
        (tarfile.USTAR_FORMAT, "a"),
        (tarfile.GNU_FORMAT, "b" * 120),
        (tarfile.PAX_FORMAT, "ü"),
    ):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as tar:
            for kind, content in (("png", dot), ("cls", b"3"), ("json", b'{"n": 1}'), ("seg.png", dot)):
                about = tarfile.TarInfo(f"{name}.{kind}")
                about.size = len(content)
                tar.addfile(about, io.BytesIO(content))
        yield file.getvalue()[:6000]


def _examples() -> Iterator[bytes]:
    dot = codec.encode_png(np.zeros((3, 4, 3), np.uint8))
    entries = [
        entry_of_bytes(b"image", dot),
        entry_of_numbers(b"label", [3]),
        entry_of_floats(b"objects/bbox", np.array([0, 0, 0.5, 1])),
        entry_of_numbers(b"objects/label", [300]),
        entry_of_bytes(b"segmentation_mask", dot),
        entry_of_bytes(b"name", b"a"),
    ]
    yield features(b"".join(entries[:2]))
    yield features(b"".join(entries))


def _containers() -> Iterator[bytes]:
    yield from _tars()
    yield from _examples()
    split = b'{"name": "train", "shardLengths": ["1"], "filepathTemplate": "{DATASET}-{SPLIT}"}'
    yield b'{"name": "a", "splits": [' + split + b"]}"
    boxes = '{"bbox": {"boundingBox": {}}, "label": {"classLabel": {"numClasses": "2"}}}'
    said = f'"objects": {{"sequence": {{"feature": {{"featuresDict": {{"features": {boxes}}}}}}}}}'
    said += ', "label": {"classLabel": {"numClasses": "2"}}, "image": {"image": {"dtype": "uint8"}}'
    yield f'{{"featuresDict": {{"features": {{{said}}}}}}}'.encode()


_MADE = {
    "image": _images,
    "exif": _tags,
    "tags": _tags,
    "parts": _images,
    "record": _records,
    "recipe": _recipes,
    "manifest": lambda: iter([manifest().content(), by_class().content()]),
    "receipt": _receipts,
    "tfrecord": _shards,
    "samples": _samples,
    "work": _work,
    "targets": _targets,
    "annotation": _annotations,
    "beside": _beside,
    "tar": _tars,
    "example": _examples,
    "container": _containers,
}
