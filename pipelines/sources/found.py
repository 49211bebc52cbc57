"""What a listing finds, and what all of it comes to in numbers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from augment.targets import Vocabulary
from pipelines.sources import rules

Place = tuple[str, str]
"""A split and a class."""

UNLABELED = "unlabeled"
"""The one class of images that have none of their own, only targets; their records have no label."""


class Source(NamedTuple):
    """One input image."""

    id: str
    """its path relative to the input root, `/`-separated"""
    split: str
    label: str
    size: int
    """in bytes"""
    annotation: bytes = b""
    """what is known of it (`augment.targets.Annotation.packed`); empty where nothing is annotated"""
    place: str = ""
    """where it lies within a file that holds several (`reading.place_in`); empty for a file of its own"""

    @property
    def where(self) -> str:
        """By what it is read."""
        return self.place or self.id


class Reject(NamedTuple):
    """A file or folder that cannot be used."""

    source: str
    """its id; percent-encoded where the name is not UTF-8"""
    reason: str
    detail: str


class Ignored(NamedTuple):
    """A file that is passed over."""

    kind: str
    """its extension in lower case, or as what it is passed over whatever its extension"""
    split: str = ""
    label: str = ""
    """both of the class folder that it lies in; empty for others"""


class Folder(NamedTuple):
    """A class folder to be listed."""

    id: str
    split: str
    label: str


class Ungrouped(NamedTuple):
    """An image of which nothing says in which group it is, where groups are asked for."""

    source: str


class Guess(NamedTuple):
    """What the folders were taken for where their names leave it open, or why they cannot be."""

    sentence: str
    refused: bool


Found = Source | Reject | Ignored | Ungrouped | Guess | Vocabulary


@dataclasses.dataclass
class Listing:
    """What was found, in numbers; two of them add up in any order."""

    counts: dict[Place, int] = dataclasses.field(default_factory=dict)
    """images by split and class, 0 for an empty class folder"""
    unusable: dict[Place, dict[str, int]] = dataclasses.field(default_factory=dict)
    """of them those that the listing shows to be of no use, perhaps: "empty", or an extension of HEIF"""
    ignored: dict[Place, dict[str, int]] = dataclasses.field(default_factory=dict)
    """by split and class, both empty for what lies in no class folder, and by kind"""
    loose: dict[str, int] = dataclasses.field(default_factory=dict)
    """images that lie in no class folder, by the folder that they lie in"""
    samples: dict[Place, list[tuple[int, str]]] = dataclasses.field(default_factory=dict)
    """where a few images of each lie, those of the least digests, which stand before them"""
    ungrouped: int = 0
    """images of which nothing says in which group they are, where groups are asked for"""
    first_ungrouped: str = ""
    """the first of them by name"""
    rejects: int = 0
    first_reject: str = ""
    """the first by name, but for images that lie in no class folder, with its reason and detail"""
    guesses: frozenset[Guess] = frozenset()
    vocabulary: Vocabulary | None = None
    """of what images are annotated with; None where nothing is"""
    digest: int = 0
    """the sum of the SHA-256 of every (id, size), modulo 2**256; with split, class and the annotation's where
    these do not follow from the id"""

    def add(self, found: Found | Folder) -> Listing:
        if isinstance(found, Source):
            place = found.split, found.label
            _add(self.counts, place, 1)
            if not found.size or found.id[-5:].lower().endswith(_HEIF):
                _add(
                    self.unusable.setdefault(place, {}),
                    rules.extension(found.id) if found.size else "empty",
                    1,
                )
            text = f"{found.size} {found.id}"
            if found.annotation or found.place:
                said = hashlib.sha256(found.annotation).hexdigest()
                text += f" {said} {found.split} {found.label}"
            digest = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
            self.digest = (self.digest + digest) % (1 << 256)
            samples, sample = self.samples.setdefault(place, []), (digest, found.where)
            if len(samples) < SAMPLES or sample < samples[-1]:
                samples[:] = sorted([*samples, sample])[:SAMPLES]
        elif isinstance(found, Folder):
            _add(self.counts, (found.split, found.label), 0)
        elif isinstance(found, Ignored):
            _add(self.ignored.setdefault((found.split, found.label), {}), found.kind, 1)
        elif isinstance(found, Ungrouped):
            self._add_ungrouped(1, found.source)
        elif isinstance(found, Guess):
            self.guesses |= {found}
        elif isinstance(found, Vocabulary):
            self.vocabulary = found if self.vocabulary is None else self.vocabulary.merge(found)
        else:
            self.rejects += 1
            if found.reason == "no_class":
                _add(self.loose, found.source.rpartition("/")[0], 1)
            else:
                self._add_reject(f"{found.source}: {found.reason}, {found.detail}")
        return self

    def merge(self, other: Listing) -> Listing:
        for place, count in other.counts.items():
            _add(self.counts, place, count)
        for mine, theirs in ((self.unusable, other.unusable), (self.ignored, other.ignored)):
            for place, kinds in theirs.items():
                for kind, count in kinds.items():
                    _add(mine.setdefault(place, {}), kind, count)
        for place, theirs_sampled in other.samples.items():
            self.samples[place] = sorted([*self.samples.get(place, []), *theirs_sampled])[:SAMPLES]
        for folder, count in other.loose.items():
            _add(self.loose, folder, count)
        self._add_ungrouped(other.ungrouped, other.first_ungrouped)
        self.rejects += other.rejects
        self._add_reject(other.first_reject)
        self.guesses |= other.guesses
        if other.vocabulary is not None:
            self.add(other.vocabulary)
        self.digest = (self.digest + other.digest) % (1 << 256)
        return self

    def _add_ungrouped(self, count: int, first: str) -> None:
        self.ungrouped += count
        self.first_ungrouped = min(filter(None, (self.first_ungrouped, first)), default="")

    def _add_reject(self, first: str) -> None:
        self.first_reject = min(filter(None, (self.first_reject, first)), default="")

    def hexdigest(self) -> str:
        return f"{self.digest:064x}"

    def passed_over(self) -> dict[str, int]:
        """Ignored files by kind."""
        total: dict[str, int] = {}
        for kinds in self.ignored.values():
            for kind, count in kinds.items():
                _add(total, kind, count)
        return total

    def classes(self) -> Iterator[tuple[str, int]]:
        """Every class with its images, in the order of labels."""
        total: dict[str, int] = {}
        for (_, label), count in self.counts.items():
            _add(total, label, count)
        yield from sorted(total.items())


SAMPLES = 2
"""Images of a split and class that are remembered, to be looked at before the work."""

_HEIF = tuple(rules.HEIF)


def _add(counts: dict[Any, int], key: Any, count: int) -> None:
    counts[key] = counts.get(key, 0) + count
