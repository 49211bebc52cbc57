"""Samples derived again from their sources, and compared with the records pixel by pixel.

Every source that has a record is read, and its digest compared with the samples table's;
chosen samples of it are computed again. A sample is equal if its pixels have the digest that
the table has: that the record has it too was seen when the record was read. With lossy storage
the record must be the very bytes that encoding gives. What is not equal is measured.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from augment import codec
from augment.augmenter import CORES, NOT_AUGMENTED
from augment.by_class import ByClass
from augment.draws import Draw, at
from pipelines import storage
from pipelines.audit.deriving import DerivedCopies, SampleDeriver, Wanted
from pipelines.audit.findings import Audit, Finding
from pipelines.audit.sampling import Chosen
from pipelines.audit.shards import Shard
from pipelines.audit.targets import Claim, TargetsCheck
from pipelines.format.digests import bytes_digest, pixels_digest
from pipelines.format.example import Record
from pipelines.sources import read_source

FAR, OFTEN = 8, 0.01
"""In another parity class a sample is a finding if more than this part of its levels is off by more
than so many: versions of decoders and kernels are not."""


AT_ONCE = 16
"""Sources that one thread takes at once."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One record that is to be derived again."""

    shard: Shard
    row: int
    digest: str
    """of its pixels, by the samples table"""


@dataclasses.dataclass
class Member:
    """One source with what the samples table says of it."""

    source: str
    sha256: str
    size: tuple[int, int]
    samples: list[Sample]
    first: Sample
    """that tells whether the source or the row is wrong, where their digests differ"""
    deriver: SampleDeriver
    """for its class"""
    draws: Draw = dataclasses.field(default_factory=dict)
    """of the group's samples of the same recipe"""
    begin: int = 0
    """of its samples in those"""


class Difference(NamedTuple):
    """Of a sample that is not equal to its record."""

    pixels: int
    """that differ in at least one channel"""
    largest: int
    """difference of a level"""


@dataclasses.dataclass
class SourceCheck:
    """What became of one source."""

    member: Member
    findings: list[Finding] = dataclasses.field(default_factory=list)
    differences: list[Difference] = dataclasses.field(default_factory=list)
    """of each sample that was derived again and is not equal"""
    derived: int = 0
    vanished: bool = False

    def found(self, kind: str, message: str) -> None:
        self.findings.append(Finding(kind, message, source=self.member.source))


class Begun(NamedTuple):
    """A group that threads derive."""

    members: list[Member]
    first: bool
    """whether its sources are in no group before it"""
    blocks: list[Future[list[SourceCheck]]]


