"""`augshard lint`: what it prints, its exit status, and what materialize says of the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augment.labels.hazards import CHANGES
from augment.recipe import load_recipe, parse_recipe
from tests.pipelines.annotated import png
from tests.pipelines.contained import put_tar

TO_SIZE = "ops:\n  - resize: {height: 8, width: 8}\n"


@pytest.fixture
def lint(tmp_path, run_command):
    """Runs the command on a recipe's further ops and class names."""

    def run(ops: str, *classes: str, options: tuple[object, ...] = (), before: str = ""):
        recipe, labels = tmp_path / "mine.yaml", tmp_path / "labels.txt"
        recipe.write_text(f"{before}{TO_SIZE}  - {ops}\n")
        labels.write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
        given = ("--labels", labels) if classes else ()
        return run_command("lint", "--recipe", recipe, *given, *options)

    return run


def test_findings_name_the_op_the_pair_and_what_to_write_instead(lint):
    ended = lint("flip: {horizontal: 0.5, vertical: 0.5}", "up", "down", "cat")
    assert ended.status == 1
    assert ended.out.startswith(
        """\
recipe mine, 3 classes: 2 findings

flip.upside_down: exchanges top and bottom, as a mirror on the floor does
  up, down: each can come to look like the other
  to narrow it: use flip: {horizontal: 0.5}, without vertical

flip.half_turn: turns by about half a turn
  up, down: each can come to look like the other
  to narrow it: use flip with horizontal or with vertical, not with both

What is meant to be so, the recipe can say: acknowledge: [flip.upside_down, flip.half_turn]

This reads the names of classes, never pixels."""
    )


def test_nothing_found_is_status_0_and_says_what_it_cannot_know(lint):
    ended = lint("flip: {horizontal: 0.5}", "airplane", "automobile")
    assert ended.status == 0
    assert ended.out.startswith(
        "recipe mine, 2 classes: nothing found\n\nThis reads the names of classes, never"
    )


def test_opaque_names_are_counted_and_shown(lint):
    ended = lint("flip: {horizontal: 0.5}", "n01440764", "class_17", "c3", "cat")
    assert ended.status == 0
    assert (
        "3 of 4 names do not say what the pictures show (n01440764, class_17, c3): "
        "whether their labels are endangered cannot be known.\n"
    ) in ended.out


def test_what_the_recipe_acknowledges_is_no_finding(lint):
    ended = lint("flip: {horizontal: 0.5}", "left", "right", before="acknowledge: [flip.mirror]\n")
    assert ended.status == 0
    assert "2 classes: nothing found\n\nAcknowledged by the recipe: flip.mirror\n" in ended.out


def test_without_classes_it_says_what_the_recipe_can_do(lint):
    ended = lint("rotation: {factor: 0.2}")
    assert ended.status == 0
    assert "rotation.half_turn     turns by about half a turn\n" in ended.out


