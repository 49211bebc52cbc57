"""Runs that are killed, stopped, starved or fed with garbage, and what a resume makes of them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet
import pytest

from augment.recipe import load_recipe
from pipelines import datasets
from pipelines.packets import WAITING
from tests.in_process import augshard

MANY = ("--copies", 2, "--shards", 20)


def test_c4_c7_a_killed_run_is_resumed_to_the_same_bytes(
    many_images, materialize, start_command, recipe_file, wait_for_receipts, tree, tmp_path
):
    output = tmp_path / "out"
    process = start_command(
        "materialize", "--input", many_images, "--output", output, "--recipe", recipe_file("png"), *MANY
    )
    wait_for_receipts(process, output, 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = sorted(output.glob("tiny_png-*"))
    assert 4 <= len(finished) < 40
    assert not (output / "manifest.json").exists()
    untouched, gone, damaged = finished[0], finished[1], finished[2]
    before = untouched.stat().st_mtime_ns
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")

    materialize(many_images, *MANY, into=output)
    assert tree(output) == tree(materialize(many_images, *MANY))
    assert untouched.stat().st_mtime_ns == before
    assert not (output / ".unfinished").exists()


def test_ctrl_c_says_how_to_go_on_and_a_second_run_is_refused_meanwhile(
    many_images, materialize, start_command, run_command, recipe_file, wait_for_receipts, tree, tmp_path
):
    output = tmp_path / "out"
    request = (
        "materialize",
        "--input",
        many_images,
        "--output",
        output,
        "--recipe",
        recipe_file("png"),
        *MANY,
    )
    process = start_command(*request)
    wait_for_receipts(process, output, 2)
    process.send_signal(signal.SIGSTOP)
    second = run_command(*request)
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert second.status == 2
    assert second.err == f"augshard: output {output}: another run is writing to it; wait for its end\n"
    assert process.returncode == 130
    assert err.splitlines()[-1] == "augshard: stopped; run the same command again to go on"
    assert not list(output.rglob(f"*{WAITING}"))
    materialize(many_images, *MANY, into=output)
    assert tree(output) == tree(materialize(many_images, *MANY))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_c4_worker_processes_end_with_their_launcher(
    many_images, materialize, start_command, recipe_file, wait_for_receipts, tree, tmp_path, number
):
    output = tmp_path / "out"
    processes = ("--direct_running_mode", "multi_processing", "--direct_num_workers", 2)
    request = ("--input", many_images, "--output", output, "--recipe", recipe_file("png"))
    process = start_command("materialize", *request, *MANY, *processes)
    wait_for_receipts(process, output, 2)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) == 2
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert err.splitlines()[-1] == "augshard: stopped; run the same command again to go on"
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert not (output / "manifest.json").exists()
    kept = sum(pyarrow.parquet.read_metadata(path).num_rows for path in (output / "samples").iterdir())
    ended = augshard("materialize", *request, *MANY)
    assert f"records  640 ({kept} kept, {640 - kept} new)\n" in ended.out
    assert tree(output) == tree(materialize(many_images, *MANY))


@pytest.fixture
def garbage(images, tmp_path) -> Path:
    """The images with five that cannot be used, and a hidden and a foreign file."""
    root = tmp_path / "garbage"
    shutil.copytree(images, root)
    whole = (root / "train/cat/001.jpg").read_bytes()
    png = bytearray((root / "train/cat/000.png").read_bytes())
    png[-30:-20] = b"\xff" * 10
    header = struct.pack(">IIBBBBB", 1 << 15, 1 << 15, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    bad = {
        "corrupt.png": bytes(png),
        "empty.jpg": b"",
        "huge.png": bomb,
        "text.png": b"neither fish nor fowl",
        "cut.jpg": whole[: len(whole) // 3],
    }
    for name, contents in bad.items():
        (root / "train/dog" / name).write_bytes(contents)
    (root / "train/dog/gone.png").symlink_to("nowhere")
    (root / "train/dog/notes.txt").write_text("x")
    return root


def test_c6_what_cannot_be_used_is_named_with_its_reason_and_too_much_of_it_fails(
    garbage, materialize, run_command, recipe_file, tree, samples_of, tmp_path
):
    output = tmp_path / "out"
    request = ("materialize", "--input", garbage, "--output", output, "--recipe", recipe_file("png"))
    ended = run_command(*request, "--copies", 2)
    assert ended.status == 1
    assert "\naugshard: 6 of 32 images were rejected (" in ended.err
    assert "more than --max-rejects 0.01 allows" in ended.err
    assert not (output / "manifest.json").exists()
    shards = {path: path.stat().st_mtime_ns for path in output.glob("tiny_png-*")}
    assert len(shards) == 3

    materialize(garbage, "--copies", 2, "--max-rejects", 0.5, into=output)
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    assert tree(output) == tree(materialize(garbage, "--copies", 2, "--max-rejects", 0.5))
    rejects = [json.loads(line) for line in (output / "rejects.jsonl").read_text().splitlines()]
    assert {reject["source"]: reject["reason"] for reject in rejects} == {
        "train/dog/corrupt.png": "corrupt",
        "train/dog/cut.jpg": "truncated",
        "train/dog/empty.jpg": "empty",
        "train/dog/gone.png": "broken_link",
        "train/dog/huge.png": "too_large",
        "train/dog/text.png": "not_an_image",
    }
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["ignored"] == {".txt": 1}
    assert manifest["splits"]["train"]["sources"] == 25
    assert manifest["splits"]["train"]["written"] == 20
    stored = samples_of(datasets.from_shards(str(output), copies=[1]))
    recipe = load_recipe(recipe_file("png"))
    assert samples_of(datasets.from_images(str(garbage), recipe, seed=0, copy=1)) == stored


def test_c6_the_table_at_the_end_says_what_was_left_out_and_what_to_do(
    images, run_command, recipe_file, tmp_path
):
    root = tmp_path / "in"
    shutil.copytree(images / "train", root)
    (root / "dog/a.png").write_bytes(b"neither fish nor fowl")
    for name in ("drawing.psd", "other.psd", "notes.txt"):
        (root / "dog" / name).write_text("x")
    output = tmp_path / "out"
    ended = run_command(
        *("materialize", "--input", root, "--output", output, "--recipe", recipe_file("png")),
        *("--max-rejects", 0.5),
    )
    rows = dict(line.split(None, 1) for line in ended.out.splitlines() if line[:1].isalpha())
    assert rows["rejects"] == f"1: 1 not_an_image ({output}/rejects.jsonl names them)"
    assert rows["ignored"] == "2 .psd, 1 .txt (convert .psd files to PNG or JPEG)"


def test_a_dataset_without_any_usable_image_fails(tmp_path, run_command, recipe_file):
    (tmp_path / "in/a").mkdir(parents=True)
    (tmp_path / "in/a/1.png").write_bytes(b"no image")
    ended = run_command(
        *("materialize", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--recipe", recipe_file("png"), "--max-rejects", 1),
    )
    assert ended.status == 1
    assert ended.err.endswith(
        f"augshard: no image could be used (1 not_an_image); {tmp_path}/out/rejects.jsonl names them\n"
    )


@contextlib.contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` bytes: like a full disk, but for any user."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_c7_a_disk_that_cannot_take_a_shard_fails_the_run_and_can_be_resumed(
    images, materialize, run_command, recipe_file, tree, tmp_path
):
    request = ("--copies", 2, "--shards", 3)
    output = tmp_path / "out"
    with small_files(6000):
        ended = run_command(
            *("materialize", "--input", images, "--output", output, "--recipe", recipe_file("png")), *request
        )
    assert ended.status == 1
    assert ended.err.startswith("augshard: ")
    assert "Traceback" not in ended.err
    assert "file too large" in ended.err.lower()
    assert str(output) in ended.err.partition("(the whole error")[0]
    assert not (output / "manifest.json").exists()
    materialize(images, *request, into=output)
    assert tree(output) == tree(materialize(images, *request))


def test_c7_a_failed_extension_leaves_the_old_dataset_valid_until_it_is_finished(
    images, materialize, run_command, recipe_file, samples_of, tree, tmp_path
):
    output, shards = tmp_path / "out", ("--shards", 3)
    finished = materialize(images, "--copies", 2, *shards)
    shutil.copytree(finished, output)
    request = ("materialize", "--input", images, "--output", output, "--recipe", recipe_file("png"), *shards)
    with small_files(6000):
        assert run_command(*request, "--copies", 10).status == 1
    assert (output / ".unfinished/error.txt").exists()
    for copy in (0, 1):
        assert samples_of(datasets.from_shards(str(output), copies=[copy])) == samples_of(
            datasets.from_shards(str(finished), copies=[copy])
        )
    for copies in (2, 3):
        refused = run_command(*request, "--copies", copies)
        assert refused.status == 2
        assert refused.err == (
            f"augshard: output {output}: a run for 10 copies did not end, of which 2 are finished; finish it "
            "with --copies 10 (fewer can be chosen when reading), or start over with --overwrite\n"
        )
    materialize(images, "--copies", 10, *shards, into=output)
    assert tree(output) == tree(materialize(images, "--copies", 10, *shards))


def test_a_lock_that_is_held_refuses_a_run(images, run_command, recipe_file, tmp_path):
    output = tmp_path / "out"
    (output / ".unfinished").mkdir(parents=True)
    with open(output / ".unfinished/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = run_command(
            "materialize", "--input", images, "--output", output, "--recipe", recipe_file("png")
        )
    assert ended.status == 2
    assert "another run is writing to it" in ended.err


def test_overwrite_starts_over_and_leaves_nothing_of_the_old(images, materialize, tree, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(materialize(images, "--copies", 10, "--shards", 3), output)
    materialize(images, "--copies", 2, "--shards", 3, "--overwrite", into=output)
    assert tree(output) == tree(materialize(images, "--copies", 2, "--shards", 3))
