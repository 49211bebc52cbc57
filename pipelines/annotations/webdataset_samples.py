"""The samples of a WebDataset tar: which files are one, and what the files beside an image say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from augment.codec.formats import EXTENSIONS
from pipelines.annotations.numbers import BadAnnotation, shown
from pipelines.annotations.table_rows import object_in
from pipelines.containers.tar import Member, Unended
from pipelines.sources import is_id
from pipelines.sources.found import Ignored, Reject
from pipelines.sources.rules import dropped_as

LABEL, LABELS = "label", "labels"

MASKS = ("seg.png", "mask.png")
SAYING = frozenset(("cls", "json", "txt"))
"""The files that say something of an image."""

_LONGEST = 1 << 20
"""Of what is read beside an image, in bytes."""

Pread = Callable[[int, int], bytes]
"""So many bytes of a file from a place on."""


class Part(NamedTuple):
    """A file of a sample."""

    name: str
    """within its tar"""
    offset: int
    size: int


class Sample(NamedTuple):
    """The files of one name, each by what stands behind its first dot, in lower case."""

    name: str
    files: dict[str, Part]

    @property
    def images(self) -> list[Part]:
        """Those that are images by their extension, without masks."""
        return [part for kind, part in self.files.items() if f".{kind}" in EXTENSIONS]

    @property
    def mask(self) -> Part | None:
        return next((self.files[kind] for kind in MASKS if kind in self.files), None)

    @property
    def others(self) -> list[str]:
        """The kinds of those that nobody reads."""
        used = {*SAYING, *MASKS}
        return sorted(kind for kind in self.files if kind not in used and f".{kind}" not in EXTENSIONS)


def samples_in(found: Iterator[Member], pending: list[Sample]) -> Iterator[Sample | Reject | Ignored]:
    """The samples of a tar, each when its last file has come, and what becomes of other members.

    `pending` has the one whose files are coming. Names and ids are as within the tar. Raises what `found`
    does; before Unended comes the last sample, which is whole as far as the tar goes.
    """
    try:
        for member in found:
            if member.kind == "folder":
                continue
            name = _decoded(member.name)
            if name is None or not is_id(name):
                shown_name = quote_from_bytes(member.name)
                yield Reject(shown_name, "bad_name", "its name is not UTF-8, or no path that goes down only")
                continue
            if kind := dropped_as(name):
                yield Ignored(kind)
                continue
            if member.kind != "file":
                yield Reject(name, "not_a_file", "it is a link, a device, or a file with holes")
                continue
            folder, slash, last = name.rpartition("/")
            stem, _, extension = last.partition(".")
            key = folder + slash + stem
            if pending and pending[0].name != key:
                yield pending.pop()
            if not pending:
                pending.append(Sample(key, {}))
            if extension.lower() in pending[0].files:
                yield Reject(name, "named_twice", "its sample has two files of this name")
            else:
                pending[0].files[extension.lower()] = Part(name, member.offset, member.size)
    except Unended:
        if pending:
            yield pending.pop()
        raise
    if pending:
        yield pending.pop()


def _decoded(name: bytes) -> str | None:
    try:
        return name.decode().removeprefix("./")
    except UnicodeDecodeError:
        return None


def row_of(sample: Sample, read: Pread) -> dict[str, Any]:
    """What stands beside an image, as a row of a table has it. Raises BadAnnotation."""
    row: dict[str, Any] = {}
    if "json" in sample.files:
        found = object_in(text := _text(sample, "json", read))
        if found is None:
            raise BadAnnotation(f"has {shown(text)} in its json, where a JSON object, {{...}}, is due")
        row = found
    if "txt" in sample.files:
        row["txt"] = _text(sample, "txt", read)
    if "cls" in sample.files:
        row[LABEL] = _text(sample, "cls", read).strip()
    return row


def _text(sample: Sample, kind: str, read: Pread) -> str:
    part = sample.files[kind]
    if part.size > _LONGEST:
        raise BadAnnotation(f"has a {kind} of {part.size:,} bytes; at most {_LONGEST:,} are read")
    try:
        return read(part.offset, part.size).decode()
    except UnicodeDecodeError:
        raise BadAnnotation(f"has a {kind} that is not UTF-8") from None


def class_in(given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise BadAnnotation(f"has the class {shown(given)}; it must be a word or a whole number")
    return str(given)
