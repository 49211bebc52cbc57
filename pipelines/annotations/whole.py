"""Everything that an input with annotations holds, in memory: what `ListAnnotated` finds, without Beam."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.annotations.asked import Annotations
from pipelines.annotations.pieces import Keyed, Piece
from pipelines.annotations.reader import Task, View
from pipelines.annotations.steps import begin, finished, reader_of
from pipelines.annotations.walking import files_below, pictures
from pipelines.plan.splitting import in_splits
from pipelines.sources.found import Folder, Found, Source


def everything_annotated(
    root: str, annotations: Annotations, fractions: dict[str, str] | None, group_by: str | None = None
) -> Iterator[Found | Folder]:
    """All that is found in an input, as the job finds it; duplicates may still be in several splits."""
    yield from in_splits(_everything(root, annotations, fractions), fractions, group_by)


def source_annotated(root: str, annotations: Annotations, source: str) -> Source | None:
    """One source of an input with annotations, in whatever split; of containers, only its own is read."""
    reader = reader_of(root, annotations)
    found: Iterable[Any] = _everything(root, annotations, None)
    if reader.around:
        tasks = [one for one in reader.begin() if isinstance(one, Task)]
        its = [task for task in tasks if source.startswith(f"{task.names[0]}/")]
        found = itertools.chain.from_iterable(map(reader.read, its))
    return next((one for one in found if isinstance(one, Source) and one.id == source), None)


def _everything(
    root: str, annotations: Annotations, fractions: dict[str, str] | None
) -> Iterator[Found | Folder]:
    reader = reader_of(root, annotations)
    by_key: dict[str, list[Piece]] = {}

    def without_pieces(found: Iterable[Keyed | Found | Folder]) -> Iterator[Found | Folder]:
        for one in found:
            if isinstance(one, Keyed):
                by_key.setdefault(one.key, []).append(one.piece)
            else:
                yield one

    views: dict[str, View] = {}
    tasks: list[Task] = []
    for begun in begin(reader, fractions):
        if isinstance(begun, View):
            views[begun.prefix] = begun
        elif isinstance(begun, Task):
            tasks.append(begun)
        else:
            yield begun
    for task in tasks:
        yield from without_pieces(reader.read(task))
    if not reader.around:
        yield from without_pieces(pictures(files_below(root, ""), views, reader.key))
    for key, pieces in by_key.items():
        yield from finished(reader, key, pieces)
