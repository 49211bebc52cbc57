"""Inputs with annotations, written out as their users have them, and what is found in them."""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.testing.util import assert_that

from augment import codec
from augment.targets import Annotation, Vocabulary
from pipelines.annotations import annotations_of, everything_annotated
from pipelines.annotations.transform import ListAnnotated
from pipelines.sources import Folder, Found, Guess, Ignored, Reject, Source
from pipelines.sources.found import Listing


@functools.cache
def png(height: int = 4, width: int = 6) -> bytes:
    return codec.encode_png(np.zeros((height, width, 3), np.uint8))


def put(root: Path, *names: str, content: bytes | str | None = None) -> None:
    """Files below a folder: images, unless their content is given."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            png() if content is None else content.encode() if isinstance(content, str) else content
        )


def put_json(root: Path, name: str, content: Any) -> None:
    put(root, name, content=json.dumps(content))


class Seen(NamedTuple):
    """What is found in an input with annotations."""

    sources: dict[str, Source]
    rejects: dict[str, tuple[str, str]]
    """by source: reason and detail"""
    vocabulary: Vocabulary | None
    refused: list[str]
    places: dict[tuple[str, str], int]
    """images by split and class"""
    passed_over: dict[str, int]

    def annotation(self, source: str) -> Annotation:
        return Annotation.unpacked(self.sources[source].annotation)


def found_in(root: Path, path: str, *, fractions: Any = None, group_by: str | None = None) -> Counter:
    annotations = annotations_of(str(root / path))
    return Counter(everything_annotated(str(root), annotations, fractions, group_by))


def look(root: Path, path: str = "annotations", **settings: Any) -> Seen:
    return seen(found_in(root, path, **settings))


def seen(found: Counter[Found | Folder]) -> Seen:
    listing = Listing()
    for one, count in found.items():
        for _ in range(count):
            listing.add(one)
    rejects = [one for one in found if isinstance(one, Reject)]
    assert all(found[one] == 1 for one in found if isinstance(one, Source | Reject))
    assert len({one.source for one in rejects}) == len(rejects)
    return Seen(
        {one.id: one for one in found if isinstance(one, Source)},
        {one.source: (one.reason, one.detail) for one in rejects},
        listing.vocabulary,
        sorted(one.sentence for one in found if isinstance(one, Guess) and one.refused),
        listing.counts,
        dict(Counter(one.kind for one in found.elements() if isinstance(one, Ignored))),
    )


def assert_beam_finds_the_same(root: Path, path: str, waiting: str = "", **settings: Any) -> None:
    """The job's listing, each step by workers, and what was found in memory."""
    expected = found_in(root, path, **settings)

    def same(found: list[Found | Folder]) -> None:
        assert Counter(found) == expected

    annotations = annotations_of(str(root / path))
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        by = (settings.get("fractions"), settings.get("group_by"))
        assert_that(pipeline | ListAnnotated(str(root), annotations, *by, waiting), same)
