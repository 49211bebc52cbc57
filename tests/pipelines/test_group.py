"""One group: what its shards were made of, what is believed of what lies there, and two attempts at once."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augment.draws import Draw
from augment.kernels.kinds import Custom, Kernel, Kernels, Window
from augment.ops import Op, Size, base
from augment.recipe import parse_recipe
from pipelines.format import records
from pipelines.format.request import Request
from pipelines.format.samples import read_receipt
from pipelines.materialize import derive, group
from pipelines.materialize.derive import Derived, Member, _draws
from pipelines.materialize.group import Finished, Group, GroupFailed, GroupWriter
from pipelines.plan import Plan, make_plan
from pipelines.sources import Folder, Listing, Source, list_folder
from tests.forgery import write_samples
from tests.in_process import run_of

RECIPE = "ops: [resize: {height: 6, width: 7}, flip: {horizontal: 0.5}, brightness: {delta: 0.3}]"
COPIES = 3


class Job(NamedTuple):
    """A plan of one group, with what it takes to write it."""

    root: Path
    output: Path
    plan: Plan
    group: Group

    def write(self) -> list[Finished]:
        return GroupWriter(self.plan, run_of(self.root, self.output)).write(self.group, lambda *_, **__: None)

    def files(self) -> dict[str, bytes]:
        found = (path for path in sorted(self.output.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.output)): path.read_bytes() for path in found}

    def samples(self, copy: int) -> Path:
        return self.output / f"samples/train_c{copy}-00000-of-00001.parquet"


@pytest.fixture
def job(tmp_path) -> Job:
    """Eight small images, of which one is damaged, in three copies and as they are."""
    root, output = tmp_path / "in", tmp_path / "out"
    (root / "cat").mkdir(parents=True)
    output.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 8, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"cat/{number}.png")
    (root / "cat/3.png").write_bytes(b"no image")
    request = Request(
        name="x",
        recipe_name="x",
        recipe=parse_recipe(RECIPE, name="x").canonical(),
        seed=0,
        copies=COPIES,
        originals=True,
        shards=1,
    )
    folder = Folder("cat", "train", "cat")
    found = list(list_folder(str(root), folder))
    listing = Listing().add(folder)
    for one in found:
        listing.add(one)
    sources = sorted((source.id, source.label, b"", "") for source in found if isinstance(source, Source))
    plan = make_plan(request, listing, None)
    return Job(root, output, plan, Group("train", 0, plan.tier("train", 0), sources))


@pytest.fixture
def one_copy_a_pass(monkeypatch) -> Callable[[Callable[[], object]], None]:
    """Each copy in a pass of its own, and something that happens after the first."""

    def arrange(happens: Callable[[], object]) -> None:
        monkeypatch.setattr(group, "COPIES_AT_ONCE", 1)
        whole = GroupWriter._write_pass

        def write_pass(self: GroupWriter, *arguments: object) -> list[Finished]:
            finished = whole(self, *arguments)
            if finished[0].receipt.copy == -1:
                happens()
            return finished

        monkeypatch.setattr(GroupWriter, "_write_pass", write_pass)

    return arrange


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """How long attempts waited for the next."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (errno.EACCES, "permission denied"),
        (errno.ENOENT, "no such file or directory"),
        (errno.ENOTDIR, "not a directory"),
        (errno.ESTALE, "stale file handle"),
        (errno.EIO, "input/output error"),
    ],
)
def test_c6_a_source_that_cannot_be_read_fails_the_group_and_is_no_reject(
    fault, said, job, waits, monkeypatch
):
    read = derive.read_source

    def failing(root: str, source: str) -> bytes:
        if source == "cat/5.png":
            raise OSError(fault, os.strerror(fault))
        return read(root, source)

    monkeypatch.setattr(derive, "read_source", failing)
    with pytest.raises(GroupFailed) as failed:
        job.write()
    monkeypatch.setattr(derive, "read_source", read)
    assert str(failed.value) == (
        f"cat/5.png: it cannot be read ({said}); make it readable, or put it back, and run the same command "
        "again, or take it out of the input and start over with --overwrite"
    )
    assert waits == [1, 2]
    assert job.files() == {}
    assert [one.receipt.records for one in job.write()] == [7, 7, 7, 7]


