"""Inputs whose images lie in containers, written out, and what is found in them."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.testing.util import assert_that

from pipelines.annotations import annotations_for, everything_annotated
from pipelines.annotations.transform import ListAnnotated
from pipelines.format.example import entry_of_bytes, entry_of_floats, entry_of_numbers, features
from pipelines.format.records import framed
from pipelines.sources import read_source
from tests.pipelines.annotated import Seen, put, seen

Files = Mapping[str, bytes | str]


def put_tar(root: Path, name: str, files: Files) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / name, "w") as tar:
        for member, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            about = tarfile.TarInfo(member)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))


def record(**values: Any) -> bytes:
    """An Example; names have __ for each slash."""
    entries = []
    for name, value in values.items():
        key = name.replace("__", "/").encode()
        if isinstance(value, bytes | str):
            entries.append(entry_of_bytes(key, value if isinstance(value, bytes) else value.encode()))
        elif np.asarray(value).dtype.kind == "f":
            entries.append(entry_of_floats(key, np.asarray(value)))
        else:
            entries.append(entry_of_numbers(key, np.atleast_1d(value).tolist()))
    return features(b"".join(entries))


def put_records(root: Path, name: str, *records: bytes) -> None:
    put(root, name, content=b"".join(map(framed, records)))


def found_in(root: Path, given: str | None = None, fractions: Any = None) -> Counter:
    known = annotations_for(str(root), given)
    assert known is not None
    return Counter(everything_annotated(str(root), known, fractions))


def look(root: Path, given: str | None = None, fractions: Any = None) -> Seen:
    return seen(found_in(root, given, fractions))


def assert_beam_finds_the_same(root: Path, fractions: Any = None) -> None:
    known, expected = annotations_for(str(root), None), found_in(root, fractions=fractions)
    assert known is not None

    def same(found: list[Any]) -> None:
        assert Counter(found) == expected

    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        assert_that(pipeline | ListAnnotated(str(root), known, fractions), same)


def contents(root: Path, found: Seen) -> dict[str, bytes]:
    return {name: read_source(str(root), source.where) for name, source in found.sources.items()}