def test_classes_of_a_directory_and_findings_as_json(lint, tmp_path):
    root = tmp_path / "in"
    for folder in ("train/left", "train/right", "test/left"):
        (root / folder).mkdir(parents=True)
        (root / folder / "1.png").write_bytes(b"looked at by its name")
    out = tmp_path / "findings.json"
    ended = lint("flip: {horizontal: 0.5}", options=("--input", root, "--json", out))
    assert ended.status == 1
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["classes"] == ["left", "right"]
    assert document["hazards"] == {"flip.mirror": {"change": "mirror", "narrow": "leave flip out"}}
    [finding] = document["findings"]
    assert finding == {
        "key": "flip.mirror",
        "change": "mirror",
        "classes": ["left", "right"],
        "problem": "each can come to look like the other",
        "narrow": "leave flip out",
        "acknowledged": False,
    }
    assert document["opaque"] == []
    classes = lint("flip: {horizontal: 0.5}", options=("--input", root, "--layout", "classes"))
    assert classes.out.startswith("recipe mine, 2 classes: nothing found")  # they are test and train
    assert document["limits"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--labels", "/no/such"), "--labels /no/such: it cannot be read (No such file or directory)"),
        (
            ("--labels", "EMPTY"),
            "--labels EMPTY: it is empty; give a file with one class name a line",
        ),
        (
            ("--labels", "BINARY"),
            "--labels BINARY: it is not UTF-8 text; give a file with one class name a line",
        ),
        (
            ("--labels", "x", "--input", "."),
            "--labels and --input both say which classes there are; give one of them",
        ),
        (("--input", "/no/such"), "input /no/such: there is no such directory"),
        (("--input", ".", "--layout", "split"), "--layout is 'split'; did you mean splits?"),
        (
            ("--input", "NONE"),
            "input NONE: it has no class folders; it must be DIR/<class>/... or DIR/<split>/<class>/...",
        ),
        (
            ("--json", "/no/such/x.json"),
            "--json /no/such/x.json: it cannot be written (No such file or directory)",
        ),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(lint, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    Path("EMPTY").write_text("\n\n")
    Path("BINARY").write_bytes(b"\xff\xfe\x00")
    Path("NONE").mkdir()
    ended = lint("flip: {horizontal: 0.5}", options=options)
    assert (ended.status, ended.out, ended.err) == (2, "", f"augshard: {sentence}\n")


def test_materialize_says_it_once_and_goes_on(tmp_path, run_command, save_photos):
    root = tmp_path / "in"
    save_photos(root / "left", 1)
    save_photos(root / "right", 1)
    recipe, output = tmp_path / "mine.yaml", tmp_path / "out"
    recipe.write_text(TO_SIZE + "  - flip: {horizontal: 0.5}\n")
    request = ("materialize", "--input", root, "--output", output, "--recipe", recipe)
    made = run_command(*request)
    assert made.status == 0
    assert made.err == (
        "augshard: warning: flip.mirror endangers left and right: each can come to look like the other; "
        "leave flip out (augshard lint says more)\n"
        "augshard: 2 images: train 2\n"
        "augshard: 2 classes: left 1, right 1\n"
    )
    finished = run_command(*request)
    assert (finished.status, finished.err) == (0, "")
    # An acknowledgement changes no pixel: it is the same dataset, which gets another copy.
    recipe.write_text("acknowledge: [flip.mirror]\n" + recipe.read_text())
    extended = run_command(*request, "--copies", 2)
    assert extended.status == 0
    assert "warning" not in extended.err


def test_materialize_says_it_of_classes_that_only_a_listing_shows(tmp_path, run_command):
    put_tar(tmp_path / "in", "a.tar", {"0.png": png(), "0.cls": "left", "1.png": png(), "1.cls": "right"})
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(TO_SIZE + "  - flip: {horizontal: 0.5}\n")
    made = run_command(
        "materialize", "--input", tmp_path / "in", "--output", tmp_path / "out", "--recipe", recipe
    )
    assert made.status == 0
    assert "augshard: warning: flip.mirror endangers left and right: each can come to look like" in made.err


def test_materialize_says_at_most_three_of_many(tmp_path, run_command, save_photos):
    root = tmp_path / "in"
    save_photos(root / "left", 1)
    save_photos(root / "right", 1)
    recipe, output = tmp_path / "mine.yaml", tmp_path / "out"
    flips = "".join(f"  - flip: {{horizontal: 0.5, id: flip_{number}}}\n" for number in range(5))
    recipe.write_text(TO_SIZE + flips)
    made = run_command("materialize", "--input", root, "--output", output, "--recipe", recipe)
    assert made.status == 0
    lines = [line for line in made.err.splitlines() if "warning" in line]
    assert [line.split()[2] for line in lines[:-1]] == ["flip_0.mirror", "flip_1.mirror", "flip_2.mirror"]
    assert lines[-1] == "augshard: warning: augshard lint finds 2 more of the kind"


def test_the_documentation_shows_what_is_printed_and_what_is_read(run_command, tmp_path):
    text = (Path(__file__).parents[2] / "docs/labels.md").read_text(encoding="utf-8")
    blocks = [block.partition("\n")[2] for block in text.split("```")[1::2]]
    sample = next(block for block in blocks if block.startswith("recipe flowers_layers"))
    recipe = next(block for block in blocks if block.startswith("acknowledge:"))
    labels = tmp_path / "labels.txt"
    labels.write_text("turn_left\nturn_right\nstraight\n")
    printed = run_command("lint", "--recipe", "flowers_layers", "--labels", labels).out
    assert printed.startswith(sample)
    acknowledged = parse_recipe(recipe, name="mine").acknowledge
    assert acknowledged == ("flip.mirror", "one_of/rotation.half_turn")
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert rows == set(CHANGES)


def test_a_resize_without_antialias_is_pointed_out_and_one_with_it_is_not(lint):
    said = "is not antialiased: where it shrinks much, fine patterns break up"
    without = lint("resize: {id: again, height: 8, width: 8, antialias: false}", "cat", "dog").out
    assert f"again {said}" in without
    assert f"resize {said}" not in without
    nearest = lint("resize: {id: again, height: 8, width: 8, method: nearest}", "cat", "dog").out
    assert said not in nearest


def test_fix_writes_the_recipe_that_the_findings_call_for_and_no_file_that_is_there(
    lint, tmp_path, run_command
):
    fixed, mirror = tmp_path / "fixed.yaml", "flip: {horizontal: 0.5}"
    names = ("left", "right", "stop")
    ended = lint(mirror, *names, options=("--fix", fixed))
    assert ended.status == 0
    assert ended.out.endswith(f"mended  {fixed}: other recipes for left, right\n")
    other = load_recipe(fixed)
    assert [op.name for op in other.of("left").ops] == ["resize"]
    assert [op.name for op in other.of("stop").ops] == ["resize", "flip"]
    assert other.name == "mine"
    before = fixed.read_bytes()
    again = run_command(
        "lint", "--recipe", fixed, "--labels", tmp_path / "labels.txt", "--fix", tmp_path / "n.yaml"
    )
    assert (again.status, (tmp_path / "n.yaml").exists()) == (0, False)
    assert "3 classes: nothing found" in again.out
    assert "nothing to mend" in again.out
    refused = lint(mirror, "left", "right", options=("--fix", fixed))
    assert (refused.status, fixed.read_bytes()) == (2, before)
    assert refused.err == f"augshard: --fix {fixed}: it is there; give a new file, or add --overwrite\n"
    assert lint(mirror, "turn_left", "a", options=("--fix", fixed, "--overwrite")).status == 0
    assert load_recipe(fixed).recipe_for.keys() == {"turn_left"}


@pytest.mark.parametrize(
    ("classes", "file", "sentence"),
    [
        (
            (),
            "fixed.yaml",
            "--fix mends what a recipe does to classes; give their names by --labels or --input",
        ),
        (("left", "right"), "fixed.txt", "a recipe is a file whose name ends in .yaml"),
        (("left", "right"), "none/fixed.yaml", "it cannot be written (No such file or directory)"),
    ],
)
def test_a_fix_that_cannot_be_is_refused(classes, file, sentence, lint, tmp_path):
    ended = lint("flip: {horizontal: 0.5}", *classes, options=("--fix", tmp_path / file))
    assert ended.status == 2
    assert sentence in ended.err


def test_recipes_for_classes_are_looked_at_with_the_classes_that_have_them(lint, tmp_path):
    mirrored = tmp_path / "mirrored.yaml"
    mirrored.write_text(f"{TO_SIZE}  - flip: {{horizontal: 0.5}}\n")
    for label, status in (("cat", 0), ("left", 1)):
        given = ("--recipe-for", f"{label}={mirrored}")
        assert lint("contrast: {factor: 0.5}", "left", "right", "cat", options=given).status == status
    ended = lint("contrast: {factor: 0.5}", "left", "cat", options=("--recipe-for", f"lift={mirrored}"))
    assert ended.status == 2
    assert "recipe_for: there is no class 'lift'; did you mean left?" in ended.err
