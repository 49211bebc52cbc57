"""The listing of an input with annotations, as steps of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from augment.errors import RequestError
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.pieces import Keyed
from pipelines.annotations.reader import InFile, Reader, Shared, Task, View
from pipelines.annotations.steps import begin, finished, reader_of
from pipelines.annotations.walking import pictures, top_of
from pipelines.plan.splitting import in_splits
from pipelines.sources.found import Folder, Found

_Piece = tuple[str, bytes]
"""By its key."""


class ListAnnotated(beam.PTransform):
    """An input directory with annotations to what is found in it; workers share its folders and files.

    At the beginning of a pipeline, or behind the directory's name, once there is something to be listed.

    Args:
        root: absolute, or a URL.
        annotations: what lies beside the images.
        fractions: of the splits that are made, where there are none.
        group_by: what these do not tear, in ids.
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
        begun = root | "Begin" >> beam.ParDo(_Begin(reader, self.fractions)).with_outputs(
            _TASKS, _VIEWS, main=_FOUND
        )
        read = (
            begun[_TASKS]
            | "Share files" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_Read(reader)).with_outputs(_IN_FILE, _SHARED, _KEYED, main=_FOUND)
        )
        if reader.around:
            return self._in_splits((begun[_FOUND], read[_FOUND]))
        shared = read[_SHARED] | "Shared" >> beam.Map(tuple).with_output_types(tuple[str, Any])
        gathered = (
            read[_IN_FILE]
            | "Typed in file" >> beam.Map(tuple).with_output_types(_Piece)
            | "By file's name" >> beam.GroupByKey()
            | "Gather"
            >> beam.ParDo(_Gather(reader), beam.pvalue.AsDict(shared)).with_outputs(_KEYED, main=_FOUND)
        )
        views = beam.pvalue.AsList(begun[_VIEWS])
        listed = (
            root
            | "Top" >> beam.FlatMap(top_of)
            | "Share folders" >> beam.Reshuffle()
            | "Pictures" >> beam.ParDo(_Pictures(self.root, reader), views).with_outputs(_KEYED, main=_FOUND)
        )
        met = (
            (read[_KEYED], gathered[_KEYED], listed[_KEYED])
            | "Pieces" >> beam.Flatten()
            | "Typed" >> beam.Map(tuple).with_output_types(_Piece)
            | "By image" >> beam.GroupByKey()
            | "Join" >> beam.ParDo(_Join(reader))
        )
        return self._in_splits((begun[_FOUND], read[_FOUND], gathered[_FOUND], listed[_FOUND], met))

    def _in_splits(
        self, found: tuple[beam.PCollection[Found | Folder], ...]
    ) -> beam.PCollection[Found | Folder]:
        return (
            found
            | "All" >> beam.Flatten()
            | "Split" >> beam.BatchElements(min_batch_size=256, max_batch_size=256)
            | "In splits" >> beam.FlatMap(in_splits, self.fractions, self.group_by)
        )


_FOUND, _TASKS, _VIEWS = "found", "tasks", "views"
_IN_FILE, _SHARED, _KEYED = "in_file", "shared", "keyed"


def _tagged(found: Iterable[Any]) -> Iterator[Any]:
    for one in found:
        tag = _TAGS.get(type(one))
        yield one if tag is None else beam.pvalue.TaggedOutput(tag, one)


_TAGS = {Keyed: _KEYED, InFile: _IN_FILE, Shared: _SHARED, Task: _TASKS, View: _VIEWS}


class _Begin(beam.DoFn):
    def __init__(self, reader: Reader, fractions: dict[str, str] | None) -> None:
        self.reader, self.fractions = reader, fractions

    def process(self, _: str) -> Iterator[Any]:
        yield from _tagged(begin(self.reader, self.fractions))


class _Read(beam.DoFn):
    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def process(self, task: Task) -> Iterator[Any]:
        yield from _tagged(self.reader.read(task))


class _Gather(beam.DoFn):
    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def process(self, met: tuple[str, Iterable[bytes]], shared: dict[str, Any]) -> Iterator[Any]:
        yield from _tagged(self.reader.gathered(*met, shared))


class _Pictures(beam.DoFn):
    def __init__(self, root: str, reader: Reader) -> None:
        self.root, self.reader = root, reader

    def process(self, top: str | Found, views: list[View]) -> Iterator[Any]:
        by_prefix = {view.prefix: view for view in views}
        yield from _tagged(pictures(self.root, top, by_prefix, self.reader.key))


class _Join(beam.DoFn):
    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def process(self, met: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        yield from finished(self.reader, *met)
