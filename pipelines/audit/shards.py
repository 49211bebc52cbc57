"""One shard with its samples file: bytes, records, rows, receipt, order, labels and draws.

Nothing here needs a source. Each record is read once; its pixels are decoded, and compared
with their digest where storage keeps them as they were.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa

from augment.augmenter import CORES
from augment.by_class import ByClass
from pipelines import storage
from pipelines.audit import align, samples_table
from pipelines.audit.decoding import Decoder
from pipelines.audit.files import check_file
from pipelines.audit.findings import Audit, Finding
from pipelines.format.digests import SourcesDigest, bytes_digest
from pipelines.format.example import Record, unpack
from pipelines.format.inside import path_in
from pipelines.format.layout import samples_file, shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.records import ShardReader
from pipelines.format.samples import Receipt, read_receipt, read_samples
from pipelines.format.targets import moved_of
from pipelines.sources import Reject

_DECODED_AT_ONCE = 1 << 23  # levels: 8 MB a thread


_NO_CRC = "crc", "its data do not have their CRC"
_NO_IMAGE = "its image cannot be decoded to the size that the manifest says"
_NO_RECORD = "record", "it is no record of ours: it must be an Example with all that features.json says"


class ShardPlace(NamedTuple):
    """Which shard."""

    split: str
    copy: int
    number: int


class RecordRead(NamedTuple):
    """A record that was read."""

    number: int
    """in its shard"""
    start: int
    """where its bytes begin in the file"""
    length: int
    image: str | None
    """as `Decoder.digests` has it"""


@dataclasses.dataclass
class Shard:
    """A shard as far as it could be read."""

    place: ShardPlace
    file: str
    samples_file: str
    receipt: Receipt | None = None
    rows: pa.Table | None = None
    """the samples file's; None if it cannot be read"""
    record_of: dict[int, RecordRead] = dataclasses.field(default_factory=dict)
    """of rows that have a sound record"""
    proven: set[int] = dataclasses.field(default_factory=set)
    """rows whose record holds the very bytes that encoding what was derived gives"""

    def record(self, directory: str, row: int) -> Record | None:
        """The record that a row describes."""
        read = self.record_of.get(row)
        if read is None:
            return None
        with storage.at(directory).open(self.file) as file:
            file.seek(read.start)
            return unpack(file.read(read.length))


@dataclasses.dataclass
class _Stored:
    """What is remembered of a record while its shard is read."""

    start: int
    length: int
    source: str | None = None
    """None where it cannot be read"""
    label: int = 0
    copy: int = 0
    image: str | None = None
    """as `Decoder.digests` has it"""
    targets: str = ""
    """digest of what it has beside the image, in datasets with targets"""


