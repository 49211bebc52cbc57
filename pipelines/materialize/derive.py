"""What becomes of sources: each decoded once, all its copies augmented, encoded, digested and framed."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from augment import backends, codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.by_class import ByClass
from augment.draws import Draw, each
from augment.keys import source_words
from augment.targets import Moved
from pipelines import storage
from pipelines.format.digests import pixels_digest
from pipelines.format.example import serialized_parts
from pipelines.format.records import framed_parts
from pipelines.format.request import Request, job_recipe
from pipelines.format.targets import Targets
from pipelines.sources import UNLABELED, Reject, read_source
from pipelines.sources.reading import rejected
from pipelines.targets import Annotated, Asked, SampleTargets, TargetsDeriver

Contents = bytes | OSError | None
"""What a source holds, or why that cannot be read; None where whoever derives it is to read it."""


SOURCE_COLUMNS = ("source", "class", "label", "source_sha256", "source_height", "source_width")
"""Of the samples table, the columns that say of what a sample was made."""

PIXELS = "pixels_blake3"
"""Of the samples table, the column that has the digest of a sample's levels."""


NEAR = 1 << 20
"""Bytes of pixels, of sources and of their samples, from which on no more sources are taken up together."""


class PassingFault(Exception):
    """A source cannot be read, for a reason that does not lie in its contents; says what to do."""


class Member(NamedTuple):
    """A source that is to be derived."""

    source: str
    label: str
    contents: Contents = None
    annotation: bytes = b""
    place: str = ""
    """where it lies within a file that holds several; empty for a file of its own"""


class Derived(NamedTuple):
    """What becomes of some sources, in their order."""

    records: list[bytes | memoryview]
    """one a copy: those of all sources, framed, one after the other"""
    columns: dict[str, list[Any]]
    """of the samples table, for all copies alike"""
    copies: dict[str, list[list[Any]]]
    """of the samples table, one list a copy: digests, and what became of targets"""
    drawn: dict[str, np.ndarray]
    """columns of the samples table, for the copies that are augmented: [sources with records, copies]; masked
    where classes have recipes of their own"""
    rejects: list[Reject]


class Samples(NamedTuple):
    """One source's samples."""

    images: list[np.ndarray]
    """one a copy, uint8 [H, W, C]"""
    drawn: dict[str, np.ndarray]
    """columns of the samples table, for the copies that are augmented: [copies]"""


