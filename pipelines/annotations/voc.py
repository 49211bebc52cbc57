"""Pascal VOC: an XML file for each image, of the same stem, and lists of the images of each split.

A box of VOC counts pixels from 1 and has its last one in it, so that its edges are xmin - 1, ymin - 1, xmax
and ymax. A thing that is difficult is not to be judged by: a crowd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from augment.targets import Annotation, Object, Vocabulary
from pipelines import storage
from pipelines.annotations.asked import Annotations
from pipelines.annotations.files import BLOCK, blocks, contents_of, files_of, lines_of
from pipelines.annotations.json_stream import BadFile
from pipelines.annotations.numbers import BadAnnotation, number_in, shown, units
from pipelines.annotations.pieces import Keyed, Member, Rules, Said
from pipelines.annotations.reader import Begun, Read, Reader, Task, View, inside, refused, where_of
from pipelines.annotations.walking import folders_in, images_beside, views_of, without_extension
from pipelines.sources.found import UNLABELED, Folder
from pipelines.sources.rules import extension, role

_ANNOTATIONS, _LISTS = "Annotations", "ImageSets/Main"

_EDGES = ("xmin", "ymin", "xmax", "ymax")

_LABELED = re.compile(r" (-1| 0| 1) *$")
"""What stands behind a name, which may have spaces of its own, in VOC's lists of one class."""


class Voc(Reader):
    """See `Reader`."""

    rules = Rules(alone=("not_annotated", "there is no XML file of its stem"))

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path
        self._inside = inside(root, annotations.path)

    def key(self, source: str) -> str:
        return without_extension(source)

    def begin(self) -> Iterator[Begun]:
        yield Vocabulary(has=frozenset(["boxes"]))
        try:
            within = _ANNOTATIONS if _ANNOTATIONS in folders_in(self._path, "") else ""
            images = self._images(within)
            views, lists = views_of(self._root, images), dict(self._lists(within))
            yield from [View(images)] if lists else views
            for split in lists or dict.fromkeys(view.split for view in views):
                yield Folder(images.rstrip("/"), split, UNLABELED)
            for split, path in lists.items():
                yield Task((path,), images, settings=split)
            names = (name for name in files_of(self._path, within) if extension(name) == ".xml")
            for block in blocks(names, BLOCK):
                yield Task(block, images, settings=("xml", within))
        except OSError as error:
            yield refused(self._path, error)

    def _images(self, within: str) -> str:
        """With what the ids begin of the images that the files are of."""
        if within or self._inside is None:
            return images_beside(self._root, self._inside or "")
        above = self._inside.rpartition("/")[0]
        beside = images_beside(self._root, above) if self._inside else ""
        if beside.rstrip("/") != above:
            return beside
        return f"{self._inside}/" if self._inside else ""  # each lies beside its image

    def _lists(self, within: str) -> Iterator[tuple[str, str]]:
        """The files that list a split's images, by split."""
        devkit = self._path if within else self._path.rpartition("/")[0] or "/"
        folder = storage.at(devkit).to(_LISTS)
        there = storage.at(folder).names()
        stems = sorted(name.removesuffix(".txt") for name in there if name.endswith(".txt"))
        names = {found: stem for stem in stems if (found := role(stem))}
        if not names and "trainval" in stems:
            names = {"train": "trainval"}
        yield from ((split, storage.at(folder).to(f"{stem}.txt")) for split, stem in names.items())

    def read(self, task: Task) -> Iterator[Read]:
        if isinstance(task.settings, str):
            yield from self._listed(task.names[0], task.prefix, task.settings)
            return
        _, within = task.settings
        classes: set[str] = set()
        try:
            for name, contents in contents_of(self._path, task.names):
                where = where_of(self._root, storage.at(self._path).to(name), self._path)
                try:
                    annotation = annotation_of(contents)
                except BadAnnotation as error:
                    said = Said(where, fault=str(error))
                else:
                    classes |= {thing.name for thing in annotation.objects}
                    said = Said(where, annotation.packed())
                yield Keyed(task.prefix + without_extension(name[len(within) :].lstrip("/")), said)
        except OSError as error:
            yield refused(self._path, error)
        yield Vocabulary(frozenset((0, name) for name in classes))

    def _listed(self, path: str, prefix: str, split: str) -> Iterator[Read]:
        where = where_of(self._root, path, self._path)
        try:
            for line in lines_of(path):
                if name := _LABELED.sub("", line).strip():
                    yield Keyed(prefix + name, Member(where, split))
        except (OSError, BadFile) as error:
            yield refused(path, error)


def annotation_of(contents: bytes) -> Annotation:
    """What a file says. Raises BadAnnotation."""
    try:
        top = ElementTree.fromstring(contents)  # noqa: S314 (expat bounds what entities come to)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadAnnotation(f"is no XML ({error})") from None
    if top.tag != "annotation":
        raise BadAnnotation(f"is no file of VOC's: its outermost element is {shown(top.tag)}")
    return Annotation(tuple(map(_object, top.findall("object"))), size=_size(top.find("size")))


def _size(element: ElementTree.Element | None) -> tuple[int, int] | None:
    if element is None:
        return None
    height, width = (
        number_in(_text(element, side), f"has a size whose {side}") for side in ("height", "width")
    )
    if height % 1 or width % 1 or min(height, width) < 1:
        raise BadAnnotation(f"has a size of {width:g}x{height:g}")
    return int(height), int(width)


def _object(element: ElementTree.Element) -> Object:
    name = _text(element, "name")
    if not name:
        raise BadAnnotation("has an object without a name")
    box = element.find("bndbox")
    if box is None:
        raise BadAnnotation(f"has an object, {shown(name)}, without a bndbox")
    x0, y0, x1, y1 = (
        number_in(_text(box, edge), f"has an object, {shown(name)}, whose {edge}") for edge in _EDGES
    )
    if x1 < x0 or y1 < y0:
        said = f"from {x0:g}, {y0:g} to {x1:g}, {y1:g}"
        raise BadAnnotation(f"has an object, {shown(name)}, that ends before it begins: {said}")
    edges = units(x0 - 1), units(y0 - 1), units(x1), units(y1)
    return Object(name, edges, crowd=_text(element, "difficult") == "1")


def _text(element: ElementTree.Element, tag: str) -> str:
    return element.findtext(tag, "").strip()