class ShardChecker:
    """Checks shard after shard of one dataset.

    Args:
        audit: takes what is found.
        progress: is called with each number of records done.
        images_later: whether `check_images` follows, once nearly all are proven: then it decodes the rest.
    """

    def __init__(
        self,
        audit: Audit,
        manifest: Manifest,
        augmenters: ByClass,
        progress: Callable[[int], object],
        *,
        images_later: bool = False,
    ) -> None:
        self._audit, self._manifest, self._recipe = audit, manifest, augmenters.recipe
        self._checker = samples_table.RowChecker(audit, manifest, augmenters)
        self._progress = progress
        self._pool = ThreadPoolExecutor(CORES)
        self._decoder, self._images_later = Decoder(augmenters), images_later
        self._owner = {file.sha256: name for name, file in manifest.files.items() if file.records}

    def check(self, place: ShardPlace) -> Shard:
        split, copy, number = place
        name, groups = self._manifest.request.name, self._manifest.groups(split, copy)
        shard = Shard(
            place=place,
            file=shard_file(name, split, copy, number, groups),
            samples_file=samples_file(split, copy, number, groups),
        )
        self._read_samples(shard)
        if shard.rows is not None:
            self._checker.check(shard.samples_file, shard.rows, split, copy, number)
        self._read_records(shard)
        return shard

    def compare_copies(self, shards: Sequence[Shard]) -> None:
        """Whether all copies of a group say the same of their sources."""
        readable = [(shard, shard.rows) for shard in shards if shard.rows is not None]
        for shard, table in readable[1:]:
            first, base = readable[0]
            samples_table.compare_copies(
                self._audit, first.samples_file, base, shard.samples_file, table, shard.place.copy
            )

    def _found(self, kind: str, message: str, shard: Shard, record: int | None, source: str | None) -> None:
        self._audit.findings.add(Finding(kind, message, shard.file, record, source, shard.place.copy))

    def _read_samples(self, shard: Shard) -> None:
        audit, listed = self._audit, self._manifest.files[shard.samples_file]
        try:
            path = path_in(audit.directory, shard.samples_file)
            size = storage.at(path).size()
            if size is None:
                audit.findings.add(Finding("missing", "the file is not there", shard.samples_file))
                return
            check_file(audit, shard.samples_file, listed, size, storage.at(path).digest())
            with storage.at(path).open() as opened:
                table = read_samples(opened)
        except (OSError, ValueError) as error:
            message = f"it cannot be read as Parquet ({_first_line(error)})"
            audit.findings.add(Finding("unreadable", message, shard.samples_file))
            return
        if not table.schema.equals(self._checker.schema, check_metadata=False):
            message = "its columns are not those that the recipe's ops give"
            audit.findings.add(Finding("columns", message, shard.samples_file))
            return
        empty = [field.name for field in table.schema if not field.nullable and table[field.name].null_count]
        if empty:
            message = f"{', '.join(empty)} must not be empty in any row"
            audit.findings.add(Finding("columns", message, shard.samples_file))
            return
        shard.rows = table
        shard.receipt = read_receipt(path)
        self._check_receipt(shard)

    def _check_receipt(self, shard: Shard) -> None:
        manifest, receipt, place = self._manifest, shard.receipt, shard.place
        if receipt is None:
            message = "it has no receipt that can be read"
            self._audit.findings.add(Finding("receipt", message, shard.samples_file))
            return
        listed = manifest.files[shard.file]
        expected = {
            "fingerprint": manifest.fingerprint,
            "split": place.split,
            "copy": place.copy,
            "shard": place.number,
            "file": shard.file,
            "bytes": listed.bytes,
            "sha256": listed.sha256,
            "records": listed.records,
            "parity_class": manifest.parity_class,
        }
        for field, value in expected.items():
            if getattr(receipt, field) != value:
                message = (
                    f"its receipt has {field} {getattr(receipt, field)!r}; by the manifest it is {value!r}"
                )
                self._audit.findings.add(Finding("receipt", message, shard.samples_file))
        if shard.rows is not None and receipt.sources != _sources_digest(shard.rows, receipt.rejects):
            message = "its receipt is for other sources than it has rows and rejects of"
            self._audit.findings.add(Finding("receipt", message, shard.samples_file))

    def _read_records(self, shard: Shard) -> None:
        sources = None if shard.rows is None else shard.rows.column("source").to_pylist()
        try:
            path = path_in(self._audit.directory, shard.file)
            if storage.at(path).size() is None:
                self._found("missing", "the file is not there", shard, None, None)
                return
            reader = ShardReader(path, self._manifest.image_size)
            stored = list(self._stored(shard, reader, sources))
        except OSError as error:
            self._found("unreadable", f"it cannot be read ({_first_line(error)})", shard, None, None)
            return
        self._audit.checked["records"] += len(stored)
        if reader.damage:
            at = len(stored)
            source = sources[at] if sources and at < len(sources) else None
            lost = (self._manifest.files[shard.file].records or 0) - at
            rest = f"{lost} records from here on cannot be read" if lost > 0 else "it is behind the last one"
            message = f"{reader.damage}; {rest}"
            self._found("framing", message, shard, at, source)
        listed = self._manifest.files[shard.file]
        if not check_file(self._audit, shard.file, listed, reader.size, reader.sha256, self._owner):
            return
        if shard.rows is None or sources is None:
            self._checker.check_order(
                shard.file, [s.source or "" for s in stored if s.source is not None], *shard.place
            )
            return
        self._compare(shard, shard.rows, stored, sources, whole=not reader.damage)

    def _stored(self, shard: Shard, reader: ShardReader, sources: list[str] | None) -> Iterator[_Stored]:
        """Every record in order, its pixels decoded by threads a block at a time."""
        height, width = self._recipe.image_size
        block = max(1, min(64, _DECODED_AT_ONCE // (3 * height * width)))
        waiting: collections.deque[tuple[list[_Stored], Future[list[str | None]]]] = collections.deque()
        pending: list[_Stored] = []
        images: list[bytes | None] = []

        def submit() -> None:
            nonlocal pending, images
            waiting.append((pending, self._pool.submit(self._digests, images)))
            pending, images = [], []

        def done() -> Iterator[_Stored]:
            block, digests = waiting.popleft()
            for item, digest in zip(block, digests.result(), strict=True):
                item.image = digest
                yield item
            self._progress(len(block))

        for number, frame in enumerate(reader):
            item, image = _Stored(frame.start, len(frame.data)), None
            record = unpack(frame.data) if frame.sound else None  # damaged names name nothing
            if record is not None and self._is_ours(record):
                item.targets = bytes_digest(record.targets) if self._manifest.targets else ""
                item.source, item.label, item.copy = record.source, record.label or 0, record.copy
                image = record.image
            else:
                source = sources[number] if sources and number < len(sources) else None
                kind, message = _NO_RECORD if frame.sound else _NO_CRC
                self._found(kind, message, shard, number, source)
            pending.append(item)
            images.append(image)
            if len(pending) == block:
                submit()
            if len(waiting) > CORES:
                yield from done()
        submit()
        while waiting:
            yield from done()

    def _digests(self, images: Sequence[bytes | None]) -> list[str | None]:
        if self._images_later:
            return [None if image is None else bytes_digest(image) for image in images]
        return self._decoder.digests(images)

    def check_images(self, shard: Shard) -> None:
        """Whether the images can be decoded of all records that are not proven."""
        if not self._images_later:
            return
        for row, read in shard.record_of.items():
            if row in shard.proven:
                continue
            record = shard.record(self._audit.directory, row)
            if record is None or self._decoder.stored(record.image) is None:
                self._found("image", _NO_IMAGE, shard, read.number, record and record.source)

    def _is_ours(self, record: Record) -> bool:
        if (record.label is not None) != self._manifest.labeled:
            return False
        if self._manifest.targets is None:
            return not record.targets
        try:
            moved_of(record.targets, self._manifest.targets, self._manifest.image_shape)
        except ValueError:
            return False
        return True

    def _compare(
        self, shard: Shard, table: pa.Table, stored: list[_Stored], sources: list[str], *, whole: bool
    ) -> None:
        """Records with rows, one to one."""
        found = align.align([item.source for item in stored], sources, whole=whole)
        for number in found.repeated:
            self._found(
                "duplicated", "the record stands twice in the shard", shard, number, stored[number].source
            )
        for number in found.stray:
            message = (
                f"the samples table has no such record here{self._belongs(shard, stored[number].source)}"
            )
            self._found("stray", message, shard, number, stored[number].source)
        for row in found.missing:
            self._found(
                "removed", "the samples table has it, and the shard has not", shard, row, sources[row]
            )
        for number, row in found.moved:
            message = f"the record was moved: the samples table has it as record {row}"
            self._found("moved", message, shard, number, sources[row])
        labels, digests = (table.column(name).to_pylist() for name in ("label", "pixels_blake3"))
        lossless = self._recipe.storage.format != "jpeg"
        targets = table["targets_blake3"].to_pylist() if self._manifest.targets else [""] * len(table)
        for number, row in found.pairs:
            item = stored[number]
            if item.source is None:
                continue
            shard.record_of[row] = RecordRead(number, item.start, item.length, item.image)
            if item.label != labels[row]:
                message = f"its label is {item.label}, in the samples table {labels[row]}"
                self._found("label", message, shard, number, item.source)
            if item.copy != shard.place.copy:
                message = f"its copy is {item.copy}; the shard's is {shard.place.copy}"
                self._found("copy", message, shard, number, item.source)
            if item.targets != targets[row]:
                message = "its targets do not have the digest that the samples table has"
                self._found("targets", message, shard, number, item.source)
            elif item.targets:
                self._audit.checked["targets"] += 1
            if item.image is None:
                self._found("image", _NO_IMAGE, shard, number, item.source)
            elif lossless and item.image != digests[row]:
                message = "its pixels do not have the digest that the samples table has"
                self._found("pixels", message, shard, number, item.source)
            elif lossless:
                self._audit.checked["pixels"] += 1

    def _belongs(self, shard: Shard, source: str | None) -> str:
        """Where a record that stands in the wrong shard belongs."""
        if source is None:
            return ""
        number = self._checker.group(shard.place.split, shard.place.copy, source)
        return "" if number == shard.place.number else f"; it belongs to shard {number}"


def _sources_digest(rows: pa.Table, rejects: Sequence[Reject]) -> str:
    digest, names = SourcesDigest(), ("source", "source_sha256", "annotation_sha256")
    columns = {name: rows[name].to_pylist() for name in names if name in rows.column_names}
    for source, its in zip(columns["source"], SourcesDigest.of_columns(columns), strict=True):
        digest.add(source, its)
    return digest.hexdigest(rejects)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
