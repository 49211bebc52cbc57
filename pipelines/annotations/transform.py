"""The listing of an input with annotations, as steps of a pipeline."""

from __future__ import annotations

import itertools
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from augment.errors import RequestError
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.pieces import Keyed, Piece, Said
from pipelines.annotations.reader import Reader, Task, View
from pipelines.annotations.steps import begin, finished, reader_of
from pipelines.annotations.walking import files_below, pictures
from pipelines.packets import Packets, things_of
from pipelines.packets.steps import PackByKey
from pipelines.plan.splitting import in_splits
from pipelines.sources.found import Folder, Found
from pipelines.sources.listing import children


class ListAnnotated(beam.PTransform):
    """An input directory with annotations to what is found in it; workers share its folders and files.

    At the beginning of a pipeline, or behind one element that comes once there is something to be listed.

    Args:
        root: absolute, or a URL.
        annotations: what lies beside the images.
        fractions: of the splits that are made, where there are none.
        group_by: what these do not tear, as in a request.
        waiting: where on the machine of all workers packets wait, as in `Packets`; empty: nowhere.
    """

    def __init__(
        self,
        root: str,
        annotations: Annotations,
        fractions: dict[str, str] | None = None,
        group_by: str | None = None,
        waiting: str = "",
    ) -> None:
        super().__init__()
        for name, path in (("root", root), ("annotations", annotations.path)):
            if path != storage.at(path).absolute():
                raise RequestError(
                    f"{name} is {path!r}; it must be absolute, or a URL: workers have other folders"
                )
        self.root, self.beside, self.fractions, self.group_by = root, annotations, fractions, group_by
        self.waiting = waiting

    def expand(self, start: beam.pvalue.PBegin | beam.PCollection[Any]) -> beam.PCollection[Found | Folder]:
        begins = isinstance(start, beam.pvalue.PBegin)
        reader = reader_of(self.root, self.beside)
        root = start | "Root" >> beam.Impulse() if begins else start
        begun = root | "Begin" >> beam.ParDo(
            _Begin(self.root, reader, self.fractions, self.waiting)
        ).with_outputs(_VIEWS, main=_PARTS)
        read = (
            begun[_PARTS]
            | "Share" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(
                _Read(self.root, reader, self.fractions, self.group_by), beam.pvalue.AsList(begun[_VIEWS])
            )
        )
        if reader.around:
            return read
        # What is no piece goes the same way: a Flatten would be a copy of everything that was found.
        return (
            read
            | "Pack" >> beam.ParDo(_Pack(self.waiting))
            | "By image" >> beam.GroupByKey()
            | "Join" >> beam.ParDo(_Join(reader, self.fractions, self.group_by))
        )


_PARTS, _VIEWS = "parts", "views"

Part = Task | str | bytes | Found | Folder
"""What one worker reads: annotations; a folder of the input by its name, or a packet of what lies beside
folders there, which may be all of it; or what was found before."""


class _Begin(beam.DoFn):
    def __init__(self, root: str, reader: Reader, fractions: dict[str, str] | None, waiting: str) -> None:
        self.root, self.reader, self.fractions, self.waiting = root, reader, fractions, waiting

    def process(self, _: Any) -> Iterator[Any]:
        for begun in begin(self.reader, self.fractions):
            if isinstance(begun, View):
                yield beam.pvalue.TaggedOutput(_VIEWS, begun)
            elif isinstance(begun, Task):
                yield begun
            else:
                yield from in_splits([begun], self.fractions, None)
        if self.reader.around:
            return
        beside = Packets[None](self.waiting)
        for one in children(self.root, ""):
            if isinstance(one, str):
                yield one
            else:
                yield from (packet for _, packet in beside.add(None, one, 0))
        yield from (packet for _, packet in beside.rest())


class _Read(beam.DoFn):
    def __init__(
        self, root: str, reader: Reader, fractions: dict[str, str] | None, group_by: str | None
    ) -> None:
        self.root, self.reader, self.fractions, self.group_by = root, reader, fractions, group_by

    def process(self, part: Part, views: list[View]) -> Iterator[Keyed | Found | Folder]:
        if isinstance(part, Found | Folder):
            yield part
            return
        if isinstance(part, Task):
            read: Iterable[Any] = self.reader.read(part)
        else:
            files = files_below(self.root, part) if isinstance(part, str) else things_of([part])
            read = pictures(files, {view.prefix: view for view in views}, self.reader.key)
        yield from in_splits(read, self.fractions, self.group_by)  # which leaves pieces as they are


@beam.typehints.with_output_types(tuple[int, bytes])
class _Pack(PackByKey):
    """Pieces, and what else was found, to packets of some of which the keys have one hash, by that."""

    HASHES = 256

    def process(self, one: Keyed | Found | Folder) -> Iterator[tuple[int, bytes]]:
        key, piece = one if isinstance(one, Keyed) else (repr(one), None)
        size = len(piece.annotation) if isinstance(piece, Said) else 0
        yield from self.packets.add(zlib.crc32(key.encode()) % self.HASHES, one, size + len(key))


class _Join(beam.DoFn):
    def __init__(self, reader: Reader, fractions: dict[str, str] | None, group_by: str | None) -> None:
        self.reader, self.fractions, self.group_by = reader, fractions, group_by

    def process(self, met: tuple[int, Iterable[bytes]]) -> Iterator[Found | Folder]:
        by_key: dict[str, list[Piece]] = defaultdict(list)
        for one in things_of(met[1]):
            if isinstance(one, Keyed):
                by_key[one.key].append(one.piece)
            else:
                yield one
        found = itertools.chain.from_iterable(
            finished(self.reader, key, pieces) for key, pieces in by_key.items()
        )
        yield from in_splits(found, self.fractions, self.group_by)
