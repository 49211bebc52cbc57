"""YOLO: a text file of lines of numbers for each image, which Ultralytics' tools find by the image's path.

`labels` stands for the last folder that is called `images`; a file without that lies beside its image. An
image without a file is a background: there is nothing in it. The numbers are parts of the image's sides, so
that an image's header is read too.
"""

from __future__ import annotations

from collections.abc import Iterator

from augment.codec import DecodeError
from augment.targets import Annotation, Vocabulary
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.files import BLOCK, blocks, contents_of, files_of, lines_of
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation
from pipelines.annotations.pieces import Keyed, Member, Rules, Said
from pipelines.annotations.reader import Begun, Read, Reader, Task, View, inside, refused, where_of
from pipelines.annotations.sides import upright_size
from pipelines.annotations.walking import without_extension
from pipelines.annotations.yolo_data import Data, data_of
from pipelines.annotations.yolo_lines import has_outlines, objects_of
from pipelines.sources.found import UNLABELED, Folder, Found, Reject, Source
from pipelines.sources.reading import is_id
from pipelines.sources.rules import extension


class Yolo(Reader):
    """See `Reader`."""

    rules = Rules(alone=None, lonely=("no_image", "there is no image that it would be of"))

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path
        self._above = annotations.path.rpartition("/")[0]
        self._read_data: Data | None = None

    @property
    def _data(self) -> Data:
        """Read once by each worker. Raises BadFile, and OSError."""
        if self._read_data is None:
            self._read_data = data_of(self._path)
        return self._read_data

    def key(self, source: str) -> str:
        """Where its labels lie, without extension."""
        return without_extension(_labels(f"{self._root.rstrip('/')}/{source}"))

    def begin(self) -> Iterator[Begun]:
        try:
            data = self._data
            folders: set[str] = set()
            for split, place in data.places:
                prefix = inside(self._root, place)
                if storage.at(place).size() is not None:
                    folders |= {self.key(source).rpartition("/")[0] for source in self._listed(place)}
                    yield View("")
                    yield Task((place,), settings=split)
                    prefix = ""
                elif prefix is None:
                    raise BadFile(f"has images in {place}, which does not lie in the input, {self._root}")
                else:
                    prefix = f"{prefix}/" if prefix else ""
                    folders.add(_labels(f"{place}/x").rpartition("/")[0])
                    yield View(prefix, split)
                yield Folder(prefix.rstrip("/"), split, UNLABELED)
            yield _vocabulary(data)
            for folder in sorted(folders):
                if not any(folder.startswith(f"{other}/") for other in folders):
                    names = (name for name in files_of(folder, "") if extension(name) == ".txt")
                    yield from (Task(block, folder) for block in blocks(names, BLOCK))
        except (OSError, BadFile) as error:
            yield refused(self._path, error)

    def _listed(self, path: str) -> Iterator[str]:
        """The images that a file lists, by their ids. Raises BadFile, and OSError."""
        above = path.rpartition("/")[0]
        for number, line in enumerate(lines_of(path), start=1):
            line = line.strip().removeprefix("./")
            if not line:
                continue
            whole = line if "://" in line or line.startswith("/") else f"{above}/{line}"
            source = inside(self._root, whole)
            if not source or not is_id(source):
                raise BadFile(f"has a list, {path}, whose line {number} is {line!r}: no path in the input")
            yield source

    def read(self, task: Task) -> Iterator[Read]:
        try:
            if task.settings:
                where = where_of(self._root, task.names[0], self._above)
                for source in self._listed(task.names[0]):
                    yield Keyed(self.key(source), Member(where, task.settings))
            else:
                yield from self._read_labels(task)
        except (OSError, BadFile) as error:
            yield refused(self._path, error)

    def _read_labels(self, task: Task) -> Iterator[Read]:
        outlines = False
        for name, contents in contents_of(task.prefix, task.names):
            path = storage.at(task.prefix).to(name)
            outlines = outlines or has_outlines(contents, self._data)
            said = Said(where_of(self._root, path, self._above), contents)
            yield Keyed(without_extension(path), said)
        if outlines:
            yield Vocabulary(has=frozenset(["polygons"]))

    def finished(self, source: Source) -> Found:
        annotation = Annotation()
        if source.annotation.strip():
            try:
                size = upright_size(self._root, source.id)
                annotation = Annotation(objects_of(source.annotation, self._data, size), size=size)
            except DecodeError:
                pass  # as which it is rejected when it is read
            except BadAnnotation as error:
                return Reject(source.id, "bad_annotation", f"its labels: {error}")
        return source._replace(annotation=annotation.packed())


def _labels(path: str) -> str:
    above, images, below = path.rpartition("/images/")
    return f"{above}/labels/{below}" if images else path


def _vocabulary(data: Data) -> Vocabulary:
    has = {"boxes", *(["keypoints"] if data.keypoints else [])}
    return Vocabulary(frozenset(data.names.items()), data.keypoints, data.pairs, has=frozenset(has))
