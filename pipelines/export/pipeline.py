"""The Beam pipeline of an export: Shards | Write | Manifest. No bytes of images pass through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import apache_beam as beam

from augment.codec import DecodeError
from pipelines import storage
from pipelines.export.commit import Run, commit
from pipelines.export.request import ExportRequest
from pipelines.export.shard import ExportFailed, ShardExporter, Stopped, Written
from pipelines.format.layout import PROGRESS, STOP, Shard


def export(pipeline: beam.Pipeline, *, request: ExportRequest, run: Run, shards: Iterable[Shard]) -> None:
    """Adds the whole job to a pipeline."""
    written = (
        pipeline
        | "Shards" >> beam.Create([tuple(shard) for shard in shards])
        | "Share" >> beam.Reshuffle()
        | "Write" >> beam.ParDo(WriteShard(request, run.directory, run.output))
    )
    once = pipeline | "Once" >> beam.Impulse()
    _ = once | "Manifest" >> beam.Map(commit, beam.pvalue.AsIter(written), request, run)


class WriteShard(beam.DoFn):
    """A shard to what it came to."""

    def __init__(self, request: ExportRequest, directory: str, output: str) -> None:
        self.request, self.directory, self.output = request, directory, output
        self._exporter: Any = None

    def process(self, shard: tuple[str, int, int, int]) -> Iterator[Written]:
        out = storage.at(self.output)
        # When stopped it ends as if it were done: an error would be tried again.
        try:
            if out.size(STOP) is not None:
                return
            if self._exporter is None:
                self._exporter = ShardExporter(self.request, self.directory, self.output)
            written = self._exporter.export(Shard(*shard))
        except Stopped:
            return
        except (ExportFailed, DecodeError, OSError) as failed:
            with suppress(OSError):  # which hides no other
                out.write(STOP, "")  # the user is to know soon
            yield Written("", fault=_sentence(failed))
            return
        out.note(f"{PROGRESS}/{written.name.rpartition('/')[2]}", "")
        yield written


def _sentence(failed: Exception) -> str:
    if not isinstance(failed, OSError):
        return str(failed)
    return f"{failed.filename}: {storage.reason(failed)}" if failed.filename else storage.reason(failed)
