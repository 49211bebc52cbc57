"""The command line: every wrong request is one clear sentence and status 2, before anything slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augment.schema import recipe_schema
from tests.in_process import augshard


def picture(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 9, 3), 77, np.uint8)).save(path)
    return root


@pytest.fixture
def given(tmp_path) -> Path:
    """An input with two classes of one image each."""
    return picture(tmp_path / "in", "a/1.png", "b/2.png")


@pytest.fixture
def refused(tmp_path, given) -> Callable[..., str]:
    """Runs a request that must be refused; its sentence. Nothing may be left in the output."""

    def run(*options: object, root: object = None, output: object = None, recipe: object = "cifar10") -> str:
        target = Path(str(output)) if output else tmp_path / "out"
        before = sorted(target.rglob("*")) if target.exists() else None
        ended = augshard(
            *("materialize", "--input", root or given, "--output", target, "--recipe", recipe), *options
        )
        assert ended.status == 2, ended
        assert ended.out == ""
        assert "Traceback" not in ended.err
        assert (sorted(target.rglob("*")) if target.exists() else None) == before
        assert ended.err.startswith("augshard: ")
        assert ended.err.count("\n") == 1
        return ended.err.removeprefix("augshard: ").rstrip("\n")

    return run


def test_an_input_that_is_not_there(refused, tmp_path):
    gone = tmp_path / "gone"
    assert refused(root=gone) == f"input {gone}: there is no such directory"


def test_names_that_could_not_be_written_down(refused, given, tmp_path):
    name = os.fsdecode(b"odd\xff")
    given.rename(tmp_path / name)
    shown = ascii(str(tmp_path / name))
    assert refused(root=tmp_path / name) == f"input {shown}: its name is not UTF-8; rename it"
    (tmp_path / name).rename(given)
    assert refused(output=tmp_path / name) == f"output {shown}: its name is not UTF-8; rename it"


def test_a_path_that_is_empty_as_of_a_variable_that_is_not_set(refused):
    for option in ("--input", "--output"):
        assert "given by its path, and here it is empty" in refused(option, "")


def test_an_input_that_is_a_file(refused, given):
    file = given / "a/1.png"
    assert refused(root=file) == (
        f"input {file}: it is a file; give the folder of the classes, or the one in which tars, TFRecord "
        "files or a dataset of TFDS lie"
    )


def test_an_input_without_folders(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert refused(root=tmp_path / "empty") == (
        f"input {tmp_path}/empty: it has no class folders; "
        "it must be DIR/<class>/... or DIR/<split>/<class>/..."
    )


def test_an_input_without_images(refused, tmp_path):
    (tmp_path / "none/a").mkdir(parents=True)
    (tmp_path / "none/a/notes.txt").touch()
    assert refused(root=tmp_path / "none") == f"input {tmp_path}/none: " + (
        "there are only files in it that are not read, 1 .txt; docs/images.md says what is read"
    )


def test_an_input_whose_images_may_lie_within_other_files(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/flowers.tgz").touch()
    assert refused(root=tmp_path / "photos") == (
        f"input {tmp_path}/photos: it has no class folders; it must be DIR/<class>/... or "
        "DIR/<split>/<class>/...; it holds 1 .tgz: unpack .tgz files"
    )
    (tmp_path / "deep/in/it").mkdir(parents=True)
    (tmp_path / "deep/in/it/1.tar").touch()
    assert refused(root=tmp_path / "deep") == f"input {tmp_path}/deep: " + (
        "there are only files in it that are not read, 1 .tar; tars and TFRecord files are an input where "
        "they lie at its top or in folders of splits, with no images beside them"
    )


def test_an_empty_class_folder(refused, given):
    (given / "empty").mkdir()
    assert refused() == f"input {given}: class folder 'empty' has no images; fill it or remove it"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("A", "classes 'A' and 'a' differ only by case or outer blanks; rename or merge their folders"),
        ("z ", "class 'z ': it begins or ends with a blank; rename its folder"),
        ("x\ny", "class 'x\\ny': a class name cannot hold a line break; rename its folder"),
    ],
)
def test_class_names_that_tfds_would_confuse(refused, given, name, problem):
    picture(given, f"{name}/3.png")
    assert refused() == f"input {given}: {problem}"


def test_split_names_that_tfds_cannot_read(refused, tmp_path):
    root = picture(tmp_path / "splits", "train/a/1.png", "my split/a/2.png", "all/a/3.png")
    assert refused("--layout", "splits", root=root) == (
        f"input {root}: split 'all': TFDS keeps this name for all splits together; rename its folder; "
        "split 'my split': TFDS cannot read it; a split's name begins with a letter and goes on with "
        "letters, digits and _"
    )


def test_an_unknown_layout(refused):
    assert refused("--layout", "clases") == "--layout is 'clases'; did you mean classes?"


def test_an_unknown_preset(refused):
    assert refused(recipe="cifar").startswith("there is no preset 'cifar'; did you mean cifar10")


def test_a_recipe_with_a_mistake(refused, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("ops:\n  - resize: {height: 8, width: 8}\n  - contrst: {factor: 0.5}\n")
    assert (
        refused(recipe=path)
        == f"recipe {path}: op 2: there is no op 'contrst'; did you mean contrast or autocontrast?"
    )


def test_a_recipe_file_that_is_not_there(refused, tmp_path):
    path = tmp_path / "mine.yaml"
    assert refused(recipe=path) == f"recipe {path}: cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--copies", "-1"), "--copies is -1; it must be from 1 to 10000"),
        (("--copies", "0"), "--copies is 0; it must be from 1 to 10000"),
        (("--seed", "-1"), "--seed is -1; it must be from 0 to 18446744073709551615"),
        (("--shards", "0"), "--shards is 0; it must be from 1 to 99999"),
        (("--max-rejects", "1.5"), "--max-rejects is 1.5; it must be from 0 to 1"),
        (("--max-rejects", "nan"), "--max-rejects is nan; it must be from 0 to 1"),
        (("--shard-size", "big"), "--shard-size is 'big'; it must be a size such as 128MiB or 1GB"),
        (
            ("--name", "My-Data"),
            "--name is 'My-Data'; TFDS reads names of lower-case letters, digits and _ "
            "that begin with a letter, here of 128 at most",
        ),
        (
            ("--split-fractions", "train=0.5,test=0.4"),
            "--split-fractions 'train=0.5,test=0.4' add up to 0.9; they must add up to 1",
        ),
    ],
)
def test_values_out_of_range(refused, options, sentence):
    assert refused(*options) == sentence


def test_an_unknown_split_to_augment(refused, tmp_path):
    root = picture(tmp_path / "splits", "train/a/1.png", "valid/a/2.png")
    assert refused("--augment-splits", "train,vald", root=root) == (
        f"input {root}: --augment-splits: there is no split 'vald'; did you mean valid?"
    )


def test_split_fractions_of_an_input_that_has_splits(refused, tmp_path):
    root = picture(tmp_path / "splits", "train/a/1.png", "test/a/2.png")
    assert refused("--split-fractions", "train=0.5,test=0.5", root=root) == (
        f"input {root}: --split-fractions: it has split folders already (test, train)"
    )


@pytest.mark.parametrize(
    ("option", "nearest"), [("--copis=3", "--copies"), ("--direct_num_worker=2", "--direct_num_workers")]
)
def test_a_misspelt_option_is_answered_with_the_nearest(refused, option, nearest):
    sentence = refused(option)
    assert sentence.startswith(f"there is no option {option.partition('=')[0]}; did you mean ")
    assert nearest in sentence


def test_a_word_that_is_no_option(refused):
    assert refused("stray") == "'stray' is not an option; options begin with --"


def test_a_beam_option_with_a_bad_value(refused):
    sentence = refused("--direct_num_workers", "two")
    assert "--direct_num_workers" in sentence
    assert "'two'" in sentence


def test_an_unknown_runner(refused):
    assert (
        refused("--runner", "FlinkRuner")
        == "--runner: there is no runner 'FlinkRuner'; did you mean FlinkRunner or FnApiRunner?"
    )


@pytest.mark.parametrize(
    "source", [None, "import augment\nthis is not Python", "1 / 0", "raise SystemError('x')"]
)
def test_a_plugin_that_cannot_be_imported(refused, tmp_path, monkeypatch, source):
    monkeypatch.syspath_prepend(tmp_path)
    if source is not None:
        (tmp_path / "my_plugin_of_tests.py").write_text(source)
    sentence = refused("--plugin", "my_plugin_of_tests")
    assert sentence.startswith("--plugin my_plugin_of_tests: it cannot be imported (")
    assert sentence.endswith(
        "; give the name of a Python module that lies here, or with its folder in PYTHONPATH"
    )


def test_a_plugin_is_found_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_fade_of_tests.py").write_text("LOADED = True\n")
    before = list(sys.path)
    assert augshard("recipes", "--plugin", "my_fade_of_tests").status == 0
    assert sys.modules.pop("my_fade_of_tests").LOADED
    assert sys.path == before


def test_a_recipe_named_without_its_ending_is_pointed_at(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    assert refused(recipe="mine") == "there is no preset 'mine'; did you mean the file mine.yaml?"


def test_the_version_is_said_by_the_command_and_by_python():
    import augment

    assert augshard("--version").out == f"augshard {augment.__version__}\n"
    assert {"load_recipe", "augment_image", "__version__"} <= set(dir(augment))


@pytest.mark.parametrize("command", [(), ("train",), ("materialize",), ("lint",)])
def test_h_is_help(command):
    assert augshard(*command, "-h").out == augshard(*command, "--help").out != ""


def test_an_output_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").touch()
    assert refused(output=tmp_path / "file") == f"output {tmp_path}/file: it is a file; give a directory"


@pytest.mark.parametrize("inside", [".", "a", "new/deep"])
def test_an_output_inside_the_input(refused, given, inside):
    output = os.path.normpath(given / inside)
    assert refused(output=output) == (
        f"output {output}: it lies inside the input, whose files it would then be; give a directory elsewhere"
    )


def test_an_output_inside_the_input_by_way_of_a_link(refused, given, tmp_path):
    (tmp_path / "link").symlink_to(given)
    assert "it lies inside the input" in refused(output=tmp_path / "link/new")


def test_an_input_inside_the_output(refused, given, tmp_path):
    assert refused(output=tmp_path) == (
        f"output {tmp_path}: the input lies inside it; give a directory of its own"
    )


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_an_output_with_files_of_somebody_else(refused, tmp_path, more):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.tex").touch()
    assert refused(*more, output=tmp_path / "theirs") == (
        f"output {tmp_path}/theirs: it holds files that are no augshard dataset (thesis.tex); "
        "give an empty or new directory"
    )


def test_a_home_is_found_behind_an_equals_sign_too(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refused("--input=~/gone") == f"input {tmp_path}/gone: there is no such directory"
    assert refused("--recipe=~/mine.yaml").startswith(f"recipe {tmp_path}/mine.yaml: cannot be read")
    assert refused("--flink_job_server_jar=~/a.jar", "--output=~/in/out").startswith(
        f"output {tmp_path}/in/out"
    )


def test_a_missing_option_is_status_2_too():
    ended = augshard("materialize")
    assert ended.status == 2
    assert "--input" in ended.err
    assert "Traceback" not in ended.err


def test_one_class_is_a_warning_and_a_finished_output_is_kept_from_other_requests(refused, tmp_path):
    root = picture(tmp_path / "one", "only/1.png", "only/2.png")
    output = tmp_path / "made"
    made = augshard("materialize", "--input", root, "--output", output, "--recipe", "cifar10", "--copies", 2)
    assert made.status == 0
    assert made.err == (
        "augshard: 2 images: train 2\n"
        "augshard: 1 class: only 2\n"
        "augshard: warning: there is only one class, 'only': a classifier learns nothing from it\n"
    )
    again = {"root": root, "output": output}
    assert refused("--copies", 2, "--seed", 3, **again) == (
        f"output {output}: it was made by another request: seed was 0, now 3. "
        "Write to another directory, or start over with --overwrite"
    )
    assert 'recipe_name was "cifar10", now "flowers"' in refused("--copies", 2, **again, recipe="flowers")
    assert refused("--copies", 1, **again) == (
        f"output {output}: it holds 2 copies, more than --copies 1; choose fewer when reading, such as "
        "split='train_c0+train_c1', or start over with --overwrite"
    )
    picture(root, "only/3.png")
    assert refused("--copies", 3, **again) == (
        f"input {root}: it is not what this output was made from: files came, went or changed their size "
        "since; restore them, write to another directory, or start over with --overwrite"
    )


def test_fewer_copies_than_a_run_that_did_not_end_are_refused_by_what_is_true(refused, tmp_path, given):
    (given / "a/empty.png").touch()
    begun = augshard(
        *("materialize", "--input", given, "--output", tmp_path / "made", "--recipe", "cifar10"),
        *("--copies", 4),
    )
    assert begun.status == 1
    assert "1 of 3 images were rejected" in begun.err
    assert refused("--copies", 2, output=tmp_path / "made") == (
        f"output {tmp_path}/made: a run for 4 copies did not end, of which 4 are finished; finish it with "
        "--copies 4 (fewer can be chosen when reading), or start over with --overwrite"
    )


def test_recipes_are_listed_and_printed():
    listed = augshard("recipes")
    assert listed.status == 0
    head, first, *_ = listed.out.splitlines()
    assert head.split() == ["NAME", "SIZE", "STORAGE", "OPS", "DESCRIPTION"]
    assert first.startswith("car_or_truck ")
    for heading, cell in (("SIZE", "128x128 "), ("STORAGE", "png "), ("OPS", "resize, flip, contrast ")):
        assert first[head.index(heading) :].startswith(cell)
    assert augshard("recipes", "flowers").out.startswith("description: ")
    unknown = augshard("recipes", "flower")
    assert unknown.status == 2
    assert unknown.err.startswith("augshard: there is no preset 'flower'; did you mean flowers")


def test_the_schema_of_recipes_is_printed_as_json():
    printed = augshard("recipes", "--schema")
    assert printed.status == 0
    assert json.loads(printed.out) == recipe_schema()
    both = augshard("recipes", "flowers", "--schema")
    assert (both.status, both.err) == (
        2,
        "augshard: --schema is of all recipes; leave 'flowers' out, or --schema\n",
    )


def test_help_and_early_refusals_do_not_import_tensorflow_or_beam(given, tmp_path):
    """What takes ten seconds to import is not imported to say no."""
    script = """
import contextlib, io, sys
from pipelines.cli import main

given, output = sys.argv[1:]
base = ["materialize", "--input", given, "--output", output, "--recipe"]
early = {
    "help": ["--help"],
    "help of a command": ["materialize", "--help"],
    "no input": [*base, "cifar10", "--input", "/no/such/place"],
    "bad preset": [*base, "cifar"],
    "bad copies": [*base, "cifar10", "--copies", "0"],
    "bad fractions": [*base, "cifar10", "--split-fractions", "a=2"],
    "bad split": [*base, "cifar10", "--augment-splits", "tran"],
    "output inside": [*base, "cifar10", "--output", given],
}
for name, arguments in early.items():
    sys.argv = ["augshard", *arguments]
    heard = io.StringIO()
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            main()
        status = 0
    except SystemExit as exit:
        status = exit.code
    assert status == (0 if name.startswith("help") else 2), (name, status, heard.getvalue())
    for slow in ("tensorflow", "apache_beam", "pyarrow"):
        assert slow not in sys.modules, (name, slow)
    if name.startswith("help"):
        assert "numpy" not in sys.modules, name
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, given, tmp_path / "out"], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
