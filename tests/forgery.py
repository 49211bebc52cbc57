"""Changing a materialized dataset by hand, as carelessly or as carefully as a test wants."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.format import tfds
from pipelines.format.digests import SourcesDigest
from pipelines.format.example import Record, serialize, unpack
from pipelines.format.manifest import Manifest, json_text, open_manifest
from pipelines.format.records import ShardReader, ShardWriter, framed
from pipelines.format.samples import Receipt, SamplesWriter, read_receipt
from pipelines.sources import Reject


class Forger:
    """One dataset directory."""

    def __init__(self, out: Path) -> None:
        self.out = out

    @property
    def manifest(self) -> Manifest:
        return open_manifest(str(self.out))[0]

    def flip(self, name: str, at: int) -> None:
        """One bit of one byte; `at` may count from the end."""
        content = bytearray((self.out / name).read_bytes())
        content[at] ^= 1
        (self.out / name).write_bytes(content)

    def swap(self, one: str, other: str) -> None:
        first, second = ((self.out / name).read_bytes() for name in (one, other))
        (self.out / one).write_bytes(second)
        (self.out / other).write_bytes(first)

    def records(self, name: str) -> list[Record]:
        return [unpack(frame.data) for frame in ShardReader(str(self.out / name), self.manifest.image_size)]

    def put_records(self, name: str, records: list[Record]) -> None:
        """With valid lengths and CRCs."""
        with ShardWriter(str(self.out / "forged")) as writer:
            for record in records:
                writer.write(framed(serialize(**record._asdict())))
            writer.finish()
            (self.out / "forged").replace(self.out / name)

    def change_record(self, name: str, number: int, **changes: Any) -> None:
        records = self.records(name)
        records[number] = records[number]._replace(**changes)
        self.put_records(name, records)

    def rows(self, name: str) -> list[dict[str, Any]]:
        return pq.ParquetFile(self.out / name).read().to_pylist()

    def put_rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Numbered anew, with the receipt as it was."""
        path = self.out / name
        receipt, schema = read_receipt(str(path)), pq.read_schema(path)
        for number, row in enumerate(rows):
            row["record"] = number
        columns = {column: [row[column] for row in rows] for column in schema.names}
        write_samples(str(path), columns, schema, receipt)

    def change_row(self, name: str, number: int, **changes: Any) -> None:
        rows = self.rows(name)
        rows[number] |= changes
        self.put_rows(name, rows)

    def put_manifest(self, change: Callable[[dict[str, Any]], object]) -> None:
        """As `change` leaves it, whatever that is, with a digest that fits."""
        document = json.loads((self.out / "manifest.json").read_text())
        change(document)
        document.pop("digest", None)
        digest = hashlib.sha256(json_text(document).encode()).hexdigest()
        (self.out / "manifest.json").write_text(json_text({**document, "digest": digest}))

    def cover_up(self, *names: str, **receipt_changes: Any) -> None:
        """Makes receipts, manifest and their digests fit shards that were changed, and their rows."""
        for name in names:
            samples = samples_of(name)
            shard = self.out / name
            receipt = read_receipt(str(self.out / samples))
            table = pq.ParquetFile(self.out / samples).read()
            forged = dataclasses.replace(
                receipt,
                sources=sources_digest(table.to_pylist(), receipt_changes.get("rejects", receipt.rejects)),
                bytes=shard.stat().st_size,
                sha256=storage.at(str(shard)).digest(),
                records=len(self.records(name)),
                **receipt_changes,
            )
            bare = pa.schema(list(table.schema))
            write_samples(str(self.out / samples), table.to_pydict(), bare, forged)
            self.list_again(name, records=forged.records)
            self.list_again(samples)
        info = self.out / "dataset_info.json"
        info.write_text(
            json_text(
                tfds.dataset_info(
                    self.manifest.request.name, self.manifest.shard_lengths(), self.manifest.supervised
                )
            )
        )

    def list_again(self, name: str, records: int | None = None) -> None:
        """Puts a file's size and digest into the manifest."""
        path = self.out / name
        listed = {"bytes": path.stat().st_size, "sha256": storage.at(str(path)).digest()}
        if records is not None:
            listed["records"] = records
        self.put_manifest(lambda document: document["files"].update({name: listed}))


def write_samples(path: str, columns: dict[str, Any], schema: pa.Schema, receipt: Receipt) -> None:
    """A whole samples file at once."""
    with SamplesWriter(path + ".new", schema) as writer:
        writer.write(columns)
        writer.finish(receipt)
        Path(writer.path).replace(path)


def sources_digest(rows: list[dict[str, Any]], rejects: tuple[Reject, ...]) -> str:
    """What a receipt says of rows and rejects."""
    digest = SourcesDigest()
    columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {"source_sha256": []}
    for row, its in zip(rows, SourcesDigest.of_columns(columns), strict=True):
        digest.add(row["source"], its)
    return digest.hexdigest(rejects)


def samples_of(shard: str) -> str:
    """The samples file of a shard."""
    _, _, rest = shard.partition("-")
    return f"samples/{rest.replace('.tfrecord', '')}.parquet"
