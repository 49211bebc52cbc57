"""What a listing with annotations does, step by step: the same within a pipeline and in memory.

begin      which annotations are to be read, and in which folders images lie
read       annotations to pieces, each by the key of its image
pictures   images to pieces
finished   an image's pieces to what it comes to
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pipelines.annotations.asked import Annotations
from pipelines.annotations.coco import Coco
from pipelines.annotations.masks import Masks
from pipelines.annotations.pieces import Piece, joined
from pipelines.annotations.reader import Begun, Reader, View
from pipelines.annotations.table import Table
from pipelines.annotations.tfds import Tfds
from pipelines.annotations.tfrecord import TfRecord
from pipelines.annotations.voc import Voc
from pipelines.annotations.webdataset import WebDataset
from pipelines.annotations.yolo import Yolo
from pipelines.format.request import AnnotationFormat
from pipelines.sources.found import Folder, Found, Guess, Source

_READERS: dict[AnnotationFormat, Callable[[str, Annotations], Reader]] = {
    "coco": Coco,
    "yolo": Yolo,
    "voc": Voc,
    "masks": Masks,
    "table": Table,
    "tfds": Tfds,
    "tfrecord": TfRecord,
    "webdataset": WebDataset,
}


def reader_of(root: str, annotations: Annotations) -> Reader:
    """Of annotations beside the images of an input, whose paths are absolute."""
    return _READERS[annotations.format](root, annotations)


def begin(reader: Reader, fractions: dict[str, str] | None) -> Iterator[Begun]:
    """All that a reader begins with; a refused guess where splits are to be made and there are some."""
    splits: set[str] = set()
    for begun in reader.begin():
        if isinstance(begun, Folder) or (isinstance(begun, View) and begun.images):
            splits.add(begun.split)
        yield begun
    if fractions and (len(splits - {""}) > 1 or splits == {""}):
        there = f" ({', '.join(sorted(splits - {''}))})" if splits - {""} else ""
        yield Guess(f"--split-fractions: the images have splits already{there}", refused=True)


def finished(reader: Reader, key: str, pieces: Iterable[Piece]) -> Iterator[Found]:
    """What all pieces of one key come to."""
    for found in joined(key, pieces, reader.rules):
        yield reader.finished(found) if isinstance(found, Source) else found
