"""Sources in the split of all that their pictures are like, as steps of a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from pipelines.plan.together import Alike, Joined, Seen, joined_nodes, meeting_places, resplit, see
from pipelines.sources import Folder, Found, Source
from pipelines.sources.groups import groups_of


class KeepTogether(beam.PTransform):
    """What was found to the same, with sources in splits that tear no duplicates.

    Args:
        root: where from; absolute, or a URL.
        fractions: of the splits.
        group_by: what else a split does not tear, as in a request.
    """

    def __init__(self, root: str, fractions: dict[str, str], group_by: str | None) -> None:
        super().__init__()
        self.root, self.fractions, self.group_by = root, fractions, group_by

    def expand(self, found: beam.PCollection[Found | Folder]) -> beam.PCollection[Found | Folder]:
        others = found | "Others" >> beam.Filter(lambda one: not isinstance(one, Source))
        seen = (
            found
            | "Sources" >> beam.Filter(lambda one: isinstance(one, Source))
            | "Share" >> beam.Reshuffle()
            | "Look" >> beam.Map(_look, self.root, self.group_by)
        )
        joined = (
            seen
            | "Meet" >> beam.FlatMap(_meet).with_output_types(tuple[bytes, bytes])
            | "By likeness" >> beam.GroupByKey()
            | "Compare" >> beam.FlatMap(_compare).with_output_types(tuple[str, str])
            | "Join" >> beam.CombineGlobally(JoinNodes())
        )
        placed = seen | "Split" >> beam.Map(resplit, beam.pvalue.AsSingleton(joined), self.fractions)
        return (others, placed) | "All" >> beam.Flatten()


def _look(source: Source, root: str, group_by: str | None) -> Seen:
    return see(root, source, groups_of(group_by, [source])[0])


def _meet(seen: Seen) -> Iterator[tuple[bytes, bytes]]:
    for key, alike in meeting_places(seen):
        yield key, alike.packed()


def _compare(met: tuple[bytes, Iterable[bytes]]) -> Iterator[tuple[str, str]]:
    yield from joined_nodes(map(Alike.unpacked, met[1]))


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
