"""The Beam pipeline, as the README's figure draws it.

    list -> assign to group -> group (ids only) -----> write groups -> receipts -> manifest
       \\-> count, classes, digest -> plan (groups, errors) --side--^

No list of images passes through the launcher, and no image bytes through a shuffle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import apache_beam as beam

from pipelines.format.request import Request
from pipelines.images import in_folder
from pipelines.materialize.finish import Run, finish, group_files
from pipelines.materialize.plan_file import plan_and_save
from pipelines.materialize.progress import Progress, Stopped
from pipelines.plan import Plan, group_of, places
from pipelines.quiet import import_tensorflow
from pipelines.sources import Folder, Found, Listing, Reject, Source, top_folders

GroupKey = tuple[str, int]
"""A split and the number of a group in it."""
Member = tuple[int, str, str]
"""A source's place, id and label."""

NOBODY: Member = (0, "", "")
"""Stands in every group, so that each shard exists even if it has no records."""


def materialize(pipeline: beam.Pipeline, *, request: Request, run: Run, expected_digest: str | None) -> None:
    """Adds the whole job to a pipeline.

    Args:
        request: what to write.
        run: where from, where to, and what must hold before the manifest is written.
        expected_digest: that of the listing, where the output was begun before.
    """
    found = (
        pipeline
        | "Root" >> beam.Create([run.input])
        | "List top" >> beam.ParDo(ListTop(request))
        | "Share folders" >> beam.Reshuffle()
        | "List folders" >> beam.ParDo(ListFolder(request, run.input))
    )
    plan = beam.pvalue.AsSingleton(
        found
        | "Count" >> beam.CombineGlobally(CountFound())
        | "Plan" >> beam.Map(plan_and_save, request, run.input, run.output, expected_digest)
    )
    members = found | "Assign to group" >> beam.ParDo(AssignToGroup(), plan)
    everyone = pipeline | "Once" >> beam.Create([0]) | "Every group" >> beam.ParDo(EveryGroup(), plan)
    groups = (
        (members, everyone)
        | "Join groups" >> beam.Flatten()
        | "Group" >> beam.GroupByKey()
        | "Write groups" >> beam.ParDo(WriteGroup(run), plan)
    )
    rejects = found | "Listing rejects" >> beam.ParDo(OnlyRejects())
    # Side inputs that are read once: a list would be put together in time that grows with its square.
    _ = (
        pipeline
        | "When all is written" >> beam.Create([None])
        | "Manifest" >> beam.Map(finish, beam.pvalue.AsIter(groups), plan, beam.pvalue.AsIter(rejects), run)
    )


class ListTop(beam.DoFn):
    """A root to its class folders, and to what else lies beside them."""

    def __init__(self, request: Request) -> None:
        self.layout = request.layout

    def process(self, root: str) -> Iterator[Found | Folder]:
        yield from top_folders(root, self.layout)


class ListFolder(beam.DoFn):
    """A class folder to itself and all that is found in it; what is no folder stays as it is."""

    def __init__(self, request: Request, root: str) -> None:
        self.fractions, self.root = request.split_fractions, root

    def process(self, folder: Found | Folder) -> Iterator[Found | Folder]:
        if not isinstance(folder, Folder):
            yield folder
            return
        yield from in_folder(self.root, folder, self.fractions)


class CountFound(beam.CombineFn):
    """Everything that was found to one Listing."""

    def create_accumulator(self) -> Listing:
        return Listing()

    def add_input(self, listing: Listing, found: Found | Folder) -> Listing:
        return listing.add(found)

    def merge_accumulators(self, listings: Iterable[Listing]) -> Listing:
        total = Listing()
        for listing in listings:
            total = total.merge(listing)
        return total

    def extract_output(self, listing: Listing) -> Listing:
        return listing


@beam.typehints.with_output_types(tuple[GroupKey, Member])
class AssignToGroup(beam.DoFn):
    """A source to its group, by its place in the order; all else that was found is dropped."""

    BLOCK = 1024

    def start_bundle(self) -> None:
        self._block: list[Source] = []
        self._plan: Plan | None = None

    def process(self, found: Found | Folder, plan: Plan) -> Iterator[tuple[GroupKey, Member]]:
        if not isinstance(found, Source):
            return
        self._plan = plan
        self._block.append(found)
        if len(self._block) == self.BLOCK:
            yield from self._assigned()

    def finish_bundle(self) -> Iterator[Any]:
        for pair in self._assigned():
            yield beam.transforms.window.GlobalWindows.windowed_value(pair)

    def _assigned(self) -> Iterator[tuple[GroupKey, Member]]:
        plan, block, self._block = self._plan, self._block, []
        if plan is None or plan.errors:
            return
        order = places(plan.request.seed, [source.id for source in block])
        for source, place in zip(block, order.tolist(), strict=True):
            group = group_of(place, plan.splits[source.split].groups)
            yield (source.split, group), (place - 2**63, source.id, source.label)  # within int64


@beam.typehints.with_output_types(tuple[GroupKey, Member])
class EveryGroup(beam.DoFn):
    """The keys of all groups."""

    def process(self, _: Any, plan: Plan) -> Iterator[tuple[GroupKey, Member]]:
        for split, planned in plan.splits.items():
            for group in range(planned.groups):
                yield (split, group), NOBODY


class WriteGroup(beam.DoFn):
    """A group to what its receipts say."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._writer: Any = None

    def process(self, group: tuple[GroupKey, Iterable[Member]], plan: Plan) -> Iterator[Any]:
        import_tensorflow(threads_an_op=1)  # each core has a source of its own; sharing costs a fifth
        from pipelines.materialize.shard import Group, GroupWriter

        (split, number), members = group
        if self._writer is None:
            self._writer = GroupWriter(plan, self.run.input, self.run.output)
        sources = [(source, label) for _, source, label in sorted(members) if source]
        # When stopped it ends as if it were done: an error would be tried again.
        with suppress(Stopped), Progress(self.run.output, f"{split}-{number}") as progress:
            yield group_files(split, number, self._writer.write(Group(split, number, sources), progress))


class OnlyRejects(beam.DoFn):
    """Drops what was found that is no reject."""

    def process(self, found: Any) -> Iterator[Reject]:
        if isinstance(found, Reject):
            yield found
