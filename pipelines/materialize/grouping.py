"""Sources in packets, and the groups of a plan that they belong to, as steps of a pipeline."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np

from pipelines import plan
from pipelines.format.copies import in_copy
from pipelines.packets import things_of
from pipelines.packets.steps import PackAll, PackByKey
from pipelines.sources import Folder, Found, Source

GroupKey = tuple[str, int, int]
"""A split, the first copy of one of its tiers, and the number of a group of that."""
Member = tuple[int, str, str, bytes, str]
"""A source's place in the order, its id, label and annotation, and its place within a file of several."""

NOBODY = pickle.dumps([])
"""A packet of no members that stands in every group, so that each shard exists even if it has no records."""


class Group(beam.PTransform):
    """What was found to the plan's groups, in packets; none where the plan has errors.

    Args:
        planned: the plan alone.
        waiting: where on the machine of all workers packets wait; empty: nowhere.
    """

    def __init__(self, planned: beam.PCollection[plan.Plan], waiting: str = "") -> None:
        super().__init__()
        self.planned, self.waiting = planned, waiting

    def expand(
        self, found: beam.PCollection[Found | Folder]
    ) -> beam.PCollection[tuple[GroupKey, Iterable[bytes]]]:
        members = (
            found
            | "Pack" >> beam.ParDo(PackSources(self.waiting))
            | "Assign" >> beam.ParDo(AssignToGroup(self.waiting), beam.pvalue.AsSingleton(self.planned))
        )
        everyone = self.planned | "Every group" >> beam.ParDo(EveryGroup())
        return (members, everyone) | "Join" >> beam.Flatten() | "By group" >> beam.GroupByKey()


@beam.typehints.with_output_types(bytes)
class PackSources(PackAll):
    """What was found to packets of the sources in it."""

    def process(self, found: Found | Folder) -> Iterator[bytes]:
        if isinstance(found, Source):
            yield from self.add(found, len(found.id) + len(found.annotation))


@beam.typehints.with_output_types(tuple[GroupKey, bytes])
class AssignToGroup(PackByKey):
    """Sources to their groups, by their places in the order."""

    def process(self, packet: bytes, planned: plan.Plan) -> Iterator[tuple[GroupKey, bytes]]:
        if planned.errors:
            return
        sources: list[Source] = list(things_of([packet]))
        order = plan.places(planned.request.seed, [source.id for source in sources])
        for split in {source.split for source in sources}:
            mine = np.flatnonzero([source.split == split for source in sources])
            ids, labels = [sources[i].id for i in mine], [sources[i].label for i in mine]
            for tier in planned.tiers(split):
                having = in_copy(planned.splits[split].classes, tier.first, ids, labels)
                for i in mine[having].tolist():
                    place, source = int(order[i]), sources[i]
                    key = split, tier.first, plan.group_of(place, tier.groups)
                    member: Member = place, source.id, source.label, source.annotation, source.place
                    size = len(source.id) + len(source.annotation)
                    yield from self.packets.add(key, member, size)


@beam.typehints.with_output_types(tuple[GroupKey, bytes])
class EveryGroup(beam.DoFn):
    """The keys of all groups."""

    def process(self, planned: plan.Plan) -> Iterator[tuple[GroupKey, bytes]]:
        for split in planned.splits:
            for tier in planned.tiers(split):
                for group in range(tier.groups):
                    yield (split, tier.first, group), NOBODY
