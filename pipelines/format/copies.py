"""How many copies each source gets, where classes do not all get the same, and what follows for files.

Copy k of a source is epoch k of it, whoever else has one. So the copies of a class are the first of them:
each of its sources has copies 0 to `each` - 1, and the `more` of them that come first by the hash of their
ids have copy `each` too. Copies in a row that have the same sources are a tier: its shards are groups of
those, as many as there would be of a split of that size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError
from augment.keys import fold_in, name_words, source_words
from pipelines.format.bounds import (
    MOST_CLASSES,
    MOST_COPIES,
    ClassName,
    CopiesOfClass,
    Copy,
    Count,
    Groups,
    Rank,
)
from pipelines.sources.words import MOST

if TYPE_CHECKING:
    from pipelines.format.request import Request

RankOf = tuple[int, str]
"""A source's place among those of its class: the 64-bit hash of its id, and for ties the id."""


def ranks(sources: Sequence[str]) -> np.ndarray:
    """uint64 [n]: by which the sources of a class are chosen that get one copy more.

    Of the id alone, and independent of the hashes that decide splits and order.
    """
    words = source_words(sources)
    high, low = fold_in((words[:, 0], words[:, 1]), name_words("copies"))
    return (high.astype(np.uint64) << np.uint64(32)) | low


class ClassCopies(BaseModel):
    """The copies of one class in one split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: Count
    """images listed"""
    each: CopiesOfClass
    """copies that every one of them gets"""
    more: Count = 0
    """how many of them get one more"""
    last: tuple[Rank, str] | None = None
    """rank and id of the last one that does"""

    @property
    def samples(self) -> int:
        """Those of all its sources."""
        return self.sources * self.each + self.more

    @property
    def copies(self) -> int:
        """How many numbers of copies there are."""
        return self.each + bool(self.more)

    def having(self, copy: int) -> int:
        """How many of its sources have a copy; all have NOT_AUGMENTED."""
        return self.sources if copy < self.each else self.more * (copy == self.each)

    def has(self, copy: int, rank: RankOf) -> bool:
        """Whether a source has a copy."""
        return copy < self.each or (copy == self.each and self.last is not None and rank <= self.last)


class Tier(BaseModel):
    """Copies in a row that are of the same sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Copy
    """the first of them; NOT_AUGMENTED if the images as they are belong to it"""
    end: CopiesOfClass
    """the first copy behind it"""
    sources: Count
    """images listed that have these copies"""
    written: Count = 0
    """images of which there are records, in every copy"""
    groups: Groups
    """shards a copy"""

    @model_validator(mode="after")
    def _of_a_copy(self) -> Tier:
        if self.end <= self.first:
            raise ValueError("a tier has at least one copy")
        return self

    @property
    def copies(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.end))

    @property
    def shards(self) -> int:
        """Those of all its copies."""
        return (self.end - self.first) * self.groups


