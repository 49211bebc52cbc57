"""The Beam pipeline, as the figure in docs/architecture.md draws it: List | Plan | Group | Write | Commit.

No list of images passes through the launcher, and no image bytes through a shuffle. Each step checks what
it is given when it is made, which is in the launcher.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, get_args

import apache_beam as beam
from apache_beam.metrics import Metrics

from augment.errors import RequestError, require
from pipelines import plan, storage
from pipelines.annotations import Annotations
from pipelines.annotations.transform import ListAnnotated
from pipelines.format.request import Request
from pipelines.images import in_folder
from pipelines.materialize.balance import LastOnes
from pipelines.materialize.commit import GroupFiles, commit, group_files
from pipelines.materialize.grouping import Group, GroupKey, Member
from pipelines.materialize.plan_file import Begun, plan_and_save
from pipelines.materialize.progress import Listed, Progress, Stopped, stop
from pipelines.materialize.run import Run
from pipelines.materialize.together import KeepTogether
from pipelines.packets import things_of
from pipelines.quiet import import_tensorflow
from pipelines.sources import Folder, Found, Layout, Listing, Reject, top_folders


def materialize(
    start: beam.Pipeline | beam.PCollection[Any], *, request: Request, run: Run, begun: Begun | None
) -> beam.PCollection[None]:
    """Adds the whole job to a pipeline; what it returns is there when the dataset is.

    Args:
        start: the pipeline; or one element, which comes once there is something in the input to be listed.
        request: what to write.
        run: where from, where to, and what must hold before the manifest is written.
        begun: what the output was begun with, if it was.
    """
    by = (request.split_fractions, request.group_by)
    if request.annotations:
        features = tuple((request.features or {}).items())
        known = Annotations(run.annotations, request.annotations, features)
        found = start | ListAnnotated(run.input, known, *by, run.waiting)
    else:
        found = start | List(run.input, request.layout, *by)
    if request.duplicates and request.split_fractions:
        found |= KeepTogether(run.input, request.split_fractions, request.group_by, run.waiting)
    planned = found | Plan(request, run.input, run.output, begun, run.waiting)
    written = found | Group(planned, run.waiting) | Write(planned, run)
    return (found, written) | Commit(planned, run)


class List(beam.PTransform):
    """An input directory to what is found in it; workers share its class folders.

    At the beginning of a pipeline, or behind one element that comes once there is something to be listed.

    Args:
        root: absolute, or a URL.
        layout: what its top folders are.
        fractions: of the splits that are made, where there are none.
        group_by: what these do not tear, as in a request.
    """

    def __init__(
        self,
        root: str,
        layout: Layout,
        fractions: dict[str, str] | None = None,
        group_by: str | None = None,
    ) -> None:
        super().__init__()
        _check_place("root", root)
        if layout not in get_args(Layout):
            raise RequestError(f"layout is {layout!r}; it must be one of {', '.join(get_args(Layout))}")
        self.root, self.layout, self.fractions, self.group_by = root, layout, fractions, group_by

    def expand(self, start: beam.pvalue.PBegin | beam.PCollection[Any]) -> beam.PCollection[Found | Folder]:
        begins = isinstance(start, beam.pvalue.PBegin)
        return (
            (start | "Root" >> beam.Impulse() if begins else start)
            | "Top" >> beam.ParDo(ListTop(self.root, self.layout))
            | "Share" >> beam.GroupByKey()
            | "Folders" >> beam.ParDo(ListFolder(self.root, self.fractions, self.group_by))
        )


class Plan(beam.PTransform):
    """What was found to the plan, which is kept in the output.

    Args:
        request: what to write.
        root, output: where from and where to; absolute, or URLs.
        begun: what the output was begun with, if it was.
        waiting: where on the machine of all workers packets wait; empty: nowhere.
    """

    def __init__(
        self, request: Request, root: str, output: str, begun: Begun | None = None, waiting: str = ""
    ) -> None:
        super().__init__()
        _check_place("root", root)
        _check_place("output", output)
        self.request, self.root, self.output, self.begun = request, root, output, begun
        self.waiting = waiting

    def expand(self, found: beam.PCollection[Found | Folder]) -> beam.PCollection[plan.Plan]:
        # As a view: else four steps more, which any run takes its time for, make the count of an empty input.
        counted = found | "Count" >> beam.CombineGlobally(CountFound(self.output)).as_singleton_view()
        given: list[Any] = [counted, self.request, self.root, self.output, self.begun]
        if self.request.balance is not None:
            last = found | "Last" >> LastOnes(self.request, counted, self.waiting)
            given.append(beam.pvalue.AsDict(last))
        return found.pipeline | "Once" >> beam.Impulse() | "Make" >> beam.Map(plan_and_save, *given)


class Write(beam.PTransform):
    """Groups to what they left in the output.

    Args:
        planned: the plan alone.
        run: where from and where to, and who computes the pixels, which are the same.
    """

    def __init__(self, planned: beam.PCollection[plan.Plan], run: Run) -> None:
        super().__init__()
        _check_place("root", run.input)
        _check_place("output", run.output)
        self.planned, self.writing = beam.pvalue.AsSingleton(planned), WriteGroup(run)

    def expand(
        self, groups: beam.PCollection[tuple[GroupKey, Iterable[bytes]]]
    ) -> beam.PCollection[GroupFiles]:
        return groups | "Group" >> beam.ParDo(self.writing, self.planned)


class Commit(beam.PTransform):
    """What was found, and what groups left, to a dataset; or to what keeps it from being one."""

    def __init__(self, planned: beam.PCollection[plan.Plan], run: Run) -> None:
        super().__init__()
        if not 0 <= run.max_rejects <= 1:
            raise RequestError(f"max_rejects is {run.max_rejects}; it must be from 0 to 1")
        self.planned, self.run = beam.pvalue.AsSingleton(planned), run

    def expand(
        self, inputs: tuple[beam.PCollection[Found | Folder], beam.PCollection[GroupFiles]]
    ) -> beam.PCollection[None]:
        found, written = inputs
        rejects = found | "Rejects" >> beam.ParDo(OnlyRejects())
        # Side inputs that are read once: a list would be put together in time that grows with its square.
        return (
            found.pipeline
            | "Once" >> beam.Impulse()
            | "Manifest"
            >> beam.Map(
                commit, beam.pvalue.AsIter(written), self.planned, beam.pvalue.AsIter(rejects), self.run
            )
        )


def _check_place(name: str, path: str) -> None:
    if path != storage.at(path).absolute():
        raise RequestError(f"{name} is {path!r}; it must be absolute, or a URL: workers have other folders")


class ListTop(beam.DoFn):
    """A root to its class folders, and to what else lies beside them."""

    def __init__(self, root: str, layout: Layout) -> None:
        self.root, self.layout = root, layout

    def process(self, _: Any) -> Iterator[tuple[int, Found | Folder]]:
        yield from enumerate(top_folders(self.root, self.layout))


class ListFolder(beam.DoFn):
    """A class folder to itself and all that is found in it; what is no folder stays as it is."""

    def __init__(self, root: str, fractions: dict[str, str] | None, group_by: str | None) -> None:
        self.root, self.fractions, self.group_by = root, fractions, group_by

    def process(self, shared: tuple[int, Iterable[Found | Folder]]) -> Iterator[Found | Folder]:
        for folder in shared[1]:
            if isinstance(folder, Folder):
                yield from in_folder(self.root, folder, self.fractions, self.group_by)
            else:
                yield folder


class CountFound(beam.CombineFn):
    """Everything that was found to one Listing, with notes in an output of how much it is by now."""

    def __init__(self, output: str) -> None:
        self.output = output

    def setup(self) -> None:
        self._listed = Listed(self.output)

    def create_accumulator(self) -> Listing:
        return Listing()

    def add_input(self, listing: Listing, found: Found | Folder) -> Listing:
        self._listed()
        return listing.add(found)

    def merge_accumulators(self, listings: Iterable[Listing]) -> Listing:
        total = Listing()
        for listing in listings:
            total = total.merge(listing)
        return total

    def extract_output(self, listing: Listing) -> Listing:
        return listing


class WriteGroup(beam.DoFn):
    """A group to what it left in the output.

    Where several processes are at work, the next group is begun while the last one is finished: those that
    derive would have nothing to do, or this one would wait for a disk. So what a group left is handed on with
    the one after it, or at the end of the bundle.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._writer: Any = None
        self._begun: collections.deque[tuple[Any, Future[Any]]] = collections.deque()
        """groups, and what will have become of them, in order"""
        self._new: collections.deque[int] = collections.deque()
        """records that are done, for the runner's counter, which counts in its own thread alone"""
        self._images, self._done, self._rejects, self._bytes = (
            Metrics.counter("augshard", name) for name in ("images read", "records done", "rejects", "bytes")
        )

    def setup(self) -> None:
        self._threads = ThreadPoolExecutor(2)

    def process(
        self, members_of: tuple[GroupKey, Iterable[bytes]], planned: plan.Plan
    ) -> Iterator[GroupFiles]:
        from pipelines.materialize import group

        (split, first, number), packets = members_of
        try:
            if self._writer is None:
                if self.run.backend == "device":
                    require("TensorFlow", "the device backend")
                    import_tensorflow(threads_an_op=1)  # each core has a source; sharing costs a fifth
                processes = max(1, group.CORES // self.run.workers)
                self._writer = group.GroupWriter(planned, self.run, processes)
        except (group.GroupFailed, RequestError) as failed:
            yield self._fault(split, number, failed)
            return
        members: list[Member] = sorted(things_of(packets))
        sources = [one[1:] for one in members]
        mine = group.Group(split, number, planned.tier(split, first), sources)
        self._begun.append((mine, self._threads.submit(self._write, mine)))
        ahead = max(self.run.workers, self._writer.processes) > 1
        while len(self._begun) > ahead:
            yield from self._left()

    def finish_bundle(self) -> Iterator[Any]:
        while self._begun:
            for files in self._left():
                yield beam.transforms.window.GlobalWindows.windowed_value(files)

    def teardown(self) -> None:
        self._begun.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, mine: Any) -> Any:
        """What it left, or GroupFailed; None if the run was stopped. In a thread of its own."""
        from pipelines.materialize.group import GroupFailed

        first = mine.tier.first
        note = f"{mine.split}_c{first}-{mine.number}" if first > 0 else f"{mine.split}-{mine.number}"
        # When stopped it ends as if it were done: an error would be tried again.
        with suppress(Stopped), Progress(self.run.output, note, self._new.append) as progress:
            try:
                return self._writer.write(mine, progress)
            except (GroupFailed, RequestError) as failed:
                return failed
        return None

    def _left(self) -> Iterator[GroupFiles]:
        """What the group left that was begun first, if the run was not stopped."""
        mine, written = self._begun.popleft()
        try:
            while not wait([written], timeout=1).done:
                self._count()
            finished = written.result()
        except BaseException:
            self.teardown()  # without what derives, the other one ends too
            raise
        if isinstance(finished, Exception):
            yield self._fault(mine.split, mine.number, finished)
        elif finished is not None:
            new = [one for one in finished if not one.kept]
            self._count()
            self._images.inc(len(mine.sources) if new else 0)
            self._rejects.inc(len(new[0].receipt.rejects) if new else 0)
            self._bytes.inc(sum(one.receipt.bytes + one.samples.bytes for one in new))
            yield group_files(mine.split, mine.number, finished, self._writer.processes)

    def _count(self) -> None:
        while self._new:
            self._done.inc(self._new.popleft())

    def _fault(self, split: str, number: int, failed: Exception) -> GroupFiles:
        with suppress(OSError):  # which hides no other
            stop(self.run.output)  # the other groups may fail alike, and the user is to know soon
        return GroupFiles(split, number, fault=str(failed))


class OnlyRejects(beam.DoFn):
    """Drops what was found that is no reject."""

    def process(self, found: Any) -> Iterator[Reject]:
        if isinstance(found, Reject):
            yield found