class Rederiver:
    """Derives again what was chosen of one dataset's groups.

    Args:
        audit: takes what is found.
        root: where the sources are.
        chosen: the samples; None for all.
        unseen: ids of sources, from which those that have a record are removed.
        progress: is called with each number of samples done.
        targets: looks at what records have beside images.
    """

    def __init__(
        self,
        audit: Audit,
        augmenters: ByClass,
        root: str,
        chosen: Chosen | None,
        unseen: set[str],
        progress: Callable[[int], object],
        targets: TargetsCheck | None = None,
    ) -> None:
        self._audit, self._root, self._chosen, self._progress = audit, root, chosen, progress
        self.unseen = unseen
        self._targets = targets
        self._recipe, self._augmenters = augmenters.recipe, augmenters
        self._derivers = functools.cache(SampleDeriver)
        self._pool = ThreadPoolExecutor(CORES)
        self.vanished: dict[str, str] = {}
        """sources that are not there, with their SHA-256"""

    def begin(self, shards: Sequence[Shard]) -> Begun:
        """Has threads derive all copies of one group, behind those begun before, and returns."""
        members = self._members(shards)
        self._draw(members)
        # Of one size together, of which the device backend computes several in one call.
        by_size = sorted(members, key=lambda member: member.size)
        blocks = [by_size[first : first + AT_ONCE] for first in range(0, len(members), AT_ONCE)]
        first = shards[0].place.copy <= 0  # sources of later copies are among those of the first
        return Begun(members, first, [self._pool.submit(self._block, block) for block in blocks])

    def finish(self, begun: Begun) -> None:
        """Waits for a group, and tells what was found, in the order of its records."""
        outcomes: dict[str, SourceCheck] = {}
        for block in begun.blocks:
            for outcome in block.result():
                outcomes[outcome.member.source] = outcome
                self._progress(len(outcome.member.samples))
        for member in begun.members:
            self._take(outcomes[member.source], begun.first)

    def close(self) -> None:
        """Nothing is derived any more that was not begun yet."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, outcome: SourceCheck, first: bool) -> None:
        self.unseen.discard(outcome.member.source)
        self._audit.checked["sources"] += first and not outcome.vanished
        self._audit.checked["derived"] += outcome.derived
        if outcome.vanished:
            self.vanished[outcome.member.source] = outcome.member.sha256
        for finding in outcome.findings:
            self._audit.findings.add(finding)
        self._measure(outcome)

    def _members(self, shards: Sequence[Shard]) -> list[Member]:
        members: dict[str, Member] = {}
        for shard in shards:
            if shard.rows is None:
                continue
            chosen = None if self._chosen is None else self._chosen.get(shard.place, set())
            names = ("source", "class", "source_sha256", "source_height", "source_width", "pixels_blake3")
            columns = [shard.rows.column(name).to_pylist() for name in names]
            for row, (source, label, *about, digest) in enumerate(zip(*columns, strict=True)):
                sample = Sample(shard, row, digest)
                member = members.get(source)
                if member is None:
                    (sha256, *size), deriver = about, self._derivers(self._augmenters.of(label))
                    member = Member(source, sha256, (size[0], size[1]), [], sample, deriver)
                    members[source] = member
                if chosen is None or row in chosen:
                    member.samples.append(sample)
        return list(members.values())

    def _draw(self, members: list[Member]) -> None:
        """All parameters of the members' samples, in their order: a block is drawn at once."""
        by_deriver: dict[SampleDeriver, list[Member]] = {}
        for member in members:
            by_deriver.setdefault(member.deriver, []).append(member)
        for deriver, its in by_deriver.items():
            sources: list[str] = []
            copies: list[int] = []
            for member in its:
                member.begin = len(sources)
                augmented = _augmented(member.samples)
                sources += [member.source] * len(augmented)
                copies += augmented
            draws = deriver.draw(sources, copies)
            for member in its:
                member.draws = draws

    def _block(self, members: Sequence[Member]) -> list[SourceCheck]:
        """Reads some sources, and derives their samples."""
        outcomes = [SourceCheck(member) for member in members]
        by_deriver: dict[SampleDeriver, list[SourceCheck]] = {}
        for outcome in outcomes:
            by_deriver.setdefault(outcome.member.deriver, []).append(outcome)
        for deriver, its in by_deriver.items():
            asked: list[tuple[SourceCheck, bool]] = []
            derived = deriver.derive(self._wanted(its, asked), its[0].member.draws)
            for number, copies in enumerate(derived):
                outcome, changed = asked[number]
                member = outcome.member
                self._judge(outcome, copies, member.samples, member.draws, member.begin, changed=changed)
        return outcomes

    def _wanted(
        self, outcomes: Sequence[SourceCheck], asked: list[tuple[SourceCheck, bool]]
    ) -> Iterator[Wanted]:
        """What is to be derived of sources, of which each is read; to be told of whom, and if it changed."""
        for outcome in outcomes:
            contents, member = self._contents(outcome), outcome.member
            if contents is None:
                continue
            changed = hashlib.sha256(contents).hexdigest() != member.sha256
            if member.samples:
                asked.append((outcome, changed))
                yield Wanted(contents, [sample.shard.place.copy for sample in member.samples], member.begin)
            elif changed:
                copies = _augmented([member.first])
                draws = member.deriver.draw([member.source] * len(copies), copies)
                wanted = Wanted(contents, [member.first.shard.place.copy], 0)
                [derived] = member.deriver.derive([wanted], draws)
                self._judge(outcome, derived, [member.first], draws, 0, changed=True)

    def _contents(self, outcome: SourceCheck) -> bytes | None:
        """A source's bytes; None if it cannot be read, which the outcome then says."""
        why = "no file can have such a name"  # a forged one
        try:
            source = outcome.member.source
            return read_source(self._root, self._audit.places.get(source, source))
        except (FileNotFoundError, NotADirectoryError):
            outcome.vanished = True  # or moved, which the rest of the input tells
            return None
        except OSError as error:
            why = storage.reason(error)
        except ValueError:
            pass
        outcome.found("unreadable", f"the source cannot be read ({why})")
        return None

    def _judge(
        self,
        outcome: SourceCheck,
        derived: DerivedCopies | codec.DecodeError,
        samples: Sequence[Sample],
        draws: Draw,
        begin: int,
        *,
        changed: bool,
    ) -> None:
        """Compares what was derived from a source with its records, and with what is said of it."""
        if isinstance(derived, codec.DecodeError):
            why = f"{derived.rejection.reason}: {derived.rejection.detail}"
            outcome.found("changed", f"the source changed, and can no longer be decoded ({why})")
            return
        compared = [
            self._compare(sample, pixels, encoded)
            for sample, pixels, encoded in zip(samples, derived.pixels, derived.encoded, strict=True)
        ]
        if changed and any(difference is None or difference.any() for difference, _ in compared):
            outcome.found("changed", "the source changed: its SHA-256 is not the one in the samples table")
            return
        if changed:
            outcome.found(
                "row", "the samples table has another SHA-256 of the source, from which its pixels do follow"
            )
        member = outcome.member
        if (derived.height, derived.width) != member.size:
            was = "x".join(map(str, member.size))
            outcome.found(
                "row", f"the source has {derived.height}x{derived.width} pixels, in the samples table {was}"
            )
        if self._targets:
            outcome.findings += self._targets.findings(
                member.source,
                (derived.height, derived.width),
                [
                    (self._claim(sample), draw)
                    for sample, draw in zip(samples, _each_draw(samples, draws, begin), strict=True)
                ],
            )
        for sample, (difference, finding) in zip(samples, compared, strict=True):
            outcome.derived += difference is not None
            if finding is not None:
                outcome.findings.append(finding)
            elif difference is not None and difference.any():
                outcome.differences.append(_difference(difference))
                if self._counts(difference):
                    outcome.findings.append(self._at(sample, "derived", _measured(difference)))

    def _compare(
        self, sample: Sample, pixels: np.ndarray, encoded: bytes | None
    ) -> tuple[np.ndarray | None, Finding | None]:
        """By how many levels each pixel differs from the record, None without one; what else is wrong."""
        same = pixels_digest(pixels) == sample.digest
        if same and encoded is None:
            return _NONE, None
        read = sample.shard.record_of.get(sample.row)
        if read is not None and encoded is not None and read.image == bytes_digest(encoded):
            sample.shard.proven.add(sample.row)
            message = "the samples table has another digest of its pixels than they have before encoding"
            return _NONE, None if same else self._at(sample, "row", message)
        image = self._stored(sample)
        if image is None:
            return None, None  # which was found when the shard was read
        try:
            record = codec.decode_stored(image, self._recipe.storage, self._recipe.image_shape)
            mine = codec.round_trip(pixels, self._recipe.storage)
        except codec.DecodeError:
            return None, None
        return np.abs(record.astype(np.int16) - mine).astype(np.uint8), None

    def _claim(self, sample: Sample) -> Claim:
        shard = sample.shard
        row = {} if shard.rows is None else shard.rows.slice(sample.row, 1).to_pylist()[0]
        return Claim(shard.file, sample.row, shard.place.copy, row, lambda: self._record(sample))

    def _stored(self, sample: Sample) -> bytes | None:
        """The encoded image of the record that a row describes."""
        record = self._record(sample)
        return None if record is None else record.image

    def _record(self, sample: Sample) -> Record | None:
        return sample.shard.record(self._audit.directory, sample.row)

    def _counts(self, difference: np.ndarray) -> bool:
        """Whether a difference is a finding: any is, but for small ones in another parity class."""
        return self._audit.parity is None or bool(np.mean(difference > FAR) > OFTEN)

    def _at(self, sample: Sample, kind: str, message: str) -> Finding:
        shard, source = sample.shard, None
        if shard.rows is not None:
            source = shard.rows.column("source")[sample.row].as_py()
        return Finding(kind, message, shard.file, sample.row, source, shard.place.copy)

    def _measure(self, outcome: SourceCheck) -> None:
        parity = self._audit.parity
        if parity is None:
            return
        height, width = self._recipe.image_size
        parity.samples += outcome.derived
        parity.pixels += outcome.derived * height * width
        for difference in outcome.differences:
            parity.differing += 1
            parity.differing_pixels += difference.pixels
            parity.largest = max(parity.largest, difference.largest)


def _each_draw(samples: Sequence[Sample], draws: Draw, begin: int) -> Iterator[Draw | None]:
    """What was drawn for each, of a block in which they begin there; None for those that draw nothing."""
    for sample in samples:
        augmented = sample.shard.place.copy != NOT_AUGMENTED
        yield at(draws, begin) if augmented else None
        begin += augmented


def _augmented(samples: Sequence[Sample]) -> list[int]:
    """The copies of samples, in their order, without those that draw nothing."""
    return [s.shard.place.copy for s in samples if s.shard.place.copy != NOT_AUGMENTED]


_NONE: Any = np.zeros([1, 1, 3], np.uint8)


def _difference(levels: np.ndarray) -> Difference:
    return Difference(int(levels.any(axis=-1).sum()), int(levels.max()))


def _measured(levels: np.ndarray) -> str:
    pixels, largest = _difference(levels)
    return (
        f"what is derived from its source differs from the record in {pixels:,} of "
        f"{levels[..., 0].size:,} pixels, by up to {largest} levels"
    )
