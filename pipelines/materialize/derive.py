"""What becomes of sources: each decoded once, all its copies augmented, encoded, digested and framed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from augment import backends, codec
from augment.augmenter import NOT_AUGMENTED, Augmenter
from augment.by_class import ByClass
from augment.draws import Draw, each
from augment.keys import source_words
from pipelines import storage
from pipelines.format.digests import pixels_digest
from pipelines.format.example import serialize
from pipelines.format.records import framed
from pipelines.format.request import Request, job_recipe
from pipelines.format.targets import Targets
from pipelines.sources import UNLABELED, Reject, read_source
from pipelines.sources.reading import rejected
from pipelines.targets import Asked, SampleTargets, TargetsDeriver

Contents = bytes | OSError | None
"""What a source holds, or why that cannot be read; None where whoever derives it is to read it."""


SOURCE_COLUMNS = ("source", "class", "label", "source_sha256", "source_height", "source_width")
"""Of the samples table, the columns that say of what a sample was made."""

PIXELS = "pixels_blake3"
"""Of the samples table, the column that has the digest of a sample's levels."""


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

    records: list[bytes]
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
        found: dict[int, _One | Reject] = {}
        drawn: list[tuple[Sequence[int], Draw]] = []
        for augmenter, places in self.augmenters.parts([member.label for member in members]):
            draws = _draws(augmenter, [members[position].source for position in places], copies)
            drawn.append((places, draws))
            for position, draw_of in zip(places, _by_copy(draws, copies), strict=False):
                found[position] = self._one(augmenter, members[position], copies, draw_of)
        columns: dict[str, list[Any]] = {name: [] for name in SOURCE_COLUMNS}
        records: list[list[bytes]] = [[] for _ in copies]
        by_copy: dict[str, list[list[Any]]] = {}
        rejects: list[Reject] = []
        written: list[int] = []
        for position in range(len(members)):
            made = found[position]
            if isinstance(made, Reject):
                rejects.append(made)
                continue
            written.append(position)
            for name, value in made.source.items():
                columns.setdefault(name, []).append(value)
            for number, (record, its) in enumerate(made.copies):
                records[number].append(record)
                for name, value in its.items():
                    by_copy.setdefault(name, [[] for _ in copies])[number].append(value)
        recorded = self.augmenters.recorded(drawn, (len(members), len(_augmented(copies))))
        parameters = {name: values[written] for name, values in recorded.items()}
        return Derived([b"".join(its) for its in records], columns, by_copy, parameters, rejects)

    def samples(self, member: Member, copies: Sequence[int]) -> Samples | Reject:
        """One source's samples themselves, as a reader of its records sees them. Raises as `derive`."""
        augmenter = self.augmenters.of(member.label)
        draws = _draws(augmenter, [member.source], copies)
        made = self._made(augmenter, member, next(_by_copy(draws, copies)))
        if isinstance(made, Reject):
            return made
        stored = augmenter.recipe.storage
        drawn = {name: values[0] for name, values in augmenter.recorded(draws).items()}
        return Samples([codec.round_trip(image, stored) for image in made.images], drawn)

    def _one(
        self, augmenter: Augmenter, member: Member, copies: Sequence[int], draws: Sequence[Draw | None]
    ) -> _One | Reject:
        """One source's records, by what was drawn for each copy."""
        made = self._made(augmenter, member, draws)
        if isinstance(made, Reject):
            return made
        label, stored = self._labels[member.label], augmenter.recipe.storage
        values = (member.source, member.label, label, made.sha256, *made.size)
        source = dict(zip(SOURCE_COLUMNS, values, strict=True))
        targets: Sequence[SampleTargets | None] = [None] * len(copies)
        if self._targets:
            try:
                annotated = self._targets.read(member.source, member.annotation, made.size)
            except OSError as error:
                raise self._passing(member.source, error) from None
            if isinstance(annotated, Reject):
                return annotated
            source |= annotated.columns(self._targets.targets)
            try:
                moved = self._targets.moved([Asked(annotated, made.size, d, member.label) for d in draws])
                targets = [self._targets.written(one, annotated) for one in moved]
            except codec.DecodeError as error:
                return Reject(member.source, error.rejection.reason, error.rejection.detail)
        encoded = [codec.encode(sample, stored) for sample in made.images]
        digests = [pixels_digest(sample) for sample in made.images]
        records = []
        for image, digest, copy, its in zip(encoded, digests, copies, targets, strict=True):
            record = serialize(
                image=image,
                label=None if self._unlabeled else label,
                source=member.source,
                copy=copy,
                targets=its.entries if its else b"",
            )
            records.append((framed(record), {PIXELS: digest, **(its.columns if its else {})}))
        return _One(source, records)

    def _made(self, augmenter: Augmenter, member: Member, draws: Sequence[Draw | None]) -> _Made | Reject:
        contents = self._read(member)
        if isinstance(contents, Reject):
            return contents
        try:
            image = augmenter.recipe.decode_source(contents)
        except codec.DecodeError as error:
            return Reject(member.source, error.rejection.reason, error.rejection.detail)
        head: np.ndarray | None = None
        images = []
        for draw in draws:
            if draw is None:
                images.append(augmenter.plain(image))
                continue
            head = augmenter.head(image) if head is None else head
            images.append(augmenter.tail(head, draw))
        return _Made(hashlib.sha256(contents).hexdigest(), image.shape[:2], images)

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


class _Made(NamedTuple):
    """What is made of one source, before it is stored."""

    sha256: str
    """of what it holds"""
    size: tuple[int, ...]
    """height, width of what it shows"""
    images: list[np.ndarray]
    """one a copy, uint8 [H, W, C]"""


class _One(NamedTuple):
    """What is made of one source."""

    source: dict[str, Any]
    """columns of the samples table, for all copies alike"""
    copies: list[tuple[bytes, dict[str, Any]]]
    """of each the framed record, and its own columns"""
