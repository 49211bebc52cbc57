"""Recipes by class, from the command to what is read, trained on and audited."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.testing import util as beam_testing
from PIL import Image

import augment
from augment.augmenter import augment_image
from augment.errors import RequestError
from augment.recipe import Recipe, load_recipe
from pipelines import datasets, transforms
from pipelines.format.manifest import read_manifest
from pipelines.materialize import processes
from pipelines.materialize.derive import Member
from pipelines.train.arms import Arm, open_feed
from tests.forgery import Forger

SIZE = "resize: {height: 12, width: 14}"
RECIPE = f"ops:\n  - {SIZE}\n  - flip: {{horizontal: 0.5}}\n  - brightness: {{delta: 0.3}}\n"
UPRIGHT = f"ops:\n  - {SIZE}\n  - brightness: {{delta: 0.3}}\n  - contrast: {{factor: 0.5}}\n"
INLINE = RECIPE + (
    "recipe_for:\n"
    f"  - {{classes: [right, left], ops: [{{{SIZE}}}, {{brightness: {{delta: 0.3}}}}, "
    "{contrast: {factor: 0.5}}]}\n"
)


@pytest.fixture(scope="module")
def arrows(tmp_path_factory, photo_of) -> Path:
    """DIR/train and DIR/test with the classes left, right and stop."""
    root = tmp_path_factory.mktemp("arrows")
    for number, label in enumerate(("left", "right", "stop")):
        for split, count in (("train", 6), ("test", 2)):
            (root / split / label).mkdir(parents=True)
            for image in range(count):
                photo = photo_of(16, 20, seed=100 * number + 10 * image + len(split))
                Image.fromarray(photo).save(root / split / label / f"{image}.png")
    return root


@pytest.fixture(scope="module")
def recipes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "any.yaml").write_text(RECIPE)
    (folder / "upright.yaml").write_text(UPRIGHT)
    (folder / "inline.yaml").write_text("name: any\n" + INLINE)
    (folder / "beside.yaml").write_text(
        f"name: any\n{RECIPE}recipe_for:\n  - {{classes: [left, right], recipe: upright.yaml}}\n"
    )
    return folder


@pytest.fixture(scope="module")
def made(arrows, recipes, tmp_path_factory, run_command) -> Path:
    """Two copies, and originals, in two shards of each, where left and right are not mirrored."""
    output = tmp_path_factory.mktemp("made") / "out"
    asked = (*_for(recipes, "left", "right"), "--copies", 2, "--include-originals", "--shards", 2)
    ended = _materialize(run_command, arrows, output, recipes / "any.yaml", *asked)
    assert ended.status == 0, ended.err
    return output


def _for(recipes: Path, *labels: str) -> list[str]:
    return [word for label in labels for word in ("--recipe-for", f"{label}={recipes}/upright.yaml")]


def _materialize(run_command, root, output, recipe, *options):
    return run_command("materialize", "--input", root, "--output", output, "--recipe", recipe, *options)


def _files(output: Path) -> dict[str, bytes]:
    paths = (path for path in output.rglob("*") if path.is_file() and path.name != "run.json")
    return {str(path.relative_to(output)): path.read_bytes() for path in paths}


def test_each_sample_is_made_by_the_recipe_of_its_class(made, arrows, recipes):
    own, others = load_recipe(recipes / "upright.yaml"), load_recipe(recipes / "any.yaml")
    for copy in (-1, 0, 1):
        samples = list(datasets.numpy(str(made), split="train", copies=[copy]))
        assert len(samples) == 18
        for sample in samples:
            label = sample["source"].split("/")[1]
            recipe = others if label == "stop" else own
            contents = (arrows / sample["source"]).read_bytes()
            wanted = augment_image(contents, recipe, seed=0, source=sample["source"], copy=copy)
            np.testing.assert_array_equal(sample["image"], wanted)


def test_the_samples_table_has_the_columns_of_all_recipes_empty_where_a_class_has_no_such_op(made):
    rows = pq.read_table(made / "samples").to_pylist()
    drawn = [name for name in rows[0] if "." in name]
    assert drawn == ["flip.horizontal", "flip.vertical", "brightness.delta", "contrast.factor"]
    for row in rows:
        of_all, of_stop = row["copy"] >= 0, row["class"] == "stop"
        assert (row["brightness.delta"] is not None) == of_all
        assert (row["flip.horizontal"] is not None) == (of_all and of_stop)
        assert (row["contrast.factor"] is not None) == (of_all and not of_stop)


def test_c3_live_training_yields_what_is_stored(made, arrows, recipes):
    recipe = load_recipe(recipes / "inline.yaml")
    for split, copy in (("train", 1), ("test", -1)):
        stored = list(datasets.from_shards(str(made), split=split, copies=[copy]))
        live = list(datasets.from_images(str(arrows), recipe, seed=0, split=split, copy=copy))
        assert len(stored) == len(live) > 0
        for a, b in zip(stored, live, strict=True):
            assert a["source"] == b["source"]
            np.testing.assert_array_equal(a["image"], b["image"])


@pytest.mark.parametrize("batch_size", [None, 4])
def test_augment_dataset_takes_the_names_of_the_classes_by_label(batch_size, made, arrows, recipes):
    recipe = load_recipe(recipes / "inline.yaml")
    stored = datasets.from_shards(str(made), copies=[1], batch_size=batch_size)
    listed = datasets.from_shards(str(made), copies=[1])
    contents = [(arrows / sample["source"].numpy().decode()).read_bytes() for sample in listed]
    files = tf.data.Dataset.zip(listed, tf.data.Dataset.from_tensor_slices(contents))
    files = files.map(lambda sample, image: {**sample, "image": image})
    classes = ["left", "right", "stop"]
    asked = {"seed": 0, "copy": 1, "batch_size": batch_size}
    live = augment.augment_dataset(files, recipe, **asked, classes=classes)
    for a, b in zip(stored, live, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
    named = files.map(lambda sample: {**sample, "label": tf.gather(classes, sample["label"])})
    for given, names in ((files, None), (named, classes)):
        with pytest.raises(RequestError, match=r"it takes classes=\[\.\.\.\], the names by label"):
            augment.augment_dataset(given, recipe, **asked, classes=names)
    with pytest.raises(RequestError, match="recipe_for: there is no class 'right'; there is left, stop"):
        augment.augment_dataset(files, recipe, **asked, classes=["left", "stop"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="a label is 2; there are 2 classes"):
        list(augment.augment_dataset(files, recipe, **asked, classes=["left", "right"]))


def test_c4_a_file_that_holds_or_names_the_recipes_gives_the_bytes_that_options_do(
    made, arrows, recipes, tmp_path, run_command
):
    for name in ("inline", "beside"):
        output, recipe = tmp_path / name, recipes / f"{name}.yaml"
        asked = ("--copies", 2, "--include-originals", "--shards", 2)
        ended = _materialize(run_command, arrows, output, recipe, *asked)
        assert ended.status == 0, ended.err
        assert _files(output) == _files(made)


def test_c4_the_device_writes_the_same_bytes(made, arrows, recipes, tmp_path, run_command):
    output, options = tmp_path / "out", ("--backend", "device", "--copies", 2, "--include-originals")
    ended = _materialize(run_command, arrows, output, recipes / "inline.yaml", "--shards", 2, *options)
    assert ended.status == 0, ended.err
    assert _files(output) == _files(made)


def test_an_audit_proves_every_class_by_its_own_recipe(made, arrows, tmp_path, run_command):
    findings = tmp_path / "audit.json"
    ended = run_command("audit", made, "--input", arrows, "--samples", "all", "--json", findings)
    assert ended.status == 0, ended.out
    fits = json.loads(findings.read_text())["statistics"]["parameters"]
    draws = {(fit["name"], tuple(fit["classes"])): fit["draws"] for fit in fits}
    assert draws == {
        ("flip.horizontal", ()): 12,
        ("flip.vertical", ()): 12,
        ("brightness.delta", ()): 12,
        ("brightness.delta", ("left", "right")): 24,
        ("contrast.factor", ("left", "right")): 24,
    }
    for source in ("train/left/0.png", "train/stop/0.png"):
        strip = ("--strip", tmp_path / "strip.png")
        ended = run_command("audit", made, "--input", arrows, "--sample", source, "--copy", 1, *strip)
        assert ended.status == 0, ended.out
        assert ("contrast" in ended.out, "flip" in ended.out) == ("left" in source, "stop" in source)


def test_the_report_of_an_audit_shows_whose_parameters_they_are(made, arrows, tmp_path, run_command):
    report = tmp_path / "audit.html"
    ended = run_command("audit", made, "--input", arrows, "--report", report)
    assert ended.status == 0, ended.out
    assert "brightness.delta of left, right" in report.read_text()


def test_more_copies_extend_it_and_another_recipe_for_a_class_is_another_request(
    made, arrows, recipes, tmp_path, run_command
):
    output = tmp_path / "out"
    shutil.copytree(made, output)
    before = _files(output)
    asked = ("--copies", 3, "--include-originals", "--shards", 2)
    both = _for(recipes, "right", "left")
    ended = _materialize(run_command, arrows, output, recipes / "any.yaml", *asked, *both)
    assert ended.status == 0, ended.err
    kept = {name for name in before if name.split("/")[-1].startswith("any-")}
    assert all(_files(output)[name] == before[name] for name in kept)
    for another in ([], _for(recipes, "left")):
        ended = _materialize(run_command, arrows, output, recipes / "any.yaml", *asked, *another)
        assert ended.status == 2
        assert 'recipe_for was [{"classes": ["left", "right"]' in ended.err, ended.err


def test_a_request_without_them_has_the_manifest_that_it_always_had(recipes):
    recipe = load_recipe(recipes / "any.yaml")
    assert list(recipe.canonical()) == ["ops", "storage"]
    same = Recipe(recipe.name, recipe.ops, recipe_for={"left": recipe})
    assert same.canonical() == recipe.canonical()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--recipe-for", "lift={}/upright.yaml"),
            "--recipe-for: there is no class 'lift'; did you mean left?",
        ),
        (("--recipe-for", "left=upwrong"), "there is no preset 'upwrong'"),
        (
            ("--recipe-for", "left={}/upright.yaml", "--recipe-for", "left={}/any.yaml"),
            "has a recipe already",
        ),
        (("--recipe-for", "left"), "it must be a class with its recipe"),
        (("--recipe-for", "left=flowers"), "the size of its recipe, flowers, is"),
    ],
)
def test_what_cannot_be_is_refused_by_a_sentence(options, sentence, arrows, recipes, tmp_path, run_command):
    options = [option.format(recipes) for option in options]
    ended = _materialize(run_command, arrows, tmp_path / "out", recipes / "any.yaml", *options)
    assert (ended.status, ended.out) == (2, "")
    assert sentence in ended.err, ended.err


def test_an_arm_that_is_live_takes_the_recipe_of_a_class_and_a_layer_refuses(made, arrows, recipes):
    recipe = load_recipe(recipes / "inline.yaml")
    asked = {"input": str(arrows), "recipe": recipe, "shards": str(made)}
    live, shards = (open_feed(arm, **asked) for arm in (Arm("live"), Arm("shards", 2)))
    epochs = (feed.epochs(0, batch=5, train_seed=0).take(8) for feed in (live, shards))
    for (ours, labels), (theirs, same) in zip(*epochs, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(labels, same)
    with pytest.raises(RequestError, match="arm live-layer: recipe any has one of its own for class 'left'"):
        open_feed(Arm("live-layer"), **asked)
    with pytest.raises(RequestError, match="it is not known of which class an image is"):
        augment.AugmentLayer(recipe, seed=0)
    with pytest.raises(RequestError, match=r"give the recipe of one, such as recipe.of\('left'\)"):
        augment_image(b"", recipe, seed=0, source="train/left/0.png", copy=0)


def test_preview_shows_each_image_by_the_recipe_of_its_class(arrows, recipes, tmp_path, run_command):
    sheets = []
    for option in ([], _for(recipes, "stop")):
        sheet = tmp_path / f"{len(option)}.png"
        words = ("--recipe", recipes / "any.yaml", "--images", 3, "--copies", 2, "--output", sheet)
        assert run_command("preview", "--input", arrows, *words, *option).status == 0
        sheets.append(np.asarray(Image.open(sheet)))
    third = sheets[0].shape[0] // 3  # a row each for left, right and stop
    assert np.array_equal(sheets[0][:third], sheets[1][:third])
    assert not np.array_equal(sheets[0][-third:], sheets[1][-third:])


def test_the_manifest_holds_the_recipes_themselves(made):
    recipe = read_manifest(str(made)).request.recipe
    [group] = recipe["recipe_for"]
    assert group["classes"] == ["left", "right"]
    assert [list(op) for op in group["ops"]] == [["resize"], ["brightness"], ["contrast"]]


def test_transforms_make_each_sample_by_the_recipe_of_its_class(made, arrows, recipes):
    recipe = load_recipe(recipes / "inline.yaml")
    sources = ("train/left/0.png", "train/stop/0.png")
    files = [
        transforms.SourceFile(source, source.split("/")[1], (arrows / source).read_bytes())
        for source in sources
    ]
    with beam.Pipeline() as pipeline:
        samples = (pipeline | beam.Create(files) | transforms.Augment(recipe, seed=0, copies=2)).samples
        beam_testing.assert_that(samples, _stored(made, sources))


def _stored(output: Path, sources):
    stored = {
        (sample["source"], copy): sample["image"]
        for copy in (0, 1)
        for sample in datasets.numpy(str(output), split="train", copies=[copy])
        if sample["source"] in sources
    }

    def check(samples) -> None:
        assert len(samples) == len(stored) == 4
        for sample in samples:
            np.testing.assert_array_equal(sample.image, stored[sample.source, sample.copy])
            has = {name.partition(".")[0] for name in sample.parameters}
            assert has == {"brightness", "flip" if sample.label == "stop" else "contrast"}

    return check


def test_in_processes_each_sample_is_made_by_the_recipe_of_its_class(made, arrows, monkeypatch):
    monkeypatch.setattr(processes, "WORTH_IT", 0)
    request, members = read_manifest(str(made)).request, []
    for source in ("left/0", "stop/0", "stop/1", "right/0"):
        members.append(Member(f"train/{source}.png", source.split("/")[0]))
    pool = processes.Pool(2, 12, request, ("left", "right", "stop"), str(arrows))
    try:
        here = pool.here.derive(members, [-1, 0, 1])
        while not any(process.ready for process in pool._processes):
            pool.derive(members[:1], [0]).result()
        there = pool.derive(members, [-1, 0, 1]).result()
    finally:
        pool.close()
    assert there._replace(drawn={}) == here._replace(drawn={})
    for name, values in here.drawn.items():
        assert values.tolist() == there.drawn[name].tolist()
    assert (
        here.drawn["flip.horizontal"].tolist()[0] == here.drawn["flip.horizontal"].tolist()[3] == [None] * 2
    )


def test_an_audit_finds_a_draw_of_an_op_that_the_recipe_of_a_class_has_not(made, tmp_path, run_command):
    output = tmp_path / "out"
    shutil.copytree(made, output)
    forger = Forger(output)
    name = "samples/train_c0-00000-of-00002.parquet"
    places = {row["class"]: number for number, row in enumerate(forger.rows(name))}
    forger.change_row(name, places["left"], **{"flip.horizontal": True})
    forger.change_row(name, places["stop"], **{"flip.vertical": None})
    audited = run_command("audit", output)
    assert audited.status == 1
    assert "its flip.horizontal is True; recipe and seed draw empty" in audited.out
    assert "its flip.vertical is empty; recipe and seed draw False" in audited.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda group: group.update(classes=["lift"]), "it has a recipe for class 'lift', which it has not"),
        (lambda group: group.update(classes="left"), "it must have 'classes', a list of names"),
        (lambda group: group.update(recipe="flowers", ops=None), "and either 'ops' or 'recipe'"),
        (lambda group: group["ops"][0]["resize"].update(height=13), "the size of its recipe, any, is 13x14"),
    ],
)
def test_an_audit_of_a_forged_manifest_ends_with_a_finding(change, said, made, tmp_path, run_command):
    output = tmp_path / "out"
    shutil.copytree(made, output)
    Forger(output).put_manifest(lambda document: change(document["request"]["recipe"]["recipe_for"][0]))
    audited = run_command("audit", output)
    assert audited.status == 1
    assert said in audited.out
