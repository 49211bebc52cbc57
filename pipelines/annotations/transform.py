"""The listing of an input with annotations, as steps of a pipeline."""

from __future__ import annotations

import itertools
import pickle
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from augment.errors import RequestError
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.pieces import Keyed
from pipelines.annotations.reader import Reader, Task, View
from pipelines.annotations.steps import begin, finished, reader_of
from pipelines.annotations.walking import Top, pictures, top_of
from pipelines.plan.splitting import in_splits
from pipelines.sources.found import Folder, Found


class ListAnnotated(beam.PTransform):
    """An input directory with annotations to what is found in it; workers share its folders and files.

    At the beginning of a pipeline, or behind the directory's name, once there is something to be listed.

    Args:
        root: absolute, or a URL.
        annotations: what lies beside the images.
        fractions: of the splits that are made, where there are none.
        group_by: what these do not tear, as in a request.
    """

    def __init__(
        self,
        root: str,
        annotations: Annotations,
        fractions: dict[str, str] | None = None,
        group_by: str | None = None,
    ) -> None:
        super().__init__()
        for name, path in (("root", root), ("annotations", annotations.path)):
            if path != storage.at(path).absolute():
                raise RequestError(
                    f"{name} is {path!r}; it must be absolute, or a URL: workers have other folders"
                )
        self.root, self.beside, self.fractions, self.group_by = root, annotations, fractions, group_by

    def expand(self, start: beam.pvalue.PBegin | beam.PCollection[str]) -> beam.PCollection[Found | Folder]:
        begins = isinstance(start, beam.pvalue.PBegin)
        reader = reader_of(self.root, self.beside)
        root = start | "Root" >> beam.Create([self.root]) if begins else start
        begun = root | "Begin" >> beam.ParDo(_Begin(self.root, reader, self.fractions)).with_outputs(
            _PARTS, _VIEWS, main=_FOUND
        )
        read = (
            begun[_PARTS]
            | "Share" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(
                _Read(self.root, reader, self.fractions, self.group_by), beam.pvalue.AsList(begun[_VIEWS])
            ).with_outputs(_KEYED, main=_FOUND)
        )
        if reader.around:
            return (begun[_FOUND], read[_FOUND]) | "All" >> beam.Flatten()
        met = (
            read[_KEYED]
            | "Pack" >> beam.ParDo(_Pack())
            | "By image" >> beam.GroupByKey()
            | "Join" >> beam.ParDo(_Join(reader, self.fractions, self.group_by))
        )
        return (begun[_FOUND], read[_FOUND], met) | "All" >> beam.Flatten()


_FOUND, _PARTS, _VIEWS, _KEYED = "found", "parts", "views", "keyed"

Part = Task | Top
"""What one worker reads: annotations, or a folder of the input."""


class _Begin(beam.DoFn):
    def __init__(self, root: str, reader: Reader, fractions: dict[str, str] | None) -> None:
        self.root, self.reader, self.fractions = root, reader, fractions

    def process(self, _: str) -> Iterator[Any]:
        for begun in begin(self.reader, self.fractions):
            if isinstance(begun, Task):
                yield beam.pvalue.TaggedOutput(_PARTS, begun)
            elif isinstance(begun, View):
                yield beam.pvalue.TaggedOutput(_VIEWS, begun)
            else:
                yield from in_splits([begun], self.fractions, None)
        for top in () if self.reader.around else top_of(self.root):
            yield beam.pvalue.TaggedOutput(_PARTS, top)


class _Read(beam.DoFn):
    def __init__(
        self, root: str, reader: Reader, fractions: dict[str, str] | None, group_by: str | None
    ) -> None:
        self.root, self.reader, self.fractions, self.group_by = root, reader, fractions, group_by

    def process(self, part: Part, views: list[View]) -> Iterator[Any]:
        if isinstance(part, Task):
            read: Iterable[Any] = self.reader.read(part)
        else:
            read = pictures(self.root, part, {view.prefix: view for view in views}, self.reader.key)
        for one in in_splits(read, self.fractions, self.group_by):  # which leaves pieces as they are
            yield beam.pvalue.TaggedOutput(_KEYED, one) if isinstance(one, Keyed) else one


@beam.typehints.with_output_types(tuple[int, bytes])
class _Pack(beam.DoFn):
    """Pieces to packets of some of which the keys have one hash, by that: a shuffle's own table takes more
    room for each piece than it has itself."""

    HASHES = 1024
    HELD = 1 << 22
    """bytes of pieces, at most"""

    def start_bundle(self) -> None:
        self._held: dict[int, list[Keyed]] = defaultdict(list)
        self._bytes = 0

    def process(self, piece: Keyed) -> Iterator[tuple[int, bytes]]:
        self._held[zlib.crc32(piece.key.encode()) % self.HASHES].append(piece)
        self._bytes += len(piece.key) + len(piece.piece)
        if self._bytes > self.HELD:
            yield from self._packets()

    def finish_bundle(self) -> Iterator[Any]:
        for packet in self._packets():
            yield beam.transforms.window.GlobalWindows.windowed_value(packet)

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        for number, pieces in self._held.items():
            yield number, pickle.dumps([tuple(piece) for piece in pieces], pickle.HIGHEST_PROTOCOL)
        self.start_bundle()


class _Join(beam.DoFn):
    def __init__(self, reader: Reader, fractions: dict[str, str] | None, group_by: str | None) -> None:
        self.reader, self.fractions, self.group_by = reader, fractions, group_by

    def process(self, met: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        by_key: dict[str, list[bytes]] = defaultdict(list)
        for packet in met[1]:
            for key, piece in pickle.loads(packet):  # noqa: S301 (it is of our own making)
                by_key[key].append(piece)
        found = itertools.chain.from_iterable(
            finished(self.reader, key, pieces) for key, pieces in by_key.items()
        )
        yield from in_splits(found, self.fractions, self.group_by)
