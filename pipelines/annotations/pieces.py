"""What the input and the annotations say of one image, each by itself, and what becomes of it together.

Pieces meet by a key: the image's id, or that without its extension where files are partners by their stems.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipelines.sources.found import UNLABELED, Found, Ignored, Reject, Source
from pipelines.sources.words import listed


class Picture(NamedTuple):
    """An image that was listed."""

    id: str
    size: int
    """in bytes"""
    split: str = ""
    """empty where its folder says nothing"""


class Member(NamedTuple):
    """That an image belongs to a split, by a list of them."""

    where: str
    """the list"""
    split: str


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


Piece = Picture | Member | Said


class Keyed(NamedTuple):
    """A piece by its key."""

    key: str
    piece: Piece


class Rules(NamedTuple):
    """What a format makes of images of which something is missing."""

    alone: tuple[str, str] | None
    """the reason and detail of the reject that an image is without annotation; None: it shows nothing"""
    lonely: tuple[str, str] = ("no_image", "there is no image {} of which it speaks")
    """the same of an annotation without image, whose key it gets"""


def joined(key: str, pieces: Iterable[Piece], rules: Rules) -> Iterator[Found]:
    """What an image comes to, in whichever order its pieces come; without a split where nothing says it.

    All that share a key are rejected where it is not clear what belongs to which.
    """
    pieces = list(pieces)
    pictures = sorted(one for one in pieces if isinstance(one, Picture))
    members = sorted(one for one in pieces if isinstance(one, Member))
    said = sorted(one for one in pieces if isinstance(one, Said))
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