class Deriver:
    """Derives copies of one plan's sources. May be used by several threads at once.

    Args:
        request: that of the plan.
        classes: of the plan, whose places are the labels.
        root: where the sources lie.
        backend: who computes the pixels.
        targets: what records have beside images.
        annotations: where masks lie.
    """

    def __init__(
        self,
        request: Request,
        classes: Sequence[str],
        root: str,
        backend: backends.Name = "host",
        targets: Targets | None = None,
        annotations: str = "",
    ) -> None:
        self.augmenters = ByClass(job_recipe(request), request.seed, backend)
        self._labels = {label: number for number, label in enumerate(classes)}
        self._root = root
        self._unlabeled = tuple(classes) == (UNLABELED,)
        self._targets = TargetsDeriver(self.augmenters, targets, annotations) if targets else None

    def derive(self, members: Sequence[Member], copies: Sequence[int]) -> Derived:
        """Some sources' samples. Raises PassingFault, and OpError for what an op makes of one.

        `copies`: NOT_AUGMENTED can only be the first of them.
        """
        found: dict[int, _Stored | Reject] = {}
        drawn: list[tuple[Sequence[int], Draw]] = []
        for augmenter, places in self.augmenters.parts([member.label for member in members]):
            its = [members[position] for position in places]
            draws = _draws(augmenter, [member.source for member in its], copies)
            drawn.append((places, draws))
            of_each, place = _by_copy(draws, copies), iter(places)
            for sources in self._near(augmenter, its, len(copies)):
                of_these = [next(of_each) for _ in sources]
                for one in self._stored(augmenter, sources, copies, of_these):
                    found[next(place)] = one
                del sources  # or a large photo would be in memory while the next one is decoded
        finished = self._finished([found[position] for position in range(len(members))], copies)
        made = [(position, one) for position, one in enumerate(finished) if isinstance(one, _One)]
        ones, numbers = [one for _, one in made], range(len(copies))
        recorded = self.augmenters.recorded(drawn, (len(members), len(_augmented(copies))))
        written = [position for position, _ in made]
        return Derived(
            [
                b"".join(itertools.chain.from_iterable(one.records[number] for one in ones))
                for number in numbers
            ],
            {
                name: [one.source[name] for one in ones]
                for name in (ones[0].source if ones else SOURCE_COLUMNS)
            },
            {
                name: [[one.columns[name][number] for one in ones] for number in numbers]
                for name in (ones[0].columns if ones else ())
            },
            {name: values[written] for name, values in recorded.items()},
            [one for one in finished if isinstance(one, Reject)],
        )

    def samples(self, member: Member, copies: Sequence[int]) -> Samples | Reject:
        """One source's samples themselves, as a reader of its records sees them. Raises as `derive`."""
        augmenter = self.augmenters.of(member.label)
        decoded = self._decoded(augmenter, member)
        if isinstance(decoded, Reject):
            return decoded
        draws = _draws(augmenter, [member.source], copies)
        images = _images(augmenter, decoded.image, next(_by_copy(draws, copies)))
        drawn = {name: values[0] for name, values in augmenter.recorded(draws).items()}
        return Samples([codec.round_trip(image, augmenter.recipe.storage) for image in images], drawn)

    def _near(
        self, augmenter: Augmenter, members: Sequence[Member], copies: int
    ) -> Iterator[Sequence[_Source | Reject]]:
        """The sources, as many at a time as stay in a processor's cache with their samples."""
        near: list[_Source | Reject] = []
        taken = 0
        for member in members:
            near.append(self._source(augmenter, member))
            if isinstance(near[-1], _Source):
                taken += near[-1].image.nbytes + copies * math.prod(augmenter.recipe.image_shape)
            if taken >= NEAR:
                yield near
                near, taken = [], 0
        if near:
            yield near

    def _source(self, augmenter: Augmenter, member: Member) -> _Source | Reject:
        decoded = self._decoded(augmenter, member)
        if isinstance(decoded, Reject):
            return decoded
        known = self._known(member, decoded)
        return known if isinstance(known, Reject) else _Source(known, decoded.image)

    def _stored(
        self,
        augmenter: Augmenter,
        sources: Sequence[_Source | Reject],
        copies: Sequence[int],
        draws: Sequence[Sequence[Draw | None]],
    ) -> list[_Stored | Reject]:
        """Some sources' images as records hold them, by what was drawn for each copy.

        Step by step for all of them: what is done many times in a row takes less time, for its code and
        its tables are near.
        """
        images = [
            image
            for source, its in zip(sources, draws, strict=True)
            if isinstance(source, _Source)
            for image in _images(augmenter, source.image, its)
        ]
        encoded = codec.encode_each(images, augmenter.recipe.storage)
        stored = iter(list(zip(encoded, map(pixels_digest, images), strict=True)))
        return [
            source
            if isinstance(source, Reject)
            else _Stored(source.known, its, list(itertools.islice(stored, len(copies))))
            for source, its in zip(sources, draws, strict=True)
        ]

    def _known(self, member: Member, decoded: _Decoded) -> _Known | Reject:
        """What is known of a source beside its image."""
        label = self._labels[member.label]
        size = decoded.image.shape[:2]
        values = (member.source, member.label, label, decoded.sha256, *size)
        columns = dict(zip(SOURCE_COLUMNS, values, strict=True))
        if not self._targets:
            return _Known(columns, size, None)
        try:
            annotated = self._targets.read(member.source, member.annotation, size)
        except OSError as error:
            raise self._passing(member.source, error) from None
        if isinstance(annotated, Reject):
            return annotated
        return _Known(columns | annotated.columns(self._targets.targets), size, annotated)

    def _finished(self, stored: Sequence[_Stored | Reject], copies: Sequence[int]) -> list[_One | Reject]:
        """Sources' records, with their targets, which are moved for all of them at once."""
        asked = [
            Asked(one.known.annotated, one.known.size, draw, one.known.columns["class"])
            for one in stored
            if isinstance(one, _Stored) and one.known.annotated
            for draw in one.draws
        ]
        moved = iter(self._targets.moved(asked) if self._targets else ())
        return [
            one
            if isinstance(one, Reject)
            else self._one(one, copies, list(itertools.islice(moved, len(copies))))
            for one in stored
        ]

    def _one(self, stored: _Stored, copies: Sequence[int], moved: Sequence[Moved]) -> _One | Reject:
        """One source's records; `moved` are its samples' targets, if there are some."""
        source, label = stored.known.columns, None if self._unlabeled else stored.known.columns["label"]
        targets: Sequence[SampleTargets | None] = [None] * len(copies)
        if self._targets and stored.known.annotated:
            try:
                targets = [self._targets.written(its, stored.known.annotated) for its in moved]
            except codec.DecodeError as error:
                return Reject(source["source"], error.rejection.reason, error.rejection.detail)
        records = []
        columns: dict[str, list[Any]] = {PIXELS: []}
        for (image, digest), copy, its in zip(stored.images, copies, targets, strict=True):
            record = serialized_parts(
                image=image,
                label=label,
                source=source["source"],
                copy=copy,
                targets=its.entries if its else b"",
            )
            records.append(framed_parts(*record))
            columns[PIXELS].append(digest)
            for name, value in its.columns.items() if its else ():
                columns.setdefault(name, []).append(value)
        return _One(source, records, columns)

    def _decoded(self, augmenter: Augmenter, member: Member) -> _Decoded | Reject:
        contents = self._read(member)
        if isinstance(contents, Reject):
            return contents
        try:
            image = augmenter.recipe.decode_source(contents)
        except codec.DecodeError as error:
            return Reject(member.source, error.rejection.reason, error.rejection.detail)
        return _Decoded(hashlib.sha256(contents).hexdigest(), image)

    def _read(self, member: Member) -> bytes | Reject:
        contents = member.contents
        if contents is None:
            try:
                contents = read_source(self._root, member.place or member.source)
            except OSError as error:
                contents = error
        if not isinstance(contents, OSError):
            return contents
        if reject := rejected(member.source, contents):
            return reject
        raise self._passing(member.source, contents)

    def _passing(self, source: str, error: OSError) -> PassingFault:
        return PassingFault(
            f"{source}: it cannot be read ({storage.reason(error)}); make it readable, or put it "
            "back, and run the same command again, or take it out of the input and start over with "
            "--overwrite"
        )


