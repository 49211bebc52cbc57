"""Whatever is done to an output and to the images that it came from, in any order: what is believed is true.

Hypothesis chooses the steps. A run is killed at one of its steps on the disk by a disk that is gone from
there on: that leaves what a kill leaves.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as try_out
from PIL import Image

from augment.errors import RequestError
from pipelines import datasets
from tests.disk_faults import Failing, watched
from tests.in_process import Ended, augshard

RECIPE = "storage: {format: png}\nops:\n  - resize: {height: 8, width: 8}\n  - flip: {horizontal: 0.5}\n"
MANIFEST, PLAN, INFO = "manifest.json", ".unfinished/plan.json", "dataset_info.json"
EMPTYING = ".unfinished/former-manifest.json"
UNLIKE = {"run.json", ".unfinished/lock"}
"""What says when, and what says that somebody was there."""

Images = dict[str, bytes]
"""Contents by name, which is a path below the input."""


def picture(seed: int) -> bytes:
    """All of one size in bytes, by which they cannot be told apart."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


CONTENTS = [picture(0), picture(1), picture(0)[:-20]]
"""Two pictures and one that cannot be used."""
BROKEN = CONTENTS[2]
PICTURE, CONTENT, COPIES = st.integers(0, 1), st.integers(0, 2), st.integers(1, 3)
NAMES = ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"]
FOREIGN = ["thesis.txt", "samples/thesis.txt", ".unfinished/thesis.txt", ".unfinished/scratch/thesis.txt"]


class Wanted(NamedTuple):
    """What differs between requests."""

    copies: int
    seed: int


def files(directory: Path) -> dict[str, bytes]:
    """All files below a directory, but those that are never alike."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    found = {path.relative_to(directory).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in found.items() if name not in UNLIKE}


def lasting(found: dict[str, bytes]) -> dict[str, bytes]:
    """Without what a run begins by clearing away: how far an earlier one was, what it had half written."""
    return {name: found[name] for name in found if name == PLAN or not name.startswith(".unfinished/")}


def save(images: Images, directory: Path) -> None:
    for name, content in images.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


class Workshop:
    """Runs, and what comes of undisturbed ones, each of which is made once."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.recipe = home / "tiny.yaml"
        self.recipe.write_text(RECIPE)
        self._undisturbed: dict[tuple[object, ...], dict[str, bytes]] = {}
        self._inputs: dict[tuple[object, ...], Path] = {}
        self._audited: set[str] = set()

    def materialize(self, photos: Path, output: Path, wanted: Wanted, *more: object) -> Ended:
        return augshard(
            *("materialize", "--input", photos, "--output", output, "--recipe", self.recipe),
            *("--copies", wanted.copies, "--seed", wanted.seed, "--shards", 2, "--max-rejects", 1, *more),
        )

    def input_of(self, images: Images) -> Path:
        key = tuple(sorted(images.items()))
        if key not in self._inputs:
            self._inputs[key] = self.home / f"input-{len(self._inputs)}"
            save(images, self._inputs[key])
        return self._inputs[key]

    def undisturbed(self, images: Images, wanted: Wanted) -> dict[str, bytes]:
        key = (*sorted(images.items()), wanted)
        if key not in self._undisturbed:
            output = self.home / f"output-{len(self._undisturbed)}"
            ended = self.materialize(self.input_of(images), output, wanted)
            assert ended.status == 0, ended.err
            self._undisturbed[key] = files(output)
        return self._undisturbed[key]

    def check_audit(self, output: Path, images: Images, *, info_is_late: bool) -> None:
        """Each state is audited once, wherever it lies."""
        state = hashlib.sha256(repr(sorted(files(output).items())).encode()).hexdigest()
        if state not in self._audited:
            ended = augshard("audit", output, "--input", self.input_of(images), "--samples", "all")
            assert ended.status == int(info_is_late), ended.out + ended.err
            findings = ended.out.partition("\n\n")[2].strip().splitlines()
            assert all(INFO in finding for finding in findings), ended.out
            self._audited.add(state)