class SplitCopies(BaseModel):
    """One split: its sources, which copies of them there are, and in how many shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: Count
    """images listed"""
    groups: Groups
    """shards of a copy that all sources have"""
    augmented: bool
    classes: Annotated[dict[ClassName, ClassCopies] | None, Field(max_length=MOST_CLASSES)] = None
    """the copies of each class; None where all sources have all copies"""
    tiers: Annotated[tuple[Tier, ...] | None, Field(max_length=2 * MOST_COPIES)] = None
    """None where there is one, of all sources"""


def tiers(classes: Iterable[ClassCopies], *, originals: bool, groups: Callable[[int], int]) -> Iterator[Tier]:
    """The tiers of one split, the images as they are included if `originals`.

    `groups` says how many shards so many images take.
    """
    classes = [one for one in classes if one.sources]
    total = sum(one.sources for one in classes)
    ends = sorted({0, *(one.each for one in classes), *(one.copies for one in classes)})
    parts = [(first, end, sum(one.having(first) for one in classes)) for first, end in pairwise(ends)]
    if originals:
        if parts and parts[0][2] == total:
            parts[0] = NOT_AUGMENTED, *parts[0][1:]
        else:
            parts.insert(0, (NOT_AUGMENTED, 0, total))
    for first, end, sources in parts:
        yield Tier(first=first, end=end, sources=sources, groups=groups(sources))


def tiers_of(request: Request, split: SplitCopies, written: int = 0) -> tuple[Tier, ...]:
    """The tiers of a split, `written` images of which have records where there is only one."""
    if split.tiers is not None:
        return split.tiers
    copies = request.copies_of(augmented=split.augmented)
    end = copies[-1] + 1
    return (Tier(first=copies[0], end=end, sources=split.sources, written=written, groups=split.groups),)


class HowMany(NamedTuple):
    """The fields of a request that say how many copies there are, where there is none."""

    copies: int = 1
    class_copies: Mapping[str, int] | None = None
    balance: Literal["max"] | int | None = None


def class_copies(
    request: Request | HowMany, sources: Mapping[str, int], split: str
) -> dict[str, ClassCopies] | None:
    """What a request comes to for the classes of a split that gets copies, but for who gets one more.

    `sources` counts the images of each class. None where all get the same. Raises RequestError for more
    copies than there can be.
    """
    if request.balance is None and request.class_copies is None:
        return None
    if request.balance is None:
        named = request.class_copies or {}
        return {
            label: ClassCopies(sources=count, each=named.get(label, request.copies))
            for label, count in sources.items()
        }
    target = request.balance
    if target == "max":
        target = request.copies * max(sources.values(), default=0)
    wanted = {}
    for label, count in sources.items():
        each, more = divmod(target, count) if count else (0, 0)
        if each + bool(more) > MOST_COPIES:
            images = "1 image" if count == 1 else f"{count:,} images"
            raise RequestError(
                f"--balance {request.balance}: class {label!r} has {images} in split {split!r}, so "
                f"{target:,} samples take {each + bool(more):,} copies of each; at most {MOST_COPIES:,} can "
                "be made: balance to fewer, or take in more images of that class"
            )
        wanted[label] = ClassCopies(sources=count, each=each, more=more)
    return wanted


def with_last(wanted: Mapping[str, ClassCopies], ids: Mapping[str, Sequence[str]]) -> dict[str, ClassCopies]:
    """The same with who gets one more, where all `ids` of a class are at hand."""
    known = {}
    for label, one in wanted.items():
        if one.more:
            names = ids[label]
            ordered = sorted(zip(ranks(names).tolist(), names, strict=True))
            one = one.model_copy(update={"last": ordered[one.more - 1]})
        known[label] = one
    return known


def in_copy(
    classes: Mapping[str, ClassCopies] | None, copy: int, sources: Sequence[str], labels: Sequence[str]
) -> np.ndarray:
    """bool [n]: which sources of a split have a copy; all, where `classes` is None."""
    if classes is None or copy == NOT_AUGMENTED:
        return np.ones(len(sources), bool)
    found = np.array([copy < classes[label].each for label in labels], bool)
    border = [i for i, label in enumerate(labels) if classes[label].more and copy == classes[label].each]
    names = [sources[i] for i in border]
    for i, rank, source in zip(border, ranks(names).tolist(), names, strict=True):
        found[i] = classes[labels[i]].has(copy, (rank, source))
    return found


def in_words(classes: Mapping[str, ClassCopies]) -> str:
    """`rare 135 or 136, common 1`: how many copies, the most first, of a few classes."""
    ordered = sorted(classes.items(), key=lambda item: -item[1].copies)
    shown = [
        f"{label} {one.each}" + (f" or {one.each + 1}" if one.more else "") for label, one in ordered[:MOST]
    ]
    return ", ".join(shown) + (f" and {len(ordered) - MOST:,} more classes" if len(ordered) > MOST else "")