def _augmented(copies: Sequence[int]) -> list[int]:
    return [copy for copy in copies if copy != NOT_AUGMENTED]


def _draws(augmenter: Augmenter, sources: Sequence[str], copies: Sequence[int]) -> Draw:
    """All parameters of sources, but for copies that are not augmented: arrays [sources, copies, ...]."""
    augmented = _augmented(copies)
    if not augmented:
        return {}
    words = source_words(sources)[:, np.newaxis]
    return augmenter.draw((words[..., 0], words[..., 1]), np.array([augmented], np.int32))


def _by_copy(draws: Draw, copies: Sequence[int]) -> Iterator[list[Draw | None]]:
    """For one source after the other what was drawn for each copy; None for NOT_AUGMENTED.

    Endless where nothing was drawn.
    """
    samples = each(draws, axes=2)
    while True:
        yield [None if copy == NOT_AUGMENTED else next(samples) for copy in copies]


def _images(augmenter: Augmenter, image: np.ndarray, draws: Sequence[Draw | None]) -> list[np.ndarray]:
    """One source's samples, one a copy: uint8 [H, W, C]."""
    head: np.ndarray | None = None
    images = []
    for draw in draws:
        if draw is None:
            images.append(augmenter.plain(image))
            continue
        head = augmenter.head(image) if head is None else head
        images.append(augmenter.tail(head, draw))
    return images


class _Decoded(NamedTuple):
    """A source as it was read."""

    sha256: str
    """of what it holds"""
    image: np.ndarray
    """uint8 [H, W, C]"""


class _Known(NamedTuple):
    """What is known of one source beside its image."""

    columns: dict[str, Any]
    """of the samples table, for all copies alike"""
    size: tuple[int, int]
    """height and width"""
    annotated: Annotated | None
    """None where the dataset has no targets"""


class _Source(NamedTuple):
    """A source of which samples can be made."""

    known: _Known
    image: np.ndarray
    """uint8 [H, W, C]"""


class _Stored(NamedTuple):
    """One source whose samples' images are made."""

    known: _Known
    draws: Sequence[Draw | None]
    """one a copy"""
    images: list[tuple[bytes, str]]
    """one a copy, as a record holds it, with its digest"""


class _One(NamedTuple):
    """What is made of one source."""

    source: dict[str, Any]
    """columns of the samples table, for all copies alike"""
    records: list[Sequence[bytes]]
    """one a copy, framed, in parts"""
    columns: dict[str, list[Any]]
    """of the samples table, one value a copy"""