class Output(RuleBasedStateMachine):
    """One output, its input, and what is known of both."""

    workshop: Workshop

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=self.workshop.home))
        self.photos, self.output = self.home / "photos", self.home / "out"
        self.images: Images = {}
        self.since: dict[str, set[bytes]] = {}
        """by name the contents since what is in the output was begun"""
        self.asked: Wanted | None = None
        """what was begun last"""
        self.foreign: dict[str, bytes] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    @initialize(pictures=st.tuples(*[PICTURE] * len(NAMES)), copies=COPIES, step=st.integers(1, 200))
    def begin(self, pictures: tuple[int, ...], copies: int, step: int) -> None:
        """With a first run, which is killed or not."""
        self.images = {name: CONTENTS[number] for name, number in zip(NAMES, pictures, strict=True)}
        save(self.images, self.photos)
        self._run(Wanted(copies, 0), step)

    @rule(name=st.sampled_from(NAMES), content=CONTENT)
    def change_or_add_an_image(self, name: str, content: int) -> None:
        self.images[name] = CONTENTS[content]
        self.since.setdefault(name, set()).add(CONTENTS[content])
        save(self.images, self.photos)

    @rule(name=st.sampled_from(["cat/1.png", "dog/0.png", "dog/1.png"]))
    def remove_an_image(self, name: str) -> None:
        self.images.pop(name, None)
        (self.photos / name).unlink(missing_ok=True)

    @precondition(lambda self: self.output.exists() and not self.foreign)
    @rule(name=st.sampled_from(FOREIGN))
    def put_a_foreign_file_into_the_output(self, name: str) -> None:
        self.foreign[name] = b"the only copy"
        save(self.foreign, self.output)

    @precondition(lambda self: self.foreign)
    @rule()
    def take_foreign_files_away(self) -> None:
        for name in self.foreign:
            (self.output / name).unlink()
        self.foreign.clear()

    @rule(copies=COPIES, seed=st.sampled_from([0, 0, 0, 1]))
    def materialize(self, copies: int, seed: int) -> None:
        self._run(Wanted(copies, seed))

    @rule(copies=COPIES, step=st.integers(1, 110))
    def materialize_and_kill(self, copies: int, step: int) -> None:
        self._run(Wanted(copies, 0), step)

    @precondition(lambda self: self.asked)
    @rule(more=st.integers(0, 2))
    def go_on(self, more: int) -> None:
        assert self.asked
        self._run(self.asked._replace(copies=self.asked.copies + more))

    @rule(copies=st.integers(1, 2))
    def overwrite(self, copies: int) -> None:
        self._run(Wanted(copies, 0), overwrite=True)

    @precondition(lambda self: self.asked)
    @rule(copies=st.integers(1, 2), step=st.integers(1, 60))
    def overwrite_and_kill(self, copies: int, step: int) -> None:
        self._run(Wanted(copies, 0), step, overwrite=True)

    @precondition(lambda self: self.output.exists())
    @rule()
    def read(self) -> None:
        if not (self.output / MANIFEST).exists():
            with pytest.raises(RequestError):
                datasets.from_shards(str(self.output))
            return
        manifest = json.loads((self.output / MANIFEST).read_bytes())
        assert len(list(datasets.from_shards(str(self.output)))) == manifest["records"]

    @precondition(lambda self: (self.output / INFO).exists())
    @rule()
    def read_with_tfds(self) -> None:
        """It sees nothing that the manifest does not have."""
        import tensorflow_datasets as tfds

        manifest = json.loads((self.output / MANIFEST).read_bytes())
        copies, records = manifest["request"]["copies"], manifest["records"]
        builder = tfds.builder_from_directory(str(self.output))
        assert set(builder.info.splits) <= {f"train_c{copy}" for copy in range(copies)}
        for split in builder.info.splits:
            assert len(list(builder.as_dataset(split=split))) == records // copies

    def _run(self, wanted: Wanted, step: int = 10**9, *, overwrite: bool = False) -> None:
        before = files(self.output)
        begun = [name for name in (MANIFEST, PLAN) if name in before]
        must = self._must_succeed(wanted, overwrite=overwrite, before=before)
        failing = Failing(step, errno.ENOSPC, dead=True)
        with watched(failing):
            ended = self.workshop.materialize(self.photos, self.output, wanted, *["--overwrite"] * overwrite)
        killed, after = failing.taken >= step, files(self.output)
        assert ended.status in (0, 1, 2), ended.err
        assert "Traceback" not in ended.err
        assert ended.status == 0 or killed or not must, ended.err
        if ended.status == 2 and not killed:
            assert lasting(after) == lasting(before), ended.err
            return
        goes_on = begun and not overwrite
        if killed:
            goes_on = any(after.get(name) == before[name] for name in begun)
        if not goes_on:
            self.since = {name: {content} for name, content in self.images.items()}
        if ended.status == 0 or after.get(PLAN, before.get(PLAN)) != before.get(PLAN):
            self.asked = wanted
        if ended.status == 0 and not killed:
            origin = self._origin()
            assert after == before or set(origin) == set(self.images)
            expected = self.workshop.undisturbed(origin, wanted)
            assert after == {**expected, **self.foreign}

    def _must_succeed(self, wanted: Wanted, *, overwrite: bool, before: dict[str, bytes]) -> bool:
        """Whether there is nothing to refuse it for."""
        if not self._usable() or self.foreign:
            return False
        if overwrite or not before or self.asked is None:
            return True
        unchanged = self.since == {name: {content} for name, content in self.images.items()}
        return unchanged and wanted.seed == self.asked.seed and wanted.copies >= self.asked.copies

    def _usable(self) -> bool:
        folders = {name.partition("/")[0] for name in self.images}
        return len(folders) == 2 and any(content != BROKEN for content in self.images.values())

    def _origin(self) -> Images:
        """The images that a dataset was made from, by what it says itself."""
        by_digest = {hashlib.sha256(content).hexdigest(): content for content in CONTENTS}
        found: dict[str, set[bytes]] = {}
        for name in json.loads((self.output / MANIFEST).read_bytes())["files"]:
            if name.startswith("samples/"):
                table = pq.read_table(self.output / name, columns=["source", "source_sha256"])
                for source, digest in zip(*(column.to_pylist() for column in table), strict=True):
                    found.setdefault(source, set()).add(by_digest[digest])
        for line in (self.output / "rejects.jsonl").read_text().splitlines():
            found.setdefault(json.loads(line)["source"], set()).add(BROKEN)
        torn = sorted(name for name, contents in found.items() if len(contents) > 1)
        assert not torn, f"copies differ in what they were made from: {torn}"
        return {name: contents.pop() for name, contents in found.items()}

    @invariant()
    def what_has_a_manifest_is_whole_and_follows_from_its_images(self) -> None:
        if not (self.output / MANIFEST).exists():
            return
        now, origin = files(self.output), self._origin()
        manifest = json.loads(now[MANIFEST])
        for name, content in origin.items():
            assert content in self.since[name], f"{name} was made from what was there before it was begun"
        wanted = Wanted(manifest["request"]["copies"], manifest["request"]["seed"])
        expected = dict(self.workshop.undisturbed(origin, wanted))
        info = expected.pop(INFO)  # which is written behind the manifest
        assert {name: now.get(name) for name in expected} == expected
        assert now.get(INFO) == info or {PLAN, EMPTYING} & now.keys()
        if not self.foreign:  # which an audit finds, and says
            self.workshop.check_audit(self.output, origin, info_is_late=now.get(INFO) != info)

    @invariant()
    def nothing_foreign_is_removed(self) -> None:
        assert {name: files(self.output).get(name) for name in self.foreign} == self.foreign


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> type[Output]:
    Output.workshop = Workshop(tmp_path_factory.mktemp("stateful"))
    return Output


def orders(examples: int, steps: int, **more: object) -> settings:
    """So many orders of so many steps; one that fails is told as it is, for making it smaller takes long."""
    return settings(
        phases=[Phase.generate],
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **more,
    )


def test_c4_c6_c7_no_order_of_steps_leaves_a_dataset_that_is_not_what_it_says(output):
    try_out(output, settings=orders(5, 8, derandomize=True))
