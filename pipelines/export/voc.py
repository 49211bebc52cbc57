"""Pascal VOC: JPEGImages, Annotations, SegmentationClass, and lists of images in ImageSets."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from augment.codec.parts import chunks
from augment.targets import UNIT, Object
from pipelines.export.annotated import Annotated
from pipelines.export.formats import Item, Lines

MASKS = "SegmentationClass"
_TOUCH = UNIT // 256
"""A part of a pixel that is too small to count: records have places in float32, where whole ones are not."""


class Voc(Annotated):
    """Boxes in whole pixels that count from 1, and masks with a palette. Splits are folders everywhere."""

    name = "voc"

    @property
    def fits(self) -> bool:
        return super().fits or "mask" in self.targets.has

    def files_of(self, split: str, item: Item) -> Sequence[tuple[str, bytes]]:
        name = self.sample_name(split, item)
        files = [
            (f"JPEGImages/{name}.{self.extension}", self.picture(item.record)),
            (f"Annotations/{name}.xml", self._annotation(name, item)),
        ]
        return [*files, (f"{MASKS}/{name}.png", with_palette(item.mask))] if item.mask else files

    def joined(self, lists: dict[str, Lines]) -> Iterator[tuple[str, Iterator[str]]]:
        for split, lines in lists.items():
            yield f"ImageSets/Main/{split}.txt", _names(lines, masks=False)
            if "mask" in self.targets.has:
                yield f"ImageSets/Segmentation/{split}.txt", _names(lines, masks=True)
        if "mask" in self.targets.has:
            yield "labelmap.txt", self._label_map()

    def how_to_read(self, output: str, splits: Sequence[str]) -> str:
        names = os.path.join(output, "ImageSets", "Main", f"{splits[0]}.txt")
        return f"open({names!r}).read().splitlines()"

    def _annotation(self, name: str, item: Item) -> bytes:
        height, width, channels = self.manifest.image_shape
        root = ElementTree.Element("annotation")
        folder, _, last = f"JPEGImages/{name}.{self.extension}".rpartition("/")
        _add(root, folder=folder, filename=last)
        _add(_inside(root, "source"), database=self.manifest.request.name)
        _add(_inside(root, "size"), width=width, height=height, depth=channels)
        _add(root, segmented=int(bool(item.mask)))
        for thing in item.annotation.objects:
            node = _inside(root, "object")
            _add(node, name=thing.name, pose="Unspecified", truncated=0, difficult=int(thing.crowd))
            _add(_inside(node, "bndbox"), **_whole_box(thing))
        ElementTree.indent(root, "\t")
        return ElementTree.tostring(root, encoding="utf-8") + b"\n"

    def _label_map(self) -> Iterator[str]:
        """As CVAT and Datumaro have it: which id of a mask, by its color, is which class."""
        yield "# label:color_rgb:parts:actions\n"
        for number, name in zip(self.targets.class_numbers, self.targets.classes, strict=True):
            if 0 <= number < 256:
                yield f"{name}:{','.join(map(str, _color(number)))}::\n"


def with_palette(mask: bytes) -> bytes:
    """A PNG of 8-bit gray as one of indices into VOC's colors: a pixel's byte is the same in both."""
    out = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks(mask):
        if kind == b"IHDR":
            content = content[:9] + b"\x03" + content[10:]
        out.append(_chunk(kind, content))
        if kind == b"IHDR":
            out.append(_chunk(b"PLTE", bytes(level for number in range(256) for level in _color(number))))
    return b"".join(out)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _color(number: int) -> tuple[int, int, int]:
    """VOC's own: the bits of an id, dealt out to red, green and blue from the highest on."""
    red, green, blue = (
        sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)
    )
    return red, green, blue


def _whole_box(thing: Object) -> dict[str, int]:
    """All pixels that the box touches, the first of the image being 1."""
    x0, y0, x1, y1 = thing.box
    left, top = ((edge + _TOUCH) // UNIT + 1 for edge in (x0, y0))
    right, bottom = (-((_TOUCH - edge) // UNIT) for edge in (x1, y1))
    return {"xmin": left, "ymin": top, "xmax": max(right, left), "ymax": max(bottom, top)}


def _names(lines: Lines, *, masks: bool) -> Iterator[str]:
    for line in lines():
        beside = [one["file"] for one in line["beside"]]
        if not masks or any(name.startswith(f"{MASKS}/") for name in beside):
            yield line["file"].removeprefix("JPEGImages/").rpartition(".")[0] + "\n"


def _inside(node: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(node, name)


def _add(node: ElementTree.Element, **texts: object) -> None:
    for name, text in texts.items():
        _inside(node, name).text = str(text)
