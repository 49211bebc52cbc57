"""COCO: one JSON file a split, of images, annotations and categories; instances and keypoints.

Files may be larger than memory: they are read as streams, twice, for categories stand behind what uses
them. What a file says of one image may stand anywhere in it, and meets by the file's own id of the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from augment.targets import Annotation, Object, Vocabulary
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.coco_objects import Category, categories_of, object_of
from pipelines.annotations.exact import BadAnnotation, shown
from pipelines.annotations.files import files_near
from pipelines.annotations.json_stream import BEGIN, BadFile, items
from pipelines.annotations.pieces import Keyed, Rules, Said
from pipelines.annotations.reader import (
    Begun,
    InFile,
    Read,
    Task,
    View,
    exists,
    inside,
    path_below,
    refused,
    where_of,
)
from pipelines.sources.found import UNLABELED, Folder, Found, Reject, Source
from pipelines.sources.layout import ONLY_SPLIT
from pipelines.sources.rules import extension, role
from pipelines.sources.words import listed

_PROBED = 16
"""So many images of a file are looked for, to find out in which folder they lie."""

_HELD = 1 << 14
"""Annotations that are held at once, so that those of one image go together where they stand together."""

_LISTS = frozenset(("images", "annotations", "categories"))


class Coco:
    """See `Reader`."""

    rules = Rules(alone=("not_annotated", "the annotations do not list it"))

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path

    def key(self, source: str) -> str:
        return source

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
        lists, names = set(), []
        with self._open(name) as file:
            for key, item in items(file, _LISTS):
                if item is BEGIN:
                    lists.add(key)
                elif key == "images":
                    names += [file_name] if (file_name := _file_name(item)) else []
                if len(names) == _PROBED:
                    return names
        if "images" not in lists:
            raise BadFile("has no list of 'images', as COCO's files have")
        return names

    def _open(self, name: str) -> BinaryIO:
        return storage.at(self._path).open(name)

    def read(self, task: Task) -> Iterator[Read]:
        name = task.names[0]
        try:
            with self._open(name) as file:
                categories = _categories(file)
            seen_polygons = False
            with self._open(name) as file:
                for key, piece, polygons in self._pieces(file, task, categories):
                    seen_polygons |= polygons
                    yield InFile(key, piece)
        except (OSError, BadFile) as error:
            yield refused(self._at(name), error)
            return
        yield _vocabulary(categories, seen_polygons)

    def _pieces(
        self, file: BinaryIO, task: Task, categories: dict[int, Category]
    ) -> Iterator[tuple[str, bytes, bool]]:
        """The pieces of a file by the image's key, and whether there are polygons in them."""
        where = where_of(self._root, self._at(task.names[0]), self._path)
        held: dict[str, list[Any]] = {}
        count, polygons = 0, False
        for key, item in items(file, _LISTS):
            if item is BEGIN or key not in ("images", "annotations"):
                continue
            if not isinstance(item, dict):
                raise BadFile(f"has {shown(item)} among its {key}, which must be objects")
            if key == "images":
                yield f"{where}#{_id(item, 'id', 'an image')}", self._image(item, task), False
                continue
            image = f"{where}#{_id(item, 'image_id', 'an annotation')}"
            made, fault = _object_or_fault(item, categories)
            polygons |= made is not None and bool(made.polygons)
            held.setdefault(image, []).append([count, made, fault])
            count += 1
            if count % _HELD == 0:
                yield from ((one, _packed("A", some), polygons) for one, some in held.items())
                held = {}
        yield from ((one, _packed("A", some), polygons) for one, some in held.items())

    def _image(self, item: dict[str, Any], task: Task) -> bytes:
        size, fault, name = None, "", _file_name(item)
        if name is None:
            fault = f"has the file_name {shown(item.get('file_name'))}, which is no path below the input"
        sides = item.get("height"), item.get("width")
        if sides != (None, None):
            if all(isinstance(side, int) and side is not True and side > 0 for side in sides):
                size = sides
            else:
                fault = fault or f"says that its height and width are {shown(list(sides))}"
        return _packed("I", [name and task.prefix + name, size, task.settings, fault])

    def gathered(self, key: str, pieces: Iterable[bytes]) -> Iterator[Keyed | Found]:
        images, objects = [], []
        for kind, content in map(json.loads, sorted(pieces)):
            if kind == "I":
                images.append(content)
            else:
                objects += content
        objects.sort(key=lambda one: one[0])
        names = sorted(name for name, *_ in images if name)
        if not images:
            count = f"{len(objects):,} annotation{'s are' if len(objects) > 1 else ' is'}"
            yield Reject(key, "no_image", f"{count} of an image of this id, which the file does not list")
        elif len(images) > 1:
            why = f"there are {len(images)} images of this id: {listed(names)}"
            yield from (Keyed(name, Said(key, fault=why).packed()) for name in dict.fromkeys(names))
        elif not names:
            yield Reject(key, "bad_annotation", f"it {images[0][3]}")
        else:
            [[name, size, split, fault]] = images
            fault = next((why for _, _, why in objects if why), fault)
            made = [Object(*one) for _, one, _ in objects if one]
            annotation = Annotation(tuple(made), size=size and tuple(size))
            said = Said(key, b"" if fault else annotation.packed(), split, fault=fault)
            yield Keyed(name, said.packed())

    def finished(self, source: Source) -> Found:
        return source


def _packed(kind: str, content: Any) -> bytes:
    return json.dumps([kind, content], ensure_ascii=False, separators=(",", ":")).encode()


def _file_name(item: Any) -> str | None:
    return path_below(item.get("file_name")) if isinstance(item, dict) else None


def _id(item: dict[str, Any], field: str, what: str) -> str:
    given = item.get(field)
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise BadFile(f"has {what} whose {field!r} is {shown(given)}; it must be a number or a text")
    return str(given)


def _object_or_fault(item: dict[str, Any], categories: dict[int, Category]) -> tuple[Object | None, str]:
    try:
        return object_of(item, categories), ""
    except BadAnnotation as error:
        return None, f"has an annotation ({shown(item.get('id'))}) whose {error}"


def _categories(file: BinaryIO) -> dict[int, Category]:
    lists: set[str] = set()
    found: list[Any] = []
    for key, item in items(file, _LISTS):
        if item is BEGIN:
            lists.add(key)
        elif key == "categories":
            found.append(item)
    missing = sorted(_LISTS - lists)
    if missing:
        raise BadFile(
            f"has no list of {listed(missing)}; COCO's files of instances and keypoints are read, which have "
            "'images', 'annotations' and 'categories'"
        )
    return categories_of(found)


def _vocabulary(categories: dict[int, Category], polygons: bool) -> Vocabulary:
    keypoints = max((one.keypoints for one in categories.values()), default=())
    has = {"boxes", *(["polygons"] if polygons else []), *(["keypoints"] if keypoints else [])}
    return Vocabulary(
        frozenset((one.place, one.name) for one in categories.values()),
        keypoints,
        frozenset(pairs_of(keypoints)),
        has=frozenset(has),
    )


def pairs_of(keypoints: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Those whose names differ by left and right alone."""
    for place, name in enumerate(keypoints):
        other = re.sub(r"(?i)left", lambda word: "RIGHT" if word[0].isupper() else "right", name)
        twins = [at for at, one in enumerate(keypoints) if one.lower() == other.lower() and at != place]
        yield from ((place, at) for at in twins)


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
