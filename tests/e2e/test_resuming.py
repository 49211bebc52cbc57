"""Going on with what is there: other environments, sources that went, fewer copies, nothing to do."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable

import pytest
import tensorflow_datasets as tfds

from pipelines.format.layout import DATASET_INFO
from pipelines.materialize import commit, derive, group, launch
from tests.in_process import Ended

SHARDS = ("--shards", 3)


@pytest.fixture
def ask(images, run_command, recipe_file, tmp_path) -> Callable[..., Ended]:
    """Runs a request for tmp_path/out."""

    def run(*options: object) -> Ended:
        output, recipe = tmp_path / "out", recipe_file("png")
        request = ("materialize", "--input", images, "--output", output, "--recipe", recipe, *SHARDS)
        return run_command(*request, *options)

    return run


def unreadable(monkeypatch, source: str) -> None:
    read = derive.read_source

    def reading(root: str, name: str) -> bytes:
        if name == source:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return read(root, name)

    monkeypatch.setattr(derive, "read_source", reading)
    monkeypatch.setattr(group, "ATTEMPTS", 1)


def stop_in_the_middle(ask: Callable[..., Ended], monkeypatch, *options: object) -> None:
    """A run that fails in its second group."""
    source = "train/cat/004.png"
    with monkeypatch.context() as patch:
        unreadable(patch, source)
        ended = ask(*options)
    assert ended.status == 1
    assert ended.err.endswith(
        f"augshard: {source}: it cannot be read (permission denied); make it readable, or put it back, and "
        "run the same command again, or take it out of the input and start over with --overwrite\n"
    )


def test_c1_c4_copies_are_not_added_without_a_source_that_cannot_be_read(
    ask, materialize, images, tree, tmp_path, monkeypatch
):
    output = tmp_path / "out"
    old = materialize(images, "--copies", 2, *SHARDS)
    shutil.copytree(old, output)
    stop_in_the_middle(ask, monkeypatch, "--copies", 4, "--max-rejects", 1)
    assert tree(old).items() <= tree(output).items()
    ended = ask("--copies", 4)
    assert ended.status == 0
    assert tree(output) == tree(materialize(images, "--copies", 4, *SHARDS))


def test_records_that_were_kept_are_not_counted_as_new(ask, tmp_path, monkeypatch):
    stop_in_the_middle(ask, monkeypatch, "--copies", 2)
    assert list((tmp_path / "out").glob("tiny_png-*"))
    ended = ask("--copies", 2)
    [records] = [line for line in ended.out.splitlines() if line.startswith("records")]
    kept, new = re.search(r"\((\d+) kept, (\d+) new\)", records).groups()
    assert int(kept) + int(new) == 46
    assert int(kept) > 0 < int(new)
    assert ask("--copies", 2).out.count("new") == 0


def test_c9_a_run_is_not_resumed_in_another_parity_class(
    ask, materialize, images, tree, tmp_path, monkeypatch
):
    stop_in_the_middle(ask, monkeypatch, "--copies", 2)
    output, before = tmp_path / "out", tree(tmp_path / "out")
    there = len(list((output / "samples").iterdir()))
    plan = json.loads((output / ".unfinished/plan.json").read_text())
    pillow = plan["parity_class"]["pillow"]
    elsewhere = {**plan["parity_class"], "pillow": "0.9"}
    with monkeypatch.context() as patch:
        patch.setattr(launch, "parity_class", lambda: elsewhere)
        for _ in range(2):
            ended = ask("--copies", 2)
            assert ended.status == 2
            assert ended.err == (
                f"augshard: output {output}: {there} of its 9 shards are there, and were made in another "
                f"parity class: pillow was {pillow}, now 0.9. Go on where these are as they were, write to "
                "another directory, or start over with --overwrite\n"
            )
    assert tree(output) == before
    assert ask("--copies", 2).status == 0
    assert tree(output) == tree(materialize(images, "--copies", 2, *SHARDS))


def test_a_run_that_finished_no_shard_leaves_the_parity_class_open(ask, tmp_path, monkeypatch):
    stop_in_the_middle(ask, monkeypatch, "--copies", 1)
    output = tmp_path / "out"
    for shard in [*output.glob("samples/*"), *output.glob("tiny*")]:
        shard.unlink()
    plan = json.loads((output / ".unfinished/plan.json").read_text())
    plan["parity_class"]["numpy"] = "0.9"
    (output / ".unfinished/plan.json").write_text(json.dumps(plan))
    assert ask("--copies", 1).status == 0


def test_fewer_copies_than_a_run_began_are_refused_with_what_is_there(ask, tmp_path, monkeypatch):
    stop_in_the_middle(ask, monkeypatch, "--copies", 6)
    ended = ask("--copies", 3)
    assert ended.status == 2
    assert ended.err == (
        f"augshard: output {tmp_path}/out: a run for 6 copies did not end, of which 0 are finished; "
        "finish it with --copies 6 (fewer can be chosen when reading), or start over with --overwrite\n"
    )
    assert ask("--copies", 3, "--overwrite").status == 0


def test_nothing_is_written_where_nothing_is_left_to_do(ask, materialize, images, tmp_path, monkeypatch):
    output = tmp_path / "out"
    shutil.copytree(materialize(images, "--copies", 2, *SHARDS), output)
    monkeypatch.setattr(launch.os, "access", lambda path, mode: not mode & os.W_OK)
    before = output.stat().st_mtime_ns
    ended = ask("--copies", 2)
    assert (ended.status, "nothing was left to do" in ended.out) == (0, True)
    assert output.stat().st_mtime_ns == before
    refused = ask("--copies", 3)
    assert (refused.status, "cannot be written to" in refused.err) == (2, True)


def test_c7_an_extension_killed_before_its_last_step_shows_tfds_the_old_dataset(
    ask, run_command, materialize, images, tree, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    output = tmp_path / "out"
    shutil.copytree(materialize(images, "--copies", 1, *SHARDS), output)
    with monkeypatch.context() as patch:
        patch.setattr(commit, "show_to_tfds", killed)
        assert ask("--copies", 2).status == 1
    assert set(tfds.builder_from_directory(output).info.splits) == {"train_c0", "test"}
    ended = run_command("audit", output)
    assert ended.status == 1
    assert (
        f"{DATASET_INFO}: it shows TFDS fewer copies than there are: a run ended before its last" in ended.out
    )
    assert "1 finding" in ended.out
    assert "nothing was left to do" in ask("--copies", 2).out
    assert tree(output) == tree(materialize(images, "--copies", 2, *SHARDS))
