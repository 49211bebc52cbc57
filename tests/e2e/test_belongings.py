"""Nothing is removed from an output but what a manifest or a plan of augshard's says is its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.format.layout import MANIFEST, PLAN
from pipelines.materialize import belongings
from pipelines.storage import disk


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.fixture
def refused(images, run_command, recipe_file) -> Callable[..., str]:
    """Runs a request that must be refused and leave an output as it is; its sentence."""

    def run(output: Path, *options: object) -> str:
        before = contents(output)
        ended = run_command(
            "materialize", "--input", images, "--output", output, "--recipe", recipe_file("png"), *options
        )
        assert ended.status == 2
        assert contents(output) == before
        return ended.err.removeprefix("augshard: ").rstrip("\n")

    return run


FOREIGN_MANIFESTS = {
    "a web app's": '{"name": "My web app", "icons": []}',
    "a list": "[]",
    "no JSON": "(",
    "of our form, by somebody else": '{"schema_version": 1, "files": {"thesis.txt": {"bytes": 1}}}',
}


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
@pytest.mark.parametrize("manifest", FOREIGN_MANIFESTS.values(), ids=FOREIGN_MANIFESTS)
def test_a_manifest_that_is_not_ours_gives_nothing_away(manifest, options, refused, tmp_path):
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "thesis.txt").write_text("the only copy")
    assert "manifest.json" in refused(tmp_path, *options)


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
@pytest.mark.parametrize("inside", ["", "lock", "plan.json", "thesis.txt"])
def test_a_folder_named_as_that_of_a_run_in_progress_gives_nothing_away(inside, options, refused, tmp_path):
    (tmp_path / ".unfinished").mkdir()
    if inside:
        (tmp_path / ".unfinished" / inside).touch()
    (tmp_path / "notes.txt").write_text("the only copy")
    first = ".unfinished/thesis.txt and 1 more" if inside == "thesis.txt" else "notes.txt"
    if inside == "plan.json":
        assert "notes.txt" in refused(tmp_path, *options)
    else:
        assert refused(tmp_path, *options) == (
            f"output {tmp_path}: it holds files that are no augshard dataset ({first}); give an empty or new "
            "directory"
        )


def test_an_edited_manifest_no_longer_says_what_is_ours(images, materialize, refused, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(materialize(images, "--copies", 1), output)
    document = json.loads((output / MANIFEST).read_text())
    document["files"]["thesis.txt"] = {"bytes": 13, "sha256": "0" * 64}
    (output / MANIFEST).write_text(json.dumps(document))
    (output / "thesis.txt").write_text("the only copy")
    assert "it was changed" in refused(output, "--overwrite")


@pytest.mark.parametrize("stranger", ["thesis.txt", "samples/thesis.parquet", ".unfinished/thesis.txt"])
def test_overwrite_refuses_a_dataset_with_files_of_somebody_else(
    stranger, images, materialize, refused, tmp_path
):
    output = tmp_path / "out"
    shutil.copytree(materialize(images, "--copies", 1), output)
    (output / stranger).parent.mkdir(exist_ok=True)
    (output / stranger).write_text("the only copy")
    assert refused(output, "--copies", 1, "--overwrite") == (
        f"output {output}: --overwrite removes only what augshard wrote, and it holds other files too "
        f"({stranger}); move them elsewhere, or give another directory"
    )


def test_a_link_to_a_folder_is_a_file_of_somebody_else(images, materialize, refused, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(materialize(images, "--copies", 1), output)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.jpg").touch()
    (output / "photos").symlink_to(tmp_path / "photos")
    assert "(photos)" in refused(output, "--copies", 1, "--overwrite")
    assert (tmp_path / "photos/1.jpg").exists()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("begun", [MANIFEST, PLAN])
def test_c4_emptying_that_was_killed_at_any_step_is_finished_by_the_next_run(
    begun, images, materialize, tmp_path, monkeypatch
):
    """Without its end, a shard of the old could be taken for one of the new."""
    old = tmp_path / "old"
    shutil.copytree(materialize(images, "--copies", 2, "--shards", 2), old)
    if begun == PLAN:
        manifest = belongings.read_manifest(str(old))
        (old / MANIFEST).unlink()
        (old / PLAN).parent.mkdir()
        plan = {
            "request": manifest.request.model_dump(mode="json"),
            "fingerprint": manifest.fingerprint,
            "splits": {
                split: {"sources": c.sources, "groups": c.groups, "augmented": c.augmented}
                for split, c in manifest.splits.items()
            },
        }
        (old / PLAN).write_text(json.dumps(plan))
    steps = 0

    def removing(path: str) -> None:
        nonlocal steps
        steps -= 1
        if steps == 0:
            raise Killed
        remove(path)

    remove = disk.remove_file
    for step in range(1, 100):
        output = tmp_path / f"out{step}"
        shutil.copytree(old, output)
        monkeypatch.setattr(disk, "remove_file", removing)
        steps = step
        try:
            belongings.empty(str(output))
        except Killed:
            ended = False
        else:
            ended = True
        monkeypatch.setattr(disk, "remove_file", remove)
        belongings.check_ours(str(output), overwrite=True)
        belongings.finish_emptying(str(output))
        assert contents(output) == {}
        if ended:
            break
    assert 10 < step < 100


def test_overwrite_for_what_only_the_listing_shows_to_be_wrong_leaves_the_old_dataset(
    images, materialize, run_command, recipe_file, tmp_path
):
    output, root = tmp_path / "out", tmp_path / "in"
    shutil.copytree(materialize(images, "--copies", 1), output)
    shutil.copytree(images, root)
    for image in (root / "train/cat").iterdir():
        image.write_bytes(b"")
    before = contents(output)
    ended = run_command(
        "materialize", "--input", root, "--output", output, "--recipe", recipe_file("png"), "--overwrite"
    )
    assert (ended.status, "cat" in ended.err) == (2, True)
    assert contents(output) == before
