"""What the input and the annotations say of one image, each by itself, and what becomes of it together.

Pieces meet by a key: the image's id, or that without its extension where files are partners by their stems.
They travel as bytes, for a shuffle takes those as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipelines.sources.found import UNLABELED, Found, Ignored, Reject, Source
from pipelines.sources.words import listed


class Keyed(NamedTuple):
    """A piece by its key."""

    key: str
    piece: bytes


class Picture(NamedTuple):
    """An image that was listed."""

    id: str
    size: int
    """in bytes"""
    split: str = ""
    """empty where its folder says nothing"""

    def packed(self) -> bytes:
        return b"P" + json.dumps(self).encode()


class Member(NamedTuple):
    """That an image belongs to a split, by a list of them."""

    where: str
    """the list"""
    split: str

    def packed(self) -> bytes:
        return b"M" + json.dumps(self).encode()


class Said(NamedTuple):
    """What is known of an image."""

    where: str
    """by which file, or item of one; a reject has it for its source where there is no such image"""
    annotation: bytes = b""
    """packed; or the contents of a file that says it in parts of the image's sides"""
    split: str = ""
    label: str = ""
    """both empty where nothing says them"""
    fault: str = ""
    """what is wrong with it, as the predicate of a sentence"""

    def packed(self) -> bytes:
        head = json.dumps([self.where, self.split, self.label, self.fault]).encode()
        return b"S" + head + b"\n" + self.annotation


class Rules(NamedTuple):
    """What a format makes of images of which something is missing."""

    alone: tuple[str, str] | None
    """the reason and detail of the reject that an image is without annotation; None: it shows nothing"""
    lonely: tuple[str, str] = ("no_image", "there is no image {} of which it speaks")
    """the same of an annotation without image, whose key it gets"""


def unpacked(packed: bytes) -> Picture | Member | Said:
    kind, rest = packed[:1], packed[1:]
    if kind == b"P":
        return Picture(*json.loads(rest))
    if kind == b"M":
        return Member(*json.loads(rest))
    head, _, annotation = rest.partition(b"\n")
    where, split, label, fault = json.loads(head)
    return Said(where, annotation, split, label, fault)


def joined(key: str, pieces: Iterable[bytes], rules: Rules) -> Iterator[Found]:
    """What an image comes to, in whichever order its pieces come; without a split where nothing says it.

    All that share a key are rejected where it is not clear what belongs to which.
    """
    met = [unpacked(piece) for piece in sorted(pieces)]
    pictures = [one for one in met if isinstance(one, Picture)]
    members = [one for one in met if isinstance(one, Member)]
    said = [one for one in met if isinstance(one, Said)]
    if not pictures:
        reason, detail = rules.lonely
        for where in sorted({one.where for one in said}) or [f"{members[0].where}#{key}"]:
            yield Reject(where, reason, detail.format(key))
        return
    why = _ambiguous(pictures, said, members)
    if why:
        yield from (Reject(picture.id, "named_twice", why) for picture in pictures)
        return
    picture = pictures[0]
    known = said[0] if said else Said("")
    split = known.split or picture.split or (members[0].split if members else "")
    if known.fault:
        yield Reject(picture.id, "bad_annotation", f"{known.where} {known.fault}")
    elif not said and rules.alone is not None:
        yield Reject(picture.id, *rules.alone)
    elif not split:
        yield Ignored(IN_NO_LIST)
    else:
        yield Source(picture.id, split, known.label or UNLABELED, picture.size, known.annotation)


REASONS = frozenset(("bad_annotation", "damaged", "named_twice", "no_image", "no_partner", "not_annotated"))
"""For which images, and annotations without image, are rejected when they are listed."""

IN_NO_LIST = "(in no list)"
"""The kind of images that are in no split, where lists say what is in one."""

ELSEWHERE = "(elsewhere)"
"""The kind of images in folders that the annotations do not speak of."""


def _ambiguous(pictures: list[Picture], said: list[Said], members: list[Member]) -> str:
    if len(pictures) > 1:
        return f"{listed([one.id for one in pictures])} have one stem, and share their annotation"
    if len(said) > 1:
        places = [one.where for one in said]
        return f"{listed(places)} speak of it" if len(set(places)) > 1 else f"{places[0]} speaks of it twice"
    splits = sorted({one.split for one in members} | {one.split for one in pictures if one.split and members})
    return f"lists have it in the splits {listed(splits)}" if len(splits) > 1 else ""