@pytest.mark.usefixtures("waits")
def test_a_source_that_vanishes_between_two_passes_leaves_the_first_and_fails_the_second(
    job, one_copy_a_pass, tmp_path
):
    one_copy_a_pass(lambda: (job.root / "cat/5.png").rename(tmp_path / "5.png"))
    with pytest.raises(GroupFailed, match=r"cat/5\.png: it cannot be read"):
        job.write()
    assert len(job.files()) == 2
    (tmp_path / "5.png").rename(job.root / "cat/5.png")
    before = job.files()
    one_copy_a_pass(lambda: None)
    assert [one.kept for one in job.write()] == [True, False, False, False]
    assert before.items() <= job.files().items()


@pytest.mark.parametrize(
    ("contents", "now"), [("other", r"SHA-256 [0-9a-f]{12}\.\.\."), ("none", "rejected as empty")]
)
def test_c1_copies_of_a_group_are_of_the_same_bytes_or_the_one_that_changed_is_named(
    contents, now, job, one_copy_a_pass
):
    changed = job.root / "cat/5.png"
    was = changed.read_bytes()
    one_copy_a_pass(
        lambda: (
            shutil.copy(job.root / "cat/6.png", changed) if contents == "other" else changed.write_bytes(b"")
        )
    )
    for _ in range(2):  # the second finds the first copy there
        with pytest.raises(
            GroupFailed, match=rf"cat/5\.png: it changed between copies -1 and 0 \(SHA.*{now}\)"
        ):
            job.write()
        assert len(job.files()) == 2
    changed.write_bytes(was)
    one_copy_a_pass(lambda: None)
    assert len({one.receipt.sources for one in job.write()}) == 1


def test_c4_the_receipt_of_another_shard_is_not_believed(job):
    job.write()
    whole = job.files()
    (job.output / "x-train_c2.tfrecord-00000-of-00001").unlink()
    shutil.copy(job.samples(1), job.samples(2))
    assert [one.kept for one in job.write()] == [True, True, True, False]
    assert job.files() == whole


OTHER = {
    "fingerprint": "0" * 64,
    "split": "test",
    "copy": 1,
    "shard": 1,
    "file": "x-train_c1.tfrecord-00000-of-00001",
    "bytes": 1,
    "sha256": "0" * 64,
    "parity_class": {"numpy": "0"},
}


@pytest.mark.parametrize("field", OTHER)
def test_c4_a_receipt_that_says_anything_else_of_its_shard_is_not_believed(field, job):
    job.write()
    whole = job.files()
    table = pq.read_table(job.samples(2))
    receipt = dataclasses.replace(read_receipt(str(job.samples(2))), **{field: OTHER[field]})
    write_samples(str(job.samples(2)), table.to_pydict(), table.schema, receipt)
    assert [one.kept for one in job.write()] == [True, True, True, False]
    assert job.files() == whole


def test_c9_a_worker_of_another_parity_class_writes_nothing(job):
    other = {**job.plan.parity_class, "numpy": "0.9"}
    foreign = job._replace(plan=job.plan.model_copy(update={"parity_class": other}))
    with pytest.raises(
        GroupFailed, match=r"another parity class .*\(numpy was 0\.9, now .*; make all workers"
    ):
        foreign.write()
    assert job.files() == {}


def test_c4_two_attempts_at_one_group_at_once_end_well(job):
    with ThreadPoolExecutor(4) as pool:
        ended = [attempt.result() for attempt in [pool.submit(job.write) for _ in range(4)]]
    assert all([one._replace(kept=True) for one in finished] == job.write() for finished in ended)
    twice = job.files()
    shutil.rmtree(job.output)
    job.output.mkdir()
    job.write()
    assert twice == job.files()


def test_c8_rows_are_written_in_blocks_that_change_nothing_but_row_groups(job, monkeypatch):
    job.write()
    whole = job.files()
    shutil.rmtree(job.output)
    job.output.mkdir()
    monkeypatch.setattr(group, "BLOCK", 3)
    job.write()
    for name, content in job.files().items():
        if not name.startswith("samples/"):
            assert content == whole[name]
    for copy in range(COPIES):
        file = pq.ParquetFile(job.samples(copy))
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 2, 2]
        (job.output / "whole").write_bytes(whole[f"samples/{job.samples(copy).name}"])
        assert file.read().equals(pq.read_table(job.output / "whole"))


