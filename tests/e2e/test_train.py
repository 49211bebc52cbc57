"""`augshard train`: arms of equal pixels end with equal weights, whatever happens to the process."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import pytest
from tensorflow.python.framework import config

MODEL = f"{__name__}:with_everything"
THERE = "augshard: 26 images: test 6, train 20\naugshard: 2 classes: cat 14, dog 12\n"
"""What is said of the images before any work."""


def with_everything(size, classes):
    """Batch normalization and dropout."""
    x = image = keras.Input([*size, 3])
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(keras.layers.MaxPooling2D(4)(x)))
    return keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x))


def seven_units(size, classes):
    return keras.Sequential([keras.Input([*size, 3]), keras.layers.Flatten(), keras.layers.Dense(7)])


def compiled(size, classes):
    model = with_everything(size, classes)
    model.compile("sgd", "binary_crossentropy")
    return model


def compiled_for_numbers(size, classes):
    model = keras.Sequential([keras.Input([*size, 3]), keras.layers.Flatten(), keras.layers.Dense(classes)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.fixture(autouse=True)
def as_before():
    """The command turns determinism on for its process, which here is that of other tests too."""
    yield
    config.disable_op_determinism()


@pytest.fixture
def request_of(images, materialize, recipe_file):
    """A request to train, but for its output."""

    def request(storage="png", copies=2, model=MODEL, arms="none,shards,live,live-layer", epochs=2):
        shards = materialize(images, "--copies", copies, storage=storage)
        return (
            *("train", "--input", images, "--recipe", recipe_file(storage), "--shards", shards),
            *("--arms", arms, "--model", model, "--epochs", epochs, "--batch-size", 8),
        )

    return request


def read(output, seed=0):
    """What run.json says, by arm."""
    return {
        path.parts[-3]: json.loads(path.read_text())
        for path in sorted(output.glob(f"*/seed-{seed}/run.json"))
    }


def digests(output, seed=0):
    """The digest of all variables after each epoch, by arm."""
    return {arm: [row["weights_sha256"] for row in run["epochs"]] for arm, run in read(output, seed).items()}


def stamps(output):
    files = (path for path in output.rglob("*") if path.is_file() and path.name != ".lock")
    return {path: path.stat().st_mtime_ns for path in files}


# ---------------------------------------------------------------- the same weights


def test_arms_of_equal_pixels_have_equal_weights_after_every_epoch(run_command, request_of, tmp_path):
    output, request = tmp_path / "runs", request_of()
    ended = run_command(*request, "--output", output)
    assert ended.status == 0, ended.err
    assert ended.err == THERE
    runs, after = read(output), digests(output)
    assert after["shards-k2"] == after["live"] == after["live-layer"]
    assert len(set(after["live"])) == 2
    assert set(after["none"]).isdisjoint(after["live"])
    assert len({run["initial_weights_sha256"] for run in runs.values()}) == 1
    assert [row["copy"] for row in runs["live"]["epochs"]] == [0, 1]
    assert [run["test"]["images"] for run in runs.values()] == [6] * 4
    assert ended.out.splitlines()[-6:] == [
        "arm         held against  train seed  epochs compared  weights",
        "shards-k2   live          0           2, all           the same, bit by bit",
        "live-layer  live          0           2, all           the same, bit by bit",
        "",
        f"runs    {output}",
        f"report  {output}/report.html",
    ]
    report = json.loads((output / "report.json").read_text())
    assert [one["differs"] for one in report["bit_identity"]] == [None, None]
    same = {(found["arm"], found["other"]): found["same"] for found in report["differences"]}
    assert same["live", "shards-k2"]
    assert same["live-layer", "live"]
    shards = request[request.index("--shards") + 1]
    assert report["costs"][0]["bytes"] == sum(
        file.stat().st_size for file in shards.glob("*-train_c*.tfrecord-*")
    )
    assert report["costs"][0]["job_seconds"] == json.loads((shards / "run.json").read_text())["seconds"]
    assert "Bit-identical" in (output / "report.html").read_text(encoding="utf-8")
    with open(output / "live/seed-0/history.csv", newline="") as file:
        assert [row["weights_sha256"] for row in csv.DictReader(file)] == after["live"]

    before = stamps(output)
    again = run_command(*request, "--output", output)
    assert (again.status, again.out) == (0, ended.out)
    assert stamps(output) == before

    fewer = run_command(*request, "--output", output, "--arms", "shards,live", "--copies", 1)
    assert fewer.status == 0
    assert fewer.err == f"{THERE}augshard: shards-k1: 2 epochs share 1 copy; epoch e sees copy e mod 1\n"
    assert fewer.out.splitlines()[-4].split() == [
        "shards-k1",
        "live",
        "0",
        "1",
        "the",
        "same,",
        "bit",
        "by",
        "bit",
    ]
    assert list(json.loads((output / "report.json").read_text())["arms"]) == [
        *("live", "live-layer", "none", "shards-k1", "shards-k2")  # those of the earlier command too
    ]
    assert digests(output)["shards-k1"][1] != after["live"][1]

    other = run_command(*request, "--output", output, "--batch-size", 4, "--model", "small_cnn")
    assert other.status == 2
    assert other.err.removeprefix(THERE) == (
        f'augshard: output {output}: its runs are of another request: model was "{MODEL}", now "small_cnn"; '
        "batch size was 8, now 4. Write to another directory\n"
    )


@pytest.mark.slow
def test_arms_that_mix_their_batches_have_equal_weights_and_others_than_without(
    run_command, request_of, tmp_path
):
    output, request = tmp_path / "runs", request_of(arms="shards,live,live-layer")
    ended = run_command(*request, "--output", output, "--mix", "cutmix:1")
    assert ended.status == 0, ended.err
    after = digests(output)
    assert after["shards-k2"] == after["live"] == after["live-layer"]
    assert json.loads((output / "request.json").read_text())["mix"] == "cutmix:1.0"
    page = re.sub(r"</?span>", "", (output / "report.html").read_text(encoding="utf-8"))
    assert "--mix cutmix:1.0" in page

    plain = run_command(*request, "--output", output)
    assert plain.status == 2
    assert 'mix was "cutmix:1.0", now not given. Write to another directory' in plain.err
    other = run_command(*request, "--output", tmp_path / "other", "--arms", "live", "--mix", "mixup:0.2")
    assert other.status == 0, other.err
    assert digests(tmp_path / "other")["live"] != after["live"]


@pytest.mark.slow
@pytest.mark.parametrize(("storage", "arms"), [("raw", "shards,live,live-layer"), ("jpeg", "shards,live")])
def test_arms_have_equal_weights_in_every_storage_and_with_every_train_seed(
    run_command, request_of, tmp_path, storage, arms
):
    output = tmp_path / "runs"
    ended = run_command(*request_of(storage, arms=arms), "--output", output, "--train-seeds", 2)
    assert ended.status == 0, ended.err
    said = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert {f"shards-k2 live {seed} 2, all the same, bit by bit" for seed in (0, 1)} <= set(said)
    first, second = digests(output, seed=0), digests(output, seed=1)
    assert len({tuple(after) for after in first.values()}) == 1
    assert set(first["live"]).isdisjoint(second["live"])


# ---------------------------------------------------------------- interruptions


@contextlib.contextmanager
def load():
    """Two processes that compute as fast as they can, beside what is tested."""
    busy = "import numpy as np\na = np.ones((600, 600))\nwhile True: a = a @ a / 600"
    processes = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(2)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def epochs_done(output):
    return sum(len(path.read_text().splitlines()) - 1 for path in output.glob("*/*/history.csv"))


def wait_for_epochs(process, output, more):
    """Waits until a running command has finished `more` epochs; how many there are."""
    before, deadline = epochs_done(output), time.monotonic() + 240
    while time.monotonic() < deadline:
        if epochs_done(output) >= before + more:
            return epochs_done(output)
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    raise AssertionError("no epoch was finished within four minutes")


@pytest.mark.slow
def test_runs_that_are_killed_under_load_end_with_the_weights_of_an_undisturbed_process(
    start_command, request_of, tmp_path
):
    request = request_of(copies=4, arms="shards,live,live-layer", epochs=4)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"

    def start(output, **more):
        here = os.path.dirname(__file__)  # where the model is
        return start_command(*request, "--output", output, PYTHONPATH=here, **more)

    first = start(undisturbed)
    with load():
        process = start(killed)
        wait_for_epochs(process, killed, 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.startswith(THERE)
        assert err.splitlines()[-1] == "augshard: stopped; run the same command again to go on"
        process = start(killed)
        wait_for_epochs(process, killed, 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not all(run["finished"] for run in read(killed).values()) or len(read(killed)) < 3
        on_one_core = ("taskset", "-c", str(min(os.sched_getaffinity(0)))) if shutil.which("taskset") else ()
        last = start(killed, before=on_one_core)
        out, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    assert "shards-k4 live 0 4, all the same, bit by bit" in " ".join(out.split())
    _, err = first.communicate(timeout=300)
    assert first.returncode == 0, err
    assert digests(killed) == digests(undisturbed)
    assert all(run["finished"] for run in read(killed).values())


def test_where_there_is_only_a_split_to_train_on_a_part_of_it_validates_and_that_is_said(
    run_command, images, recipe_file, tmp_path
):
    request = ("train", "--input", images / "train", "--recipe", recipe_file("png"), "--model", MODEL)
    request += ("--arms", "none", "--epochs", 1, "--output")
    ended = run_command(*request, tmp_path / "runs")
    assert ended.status == 0, ended.err
    said = (
        "no split validates or tests, so 2 of 20 images do, by the hash of their ids (--validation-fraction"
    )
    assert said in ended.err
    assert json.loads((tmp_path / "runs/request.json").read_text())["validation_fraction"] == "0.2"
    [run] = read(tmp_path / "runs").values()
    assert run["epochs"][0]["val_accuracy"] is not None
    everything = run_command(*request, tmp_path / "all", "--validation-fraction", 0)
    assert (everything.status, "no split validates" in everything.err) == (0, False)


# ---------------------------------------------------------------- presets


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vgg16", "convnet_bn", "small_cnn", "cifar_cnn"])
def test_every_preset_trains_with_early_stopping_and_without(run_command, images, tmp_path, model):
    recipe = tmp_path / "large.yaml"
    recipe.write_text("ops: [{resize: {height: 64, width: 64}}, {flip: {horizontal: 0.5}}]")
    request = ("train", "--input", images, "--recipe", recipe, "--model", model, "--arms", "live")
    more = ("--epochs", 1, "--batch-size", 8, "--output", tmp_path / "runs")
    ended = run_command(*request, *more, "--validation-fraction", "0.3")
    assert ended.status == 0, ended.err
    assert ("the frozen base of vgg16 has random weights" in ended.err) == (model == "vgg16")
    [run] = read(tmp_path / "runs").values()
    assert json.loads((tmp_path / "runs/request.json").read_text())["early_stopping"] == (
        model == "convnet_bn"
    )
    assert run["epochs"][0]["val_loss"] > 0
    assert run["validation"] == "validation"
    keras.saving.load_model(tmp_path / "runs/live/seed-0/model.keras")


# ---------------------------------------------------------------- wrong requests


@pytest.fixture
def refused(run_command, request_of, tmp_path):
    """Runs a request that must be refused; its sentence. Nothing may be left of it."""

    def run(*options, output=None, **request):
        target = output or tmp_path / "out"
        before = stamps(target) if target.is_dir() else target.exists()
        ended = run_command(*request_of(**request), "--output", target, *options)
        assert ended.status == 2, ended
        assert ended.out == ""
        said = ended.err.removeprefix(THERE)
        assert said.startswith("augshard: ")
        assert said.count("\n") == 1, ended.err
        assert (stamps(target) if target.is_dir() else target.exists()) == before
        return said.removeprefix("augshard: ").rstrip("\n")

    return run


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--epochs", 0), "--epochs is 0; it must be from 1 to 100000"),
        (("--batch-size", 0), "--batch-size is 0; it must be from 1 to 100000"),
        (("--train-seeds", 0), "--train-seeds is 0; it must be from 1 to 1000"),
        (("--learning-rate", 0), "--learning-rate is 0.0; it must be from 1e-09 to 1000"),
        (("--learning-rate", "nan"), "--learning-rate is nan; it must be from 1e-09 to 1000"),
        (("--seed", -1), "--seed is -1; it must be from 0 to 18446744073709551615"),
        (("--layout", "clases"), "--layout is 'clases'; did you mean classes?"),
        (
            ("--model", "convnet_bn"),
            "--model convnet_bn: it needs images of 64x64 or more, and the recipe makes 20x24; "
            "take a recipe of larger images, or another model",
        ),
        (
            ("--model", f"{__name__}:seven_units"),
            f"--model {__name__}:seven_units: its output is [B, 7]; "
            "for 2 classes it must be [B, 1] or [B, 2]",
        ),
        (
            ("--model", f"{__name__}:compiled", "--learning-rate", 0.1),
            f"--model {__name__}:compiled: it is compiled, so its optimizer has a learning rate of its own; "
            "leave --learning-rate out",
        ),
        (
            ("--early-stopping",),
            "early stopping goes by the validation loss, and there is no validation split; carve one by "
            "--validation-fraction 0.1, or train all epochs with --no-early-stopping",
        ),
        (
            ("--mix", "nonsense:1"),
            "--mix nonsense:1: there is no mixing 'nonsense'; there is cutmix, mixup, mosaic, "
            "such as cutmix:1.0",
        ),
        (
            ("--mix", "cutmix:0"),
            "--mix cutmix:0: alpha is '0'; it must be a number above 0, to 100 at most",
        ),
        (
            ("--mix", "mosaic", "--batch-size", 1),
            "--mix mosaic: it mixes 4 images of a batch, and --batch-size is 1; let it be 4 or more",
        ),
        (
            ("--mix", "cutmix:1", "--class-weights"),
            "--mix cutmix:1: a mixed image is of several classes, of which none can weigh its loss; leave "
            "--class-weights out, and balance the copies if classes are of unequal size",
        ),
        (
            ("--mix", "cutmix:1", "--model", f"{__name__}:compiled_for_numbers"),
            f"--model {__name__}:compiled_for_numbers: it is compiled with a loss that takes a label as a "
            "number, and by --mix a label is the shares of classes; compile it with "
            "categorical_crossentropy, or not at all",
        ),
        (("--arms", "shard,live"), "--arms: there is no arm 'shard'; did you mean shards?"),
    ],
)
def test_requests_that_are_wrong(refused, options, sentence):
    assert refused(*options) == sentence


def test_shards_of_another_seed_are_refused(refused):
    sentence = refused("--seed", 3)
    assert "seed" in sentence
    assert "3" in sentence


def test_an_unfinished_dataset_is_refused(refused, tmp_path):
    (tmp_path / "unfinished").mkdir()
    assert refused("--shards", tmp_path / "unfinished") == (
        f"{tmp_path}/unfinished: it holds no manifest.json, so it is no finished dataset; "
        "finish it with the same augshard materialize"
    )


def test_data_that_cannot_be_trained_on_without_shards(run_command, images, recipe_file, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/cat").symlink_to(images / "train/cat")
    more = ("--model", "small_cnn", "--epochs", 1, "--output", tmp_path / "out")
    one = ("train", "--input", tmp_path / "one", "--recipe", recipe_file("png"), "--arms", "live", *more)
    ended = run_command(*one)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.endswith(
        "augshard: there is only one class; it takes two or more to train a classifier\n"
    )
    lossy = ("train", "--input", images, "--recipe", recipe_file("jpeg"), "--arms", "live-layer", *more)
    ended = run_command(*lossy)
    assert ended.status == 2
    assert "it stores JPEG, and that round trip cannot be made within a model" in ended.err
    assert not (tmp_path / "out").exists()


def test_outputs_that_are_not_ours(refused, tmp_path):
    (tmp_path / "file").touch()
    assert refused(output=tmp_path / "file") == f"output {tmp_path}/file: it is a file; give a directory"
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.tex").touch()
    assert refused(output=tmp_path / "theirs") == (
        f"output {tmp_path}/theirs: it holds files that no augshard train made; "
        "give an empty or new directory"
    )
    (tmp_path / "held").mkdir()
    with open(tmp_path / "held/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sentence = refused(output=tmp_path / "held")
    assert sentence == f"output {tmp_path}/held: another run is writing to it; wait for its end"
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/request.json").write_text("{")
    assert refused(output=tmp_path / "damaged").startswith(
        f"{tmp_path}/damaged/request.json: it cannot be read ("
    )
