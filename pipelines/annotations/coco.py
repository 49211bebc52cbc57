"""COCO: one JSON file a split, of images, annotations and categories; instances and keypoints.

Files may be larger than memory: they are read as streams. What one says of an image stands anywhere in it,
and its categories mostly behind all that uses them; so who reads it brings it together by the file's own id
of the image, and understands it then. What goes on from there are an image's objects in few bytes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from augment.targets import Annotation, Object
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.coco_objects import Categories, Raw, categories_of, object_of, raw_of
from pipelines.annotations.files import files_near
from pipelines.annotations.json_stream import BadFile, items
from pipelines.annotations.numbers import FARTHEST, BadAnnotation, shown
from pipelines.annotations.parted import Parted
from pipelines.annotations.pieces import Keyed, Rules, Said
from pipelines.annotations.reader import (
    Begun,
    Read,
    Reader,
    Task,
    View,
    exists,
    inside,
    path_below,
    refused,
    where_of,
)
from pipelines.sources.found import UNLABELED, Folder, Found, Reject
from pipelines.sources.layout import ONLY_SPLIT
from pipelines.sources.rules import extension, role
from pipelines.sources.words import listed

_PROBED = 16
"""So many images of a file are looked for, to find out in which folder they lie."""

_PART = 1 << 22
"""So many bytes of a file are understood at once, about."""

_MOST_PARTS = 1024

_A_THING, _A_NUMBER = 600, 32
"""Bytes of memory of an annotation, about, and of each number of its outline beside."""

_LISTS = frozenset(("images", "annotations", "categories"))
_OUTLINE = Raw._fields.index("segmentation")
_OF_IMAGES = ("file_name", "height", "width")


class Coco(Reader):
    """See `Reader`."""

    rules = Rules(alone=("not_annotated", "the annotations do not list it"))

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path

    def begin(self) -> Iterator[Begun]:
        try:
            names = sorted(name for name in files_near(self._path) if not name or extension(name) == ".json")
        except OSError as error:
            yield refused(self._path, error)
            return
        by_split: dict[str, list[str]] = {}
        for name in names:
            by_split.setdefault(_split_of(self._at(name)), []).append(name)
        for split, several in by_split.items():
            if len(several) > 1:
                yield refused(
                    self._path,
                    f"{listed(several)} are all of the split {split!r}; give one of them, or a folder with "
                    "one file a split",
                )
                continue
            yield from self._begun(several[0], split)

    def _at(self, name: str) -> str:
        return storage.at(self._path).to(name)

    def _begun(self, name: str, split: str) -> Iterator[Begun]:
        try:
            names = self._first_images(name)
        except (OSError, BadFile) as error:
            yield refused(self._at(name), error)
            return
        folders = list(self._folders(self._at(name)))
        there = [sum(exists(self._root, prefix + one) for one in names) for prefix in folders]
        if names and not any(there):
            looked = listed([storage.at(self._root).to(prefix + names[0]) for prefix in folders])
            yield refused(
                self._at(name),
                f"its first images are not there: the first is none of {looked}; give --input the folder in "
                "which its images have their file_name",
            )
            return
        prefix = folders[there.index(max(there))]
        yield View(prefix, split)
        yield Folder(prefix.rstrip("/"), split, UNLABELED)
        yield Task((name,), prefix, settings=split)

    def _folders(self, path: str) -> Iterator[str]:
        """In which of the input a file's images may lie, the likeliest first."""
        folder, _, last = path.rpartition("/")
        beside = inside(self._root, folder)
        name = _own_name(last) or _own_name(folder.rpartition("/")[2])
        found = ["", f"{name}/", f"images/{name}/", "images/"]
        found += [f"{beside}/", f"{beside}/images/"] if beside else []
        yield from dict.fromkeys(one for one in found if one != "/" and "//" not in one)

    def _first_images(self, name: str) -> list[str]:
        """Of a file. Raises BadFile if it is none of COCO's."""
        there, names = set[str](), list[str]()
        with self._open(name) as file:
            for key, value in items(file, _LISTS):
                there.add(key)
                if key == "images":
                    names += filter(None, map(_file_name, value[:_PROBED]))
                if len(names) >= _PROBED:
                    return names[:_PROBED]
        if "images" not in there:
            raise BadFile("has no list of 'images', as COCO's files have")
        return names

    def _open(self, name: str) -> BinaryIO:
        return storage.at(self._path).open(name)

    def read(self, task: Task) -> Iterator[Read]:
        name = task.names[0]
        where = where_of(self._root, self._at(name), self._path)
        try:
            size = storage.at(self._at(name)).size() or 0
            with Parted(min(1 + size // _PART, _MOST_PARTS)) as said:
                found, polygons = self._parted(name, said)
                for key, things in said.by_key():
                    yield from _of_image(f"{where}#{key}", things, found, task)
            yield found.vocabulary(polygons=polygons)
        except (OSError, BadFile) as error:
            yield refused(self._at(name), error)

    def _parted(self, name: str, said: Parted) -> tuple[Categories, bool]:
        """Brings what a file says of images to the ids that it has for them; its classes, and whether there
        are outlines. Raises BadFile and OSError."""
        there, categories, polygons = set[str](), list[Any](), False
        with self._open(name) as file:
            for name_of_list, several in items(file, _LISTS):
                there.add(name_of_list)
                if name_of_list == "images":
                    for image in several:
                        key = _id(image, "id", "an image")
                        said.add(key, {field: image.get(field) for field in _OF_IMAGES}, _A_THING)
                elif name_of_list == "annotations":
                    for key, raw in _by_image(several).items():
                        outlines = [one[_OUTLINE] for one in raw if isinstance(one[_OUTLINE], list)]
                        polygons = polygons or any(outlines)
                        said.add(key, raw, _A_THING * len(raw) + _A_NUMBER * sum(map(_numbers, outlines)))
                elif name_of_list == "categories":
                    categories += several
        missing = sorted(_LISTS - there)
        if missing:
            raise BadFile(
                f"has no list of {listed(missing)}; COCO's files of instances and keypoints are read, "
                "which have 'images', 'annotations' and 'categories'"
            )
        return categories_of(categories), polygons


def _by_image(several: list[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Annotations by the ids of their images, for mostly those of an image stand together. Raises BadFile."""
    found = defaultdict(list)
    for item in several:
        found[_id(item, "image_id", "an annotation")].append(raw_of(item))
    return found


def _numbers(outline: list[Any]) -> int:
    return sum(len(part) for part in outline if isinstance(part, list))


def _of_image(key: str, things: list[Any], categories: Categories, task: Task) -> Iterator[Keyed | Found]:
    """What all that a file says of one of its ids comes to: images that have it, and annotations of it."""
    images = [_known(thing, task) for thing in things if isinstance(thing, dict)]
    raw = [Raw._make(one) for thing in things if not isinstance(thing, dict) for one in thing]
    names = sorted({image.source for image in images if image.source})
    if not images:
        count = f"{len(raw):,} annotation{'s are' if len(raw) > 1 else ' is'}"
        yield Reject(key, "no_image", f"{count} of an image of this id, which the file does not list")
    elif len(images) > 1:
        why = f"there are {len(images)} images of this id" + (f": {listed(names)}" if names else "")
        yield from (Keyed(name, Said(key, fault=why)) for name in names)
        if not names:
            yield Reject(key, "bad_annotation", why)
    elif not names:
        yield Reject(key, "bad_annotation", f"it {images[0].fault}")
    else:
        yield Keyed(names[0], _said(key, images[0], raw, categories, task))


class _Known(NamedTuple):
    """What a file's list of images says of one."""

    source: str
    """its id; empty if there can be none"""
    size: tuple[int, int] | None = None
    fault: str = ""


def _known(item: dict[str, Any], task: Task) -> _Known:
    name = _file_name(item)
    if name is None:
        given = item["file_name"]
        return _Known("", fault=f"has the file_name {shown(given)}, which is no path below the input")
    source, height, width = task.prefix + name, item["height"], item["width"]
    if height is None and width is None:
        return _Known(source)
    if all(type(side) is int and 0 < side < FARTHEST for side in (height, width)):
        return _Known(source, (height, width))
    return _Known(source, fault=f"says that its height and width are {shown(height)} and {shown(width)}")


def _said(key: str, image: _Known, raw: list[Raw], categories: Categories, task: Task) -> Said:
    """What a file says of an image, in its order."""
    objects: list[Object] = []
    for one in raw:
        try:
            objects.append(object_of(one, categories))
        except BadAnnotation as error:
            return Said(key, fault=f"has an annotation ({shown(one.id)}) whose {error}")
    if image.fault:
        return Said(key, fault=image.fault)
    return Said(key, Annotation(tuple(objects), size=image.size).packed(), task.settings)


def _file_name(item: Any) -> str | None:
    return path_below(item.get("file_name")) if isinstance(item, dict) else None


def _id(item: Any, field: str, what: str) -> str:
    given = item.get(field) if isinstance(item, dict) else None
    if type(given) is int:
        return str(given)
    if type(given) is not str:
        raise BadFile(f"has {what} whose {field!r} is {shown(given)}; it must be a number or a text")
    return quote(given, safe="", errors="replace")


_NOT_THE_SPLIT = {
    "instances",
    "instance",
    "person",
    "keypoints",
    "annotations",
    "annotation",
    "coco",
    "labels",
}


def _own_name(name: str) -> str:
    """What a file is called without the words that say what it holds: `train2017`."""
    words = re.split(r"[_.\s-]+", name.removesuffix(".json"))
    return "_".join(word for word in words if word and word.lower() not in _NOT_THE_SPLIT)


def _split_of(path: str) -> str:
    folder, _, last = path.rpartition("/")
    return role(_own_name(last)) or role(folder.rpartition("/")[2]) or ONLY_SPLIT