def test_c8_memory_does_not_grow_with_the_images_of_a_group(job, monkeypatch):
    monkeypatch.setattr(group, "BLOCK", 100)
    monkeypatch.setattr(records, "_BUFFER", 1000)
    writer = GroupWriter(job.plan, run_of(job.root, job.output))
    alike = {"class": "cat", "label": 0, "source_sha256": "0" * 64, "source_height": 9, "source_width": 8}

    def derive_nothing(members: Sequence[Member], copies: Sequence[int]) -> Derived:
        sources = [member.source for member in members]
        columns = {"source": sources, **{name: [value] * len(sources) for name, value in alike.items()}}
        digests = [[f"{source:>64}" for source in sources] for _ in copies]
        augmenter = here.augmenters.of("cat")
        drawn = augmenter.recorded(_draws(augmenter, sources, copies))
        return Derived(
            [b"record" * len(sources) for _ in copies], columns, {"pixels_blake3": digests}, drawn, []
        )

    here = writer._pool.here
    monkeypatch.setattr(here, "derive", derive_nothing)

    def peak(images: int) -> int:
        sources = [(f"cat/{number}.png", "cat", b"", "") for number in range(images)]
        tracemalloc.start()
        try:
            whole = dataclasses.replace(job.group, sources=sources)
            writer._write_pass(whole, [-1, 0, 1, 2], [], lambda *_, **__: None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(200)
    assert peak(2000) - peak(200) < 1800 * 200  # bytes an image, of which a row's digests take more


@pytest.fixture
def with_op(job, monkeypatch) -> Callable[..., Job]:
    """The same job with an op of a user's behind the others, and its images stored in a format."""
    monkeypatch.setattr(base, "_registry", dict(base._registry))

    def job_with(kernel: Kernel, stored: str = "png") -> Job:
        class OfAUser(Op):
            def kernels(self, draw: Draw, size: Size) -> Kernels:
                return (kernel,)

        text = RECIPE.replace("]", f", of_a_user: {{p: 1}}]\nstorage: {{format: {stored}}}")
        recipe = parse_recipe(text, name="x").canonical()
        plan = job.plan.model_copy(
            update={"request": job.plan.request.model_copy(update={"recipe": recipe, "originals": False})}
        )
        return job._replace(plan=plan)

    return job_with


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Changed(Custom):
    """What a function makes of an image."""

    change: Callable[[np.ndarray], np.ndarray]

    def on_host(self, image: np.ndarray) -> np.ndarray:
        return self.change(image)


@pytest.mark.parametrize("stored", ["raw", "png", "jpeg"])
@pytest.mark.parametrize(
    ("change", "made"),
    [
        (lambda image: image[::2], "uint8 [3, 7, 3]"),
        (lambda image: image.astype(np.float32), "float32 [6, 7, 3]"),
        (lambda image: image[..., :1], "uint8 [6, 7, 1]"),
        (lambda image: None, "a NoneType"),
    ],
)
def test_c10_no_record_is_written_of_what_a_kernel_makes_that_is_no_image_of_the_same_form(
    stored, change, made, with_op
):
    wrong = with_op(Changed(change=change), stored)
    with pytest.raises(GroupFailed) as failed:
        wrong.write()
    assert str(failed.value) == (
        f"kernel Changed: it made {made} of uint8 [6, 7, 3]; it must keep type and shape"
    )
    assert not wrong.files()


def test_no_record_is_written_of_another_size_than_the_recipe_promises(with_op):
    wrong = with_op(Window(top=np.int32(0), left=np.int32(0), height=6, width=5))
    with pytest.raises(GroupFailed) as failed:
        wrong.write()
    assert str(failed.value) == (
        "recipe x: its ops make an image of 6x5, and it promises 6x7; an op's kernels must give the size "
        "that its output_size says"
    )
    assert not wrong.files()


def test_an_op_may_look_something_up_in_an_array_of_its_own(with_op):
    curve = (255 - np.arange(256)).astype(np.uint8)
    (finished, *_) = with_op(Changed(change=lambda image: curve[image])).write()
    assert finished.receipt.records == 7


def test_an_op_that_fails_on_an_image_is_not_said_to_be_a_fault_of_the_file(with_op):
    def picky(image: np.ndarray) -> np.ndarray:
        raise ValueError("too bright for me")

    with pytest.raises(GroupFailed, match=r"^kernel Changed: ValueError: too bright for me$"):
        with_op(Changed(change=picky)).write()
