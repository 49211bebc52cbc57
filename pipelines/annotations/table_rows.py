"""The rows of a table, whichever kind of file it is: CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, BinaryIO

from pipelines import storage
from pipelines.annotations.files import lines_of
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation, first_of_two, is_text, shown
from pipelines.sources.rules import extension
from pipelines.sources.words import listed

FILE_NAME = "file_name"

Row = tuple[int, Mapping[str, Any]]
"""Its number, by which a person finds it, and its values by column; without those that are empty."""


def rows_of(path: str) -> Iterator[Row]:
    """Every row has a file_name, and is read when it is asked for. Raises BadFile, and OSError."""
    read = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}[extension(path)]
    for number, row in read(path):
        if row.get(FILE_NAME) is None:
            there = listed(list(row)) if row else "nothing"
            raise BadFile(f"has no {FILE_NAME} in row {number}, which has {there}; each row must have one")
        yield number, row


def columns_of(path: str) -> list[str]:
    """By the head of a table, or by the first row of JSON lines. Raises BadFile, and OSError."""
    if extension(path) == ".csv":
        with storage.at(path).open() as file:
            names = _head(csv.reader(_text(file), strict=True))
    elif extension(path) == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        with storage.at(path).open() as file:
            try:
                names = pq.ParquetFile(file).schema_arrow.names
            except (pa.ArrowException, ValueError) as error:
                raise BadFile(f"is no Parquet file ({_first_line(error)})") from None
    else:
        names = list(next((row for _, row in _json_lines(path)), {}))
    if FILE_NAME not in names:
        there = listed(names) if names else "none"
        raise BadFile(f"has no column {FILE_NAME!r}, which says of which image a row is; it has {there}")
    return names


def text_of(value: Any) -> str:
    """A value of a column as text: a text as it is, a number as it was written, all else as JSON.

    Raises BadAnnotation for bytes, and for lists in lists without an end.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict) or value is None:
        try:
            return json.dumps(
                value, ensure_ascii=False, separators=(",", ":"), default=_within, sort_keys=True
            )
        except RecursionError:
            raise BadAnnotation("has a column in which one thing lies too deep in others") from None
    if isinstance(value, bytes):
        raise BadAnnotation("has bytes in a column, which must hold texts or numbers")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _within(value: Any) -> float | str:
    """What JSON has no form for, within a list or an object: fractions are numbers there."""
    fraction = float(value) if isinstance(value, Decimal) else math.inf
    return fraction if math.isfinite(fraction) else text_of(value)


def _csv(path: str) -> Iterator[Row]:
    with storage.at(path).open() as file:
        reader = csv.reader(_text(file), strict=True)
        try:
            names = _head(reader)
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(names):
                    raise BadFile(
                        f"has {len(fields)} fields in line {reader.line_num}, for {len(names)} columns"
                    )
                yield reader.line_num, {name: text for name, text in zip(names, fields, strict=True) if text}
        except csv.Error as error:
            raise BadFile(f"is no CSV: {error}, in line {reader.line_num}") from None
        except UnicodeDecodeError as error:
            raise BadFile(f"is not UTF-8 ({error.reason})") from None


def _text(file: BinaryIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8-sig", newline="")


def _head(reader: Any) -> list[str]:
    try:
        names = [name.strip() for name in next(reader, [])]
    except UnicodeDecodeError as error:
        raise BadFile(f"is not UTF-8 ({error.reason})") from None
    except csv.Error as error:
        raise BadFile(f"is no CSV: {error}, in line 1") from None
    twice = first_of_two(names)
    if twice is not None:
        raise BadFile(f"has two columns {twice!r}")
    return names


def _json_lines(path: str) -> Iterator[Row]:
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        row = object_in(line)
        if row is None:
            raise BadFile(f"has {shown(line)} in line {number}, where a JSON object, {{...}}, is due")
        yield number, row


def object_in(text: str) -> dict[str, Any] | None:
    """A JSON object, without values that are null and with fractions as they are written; None for none."""
    try:
        found = json.loads(text, parse_float=Decimal)
        if not isinstance(found, dict) or ("\\u" in text and not is_text(text_of(found))):
            return None
    except (ValueError, RecursionError):
        return None
    return {name: value for name, value in found.items() if value is not None}


def _parquet(path: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with storage.at(path).open() as file:
        try:
            for batch in pq.ParquetFile(file).iter_batches(1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: value for name, value in row.items() if value is not None}
        except (pa.ArrowException, ValueError) as error:
            raise BadFile(f"is no Parquet file ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
