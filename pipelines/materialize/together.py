"""Sources in the split of all that their pictures are like, as steps of a pipeline."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

import apache_beam as beam

from pipelines.packets import things_of
from pipelines.packets.steps import PackAll, PackByKey
from pipelines.plan.together import Alike, Joined, Seen, joined_nodes, meeting_places, resplit, see
from pipelines.sources import Folder, Found, Source
from pipelines.sources.groups import groups_of


class KeepTogether(beam.PTransform):
    """What was found to the same, with sources in splits that tear no duplicates.

    Args:
        root: where from; absolute, or a URL.
        fractions: of the splits.
        group_by: what else a split does not tear, as in a request.
        waiting: where on the machine of all workers packets wait, as in `Packets`; empty: nowhere.
    """

    def __init__(self, root: str, fractions: dict[str, str], group_by: str | None, waiting: str = "") -> None:
        super().__init__()
        self.root, self.fractions, self.group_by, self.waiting = root, fractions, group_by, waiting

    def expand(self, found: beam.PCollection[Found | Folder]) -> beam.PCollection[Found | Folder]:
        seen = (
            found
            | "Pack" >> beam.ParDo(_Pack(self.waiting))
            | "Share" >> beam.Reshuffle()
            | "Look" >> beam.ParDo(_Look(self.root, self.group_by, self.waiting))
        )
        joined = (
            seen
            | "Meet" >> beam.ParDo(_Meet(self.waiting))
            | "By likeness" >> beam.GroupByKey()
            | "Compare" >> beam.FlatMap(_compare).with_output_types(tuple[str, str])
            | "Join" >> beam.CombineGlobally(JoinNodes())
        )
        return seen | "Split" >> beam.FlatMap(_split, beam.pvalue.AsSingleton(joined), self.fractions)


@beam.typehints.with_output_types(bytes)
class _Pack(PackAll):
    """What was found to packets that are small, for it takes long to look at a picture."""

    def __init__(self, waiting: str) -> None:
        super().__init__(waiting, held=1 << 13)

    def process(self, one: Found | Folder) -> Iterator[bytes]:
        yield from self.add(one, len(one.annotation) if isinstance(one, Source) else 0)


@beam.typehints.with_output_types(bytes)
class _Look(PackAll):
    """Sources to what is seen of them; what is none stays as it is."""

    def __init__(self, root: str, group_by: str | None, waiting: str) -> None:
        super().__init__(waiting)
        self.root, self.group_by = root, group_by

    def process(self, packet: bytes) -> Iterator[bytes]:
        for one in things_of([packet]):
            if isinstance(one, Source):
                seen = see(self.root, one, groups_of(self.group_by, [one])[0])
                yield from self.add(seen, len(one.id) + len(one.annotation))
            else:
                yield from self.add(one, 0)


@beam.typehints.with_output_types(tuple[int, bytes])
class _Meet(PackByKey):
    """What is seen to what is compared, in packets of some of which the keys have one hash, by that."""

    HASHES = 1024

    def process(self, packet: bytes) -> Iterator[tuple[int, bytes]]:
        for seen in things_of([packet]):
            for key, alike in meeting_places(seen) if isinstance(seen, Seen) else ():
                hashed = zlib.crc32(key) % self.HASHES
                yield from self.packets.add(hashed, (key, alike.packed()), len(alike.node))


def _compare(met: tuple[int, Iterable[bytes]]) -> Iterator[tuple[str, str]]:
    by_key: dict[bytes, list[Alike]] = defaultdict(list)
    for key, alike in things_of(met[1]):
        by_key[key].append(Alike.unpacked(alike))
    for some in by_key.values():
        yield from joined_nodes(some)


def _split(packet: bytes, joined: Joined, fractions: dict[str, str]) -> Iterator[Found | Folder]:
    for one in things_of([packet]):
        yield resplit(one, joined, fractions) if isinstance(one, Seen) else one


class JoinNodes(beam.CombineFn):
    """Pairs of nodes to the sets that they make."""

    def create_accumulator(self) -> Joined:
        return Joined()

    def add_input(self, joined: Joined, pair: tuple[str, str]) -> Joined:
        joined.join(*pair)
        return joined

    def merge_accumulators(self, parts: Iterable[Joined]) -> Joined:
        total = Joined()
        for part in parts:
            total = total.merge(part)
        return total

    def extract_output(self, joined: Joined) -> Joined:
        return joined
