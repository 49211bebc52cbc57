"""What is concluded from runs: when to stop early, whether weights are the same, and the table at the end."""

from __future__ import annotations

import math

import keras
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.training.summary import as_text
from pipelines.train.early import MIN_DELTA, PATIENCE, EarlyStopping
from pipelines.train.identity import weights_matches

NUMBERS = st.integers(0, 12).map(lambda n: 0.5 + n * MIN_DELTA / 4)
LOSSES = st.tuples(NUMBERS, st.lists(st.one_of(NUMBERS, st.just(math.nan), st.just(math.inf)), max_size=40))


class Weights:
    """As much of a model as Keras's callback needs."""

    stop_training = False

    def __init__(self) -> None:
        self.epoch = -1

    def get_weights(self):
        return self.epoch

    def set_weights(self, epoch):
        self.epoch = epoch


def test_a_loss_that_is_no_number_is_never_the_best():
    early = EarlyStopping().after(0, math.nan).after(1, 0.5).after(2, math.nan)
    assert early == EarlyStopping(0.5, best_epoch=1, waited=1)


@given(LOSSES)
def test_early_stopping_decides_as_the_callback_of_keras(losses):
    theirs = keras.callbacks.EarlyStopping(
        "val_loss", patience=PATIENCE, min_delta=MIN_DELTA, mode="min", restore_best_weights=True
    )
    model = Weights()
    theirs.set_model(model)
    theirs.on_train_begin()
    ours = EarlyStopping()
    for model.epoch, loss in enumerate([losses[0], *losses[1]]):
        theirs.on_epoch_end(model.epoch, {"val_loss": loss})
        ours = ours.after(model.epoch, loss)
        assert ours.over == model.stop_training
        if ours.over:
            break
    theirs.on_train_end()
    assert ours.best_epoch == model.epoch


def run(arm, copies, weights, *, seed=0, label=None):
    """A finished run whose epochs see `copies` and end with `weights`."""
    rows = [
        {
            "epoch": epoch,
            "copy": copy,
            "weights_sha256": digest * 20,
            "loss": 0.5,
            "accuracy": 0.75,
            "val_loss": None,
            "val_accuracy": None,
            "images": 100,
            "seconds": 4.0 if epoch else 60.0,
            "input_wait_seconds": 1.0,
        }
        for epoch, (copy, digest) in enumerate(zip(copies, weights, strict=True))
    ]
    return {
        "arm": arm,
        "label": label or arm,
        "train_seed": seed,
        "epochs": rows,
        "kept_epoch": 1,
        "test": {"accuracy": 0.625},
    }


def test_arms_of_the_same_copies_are_held_against_live():
    live, none = run("live", (0, 1, 2), "abc"), run("none", (-1, -1, -1), "xyz")
    assert weights_matches(
        [none, run("shards", (0, 1, 2), "abc"), live, run("live-layer", (0, 1, 2), "abd")]
    ) == [(0, "shards", "live", 3, True, None), (0, "live-layer", "live", 3, True, 2)]
    assert weights_matches([run("shards", (0, 1, 2), "abc"), run("live-layer", (0, 1, 2), "abc")]) == [
        (0, "shards", "live-layer", 3, True, None)
    ]
    assert weights_matches([none, live]) == weights_matches([none, run("shards", (0, 1, 2), "abc")]) == []


def test_epochs_that_reuse_copies_are_not_compared():
    live = run("live", (0, 1, 2, 3), "abcd")
    assert weights_matches([live, run("shards", (0, 1, 0, 1), "abpq", label="shards-k2")]) == [
        (0, "shards-k2", "live", 2, False, None)
    ]
    assert weights_matches([live, run("shards", (-1, 0, 1, 2), "pqrs", label="shards-originals-k3")]) == [
        (0, "shards-originals-k3", "live", 0, False, None)
    ]


def test_each_train_seed_is_held_against_its_own():
    live = [run("live", (0, 1), "ab", seed=0), run("live", (0, 1), "cd", seed=1)]
    shards = [run("shards", (0, 1), "ab", seed=0), run("shards", (0, 1), "cx", seed=1)]
    assert weights_matches([*live, *shards]) == [
        (0, "shards", "live", 2, True, None),
        (1, "shards", "live", 2, True, 1),
    ]
    assert weights_matches([*live, shards[0]]) == [(0, "shards", "live", 2, True, None)]


def test_the_table_leaves_the_first_epoch_out_of_speed_and_has_the_weights_that_were_kept():
    text = as_text([run("live", (0, 1, 2), "abc"), run("shards", (0, 1, 2), "abc") | {"test": None}])
    head, live, shards, _, _, identity, _ = text.split("\n")[:7]
    assert head.split("  ", 1)[0] == "arm"
    cells = "live 0 3 0.5000 0.7500 0.6250 25 25.0% cccccccccccc"
    assert live.split() == cells.split()
    assert shards.split() == cells.replace("live", "shards").replace(" 0.6250", "").split()
    assert identity == "shards  live          0           3, all           the same, bit by bit"
    for heading, cell in (("test accuracy", "0.6250"), ("images/s", "25"), ("input wait", "25.0%")):
        assert live[head.index(heading) :].startswith(cell)
    assert as_text([run("live", (0,), "a") | {"kept_epoch": 0}]).split()[-3:] == ["2", "1.7%", "a" * 12]
