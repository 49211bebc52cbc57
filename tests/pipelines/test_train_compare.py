"""The comparison of runs: known answers for errors, costs and verdicts, and what cannot be compared."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.errors import RequestError
from pipelines.report.training.page import headline
from pipelines.report.training.summary import as_json
from pipelines.report.training.tables import pays_off
from pipelines.train.accuracy import accuracy_differences, binomial_error, half_interval, t_quantile
from pipelines.train.arms import Arm
from pipelines.train.compare import compare
from pipelines.train.results import FinishedRun, read_output, read_outputs
from tests.trained import IMAGES, many, write_dataset, write_request, write_run

NONE, LIVE, ALL = Arm("none"), Arm("live"), Arm("shards", 4)


def finished(arm, train_seed, right, *, seed=0):
    """A run that told `right`, bool [n], of its test images."""
    right = np.asarray(right, bool)
    document = {
        "epochs": [{"accuracy": 0.5, "val_accuracy": 0.5}],
        "kept_epoch": 0,
        "test": {"accuracy": float(right.mean())},
    }
    return FinishedRun(arm, seed, train_seed, document, right)


def compared(*directories):
    return compare(read_outputs([str(directory) for directory in directories]))


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (120, 1.9799)],
)
def test_quantiles_of_students_t_are_those_of_the_tables(freedom, quantile):
    assert t_quantile(freedom) == pytest.approx(quantile, abs=5e-5)


def test_a_difference_is_paired_by_train_seed():
    shared = [0.5, 0.6, 0.7]  # what a seed does to both arms, which is not their difference
    ours = [finished(ALL, s, np.arange(100) < 100 * a + 4 + s) for s, a in enumerate(shared)]
    theirs = [finished(LIVE, s, np.arange(100) < 100 * a) for s, a in enumerate(shared)]
    [found] = accuracy_differences([*theirs, *ours], "test")
    assert (found.arm, found.other, found.train_seeds) == ("shards-k4", "live", 3)
    assert found.mean == pytest.approx(0.05)
    assert found.training == pytest.approx(4.30265 * 0.01 / math.sqrt(3), rel=1e-5)
    assert found.exceeds == (found.mean > found.error)


def test_the_error_by_images_is_that_of_mcnemar():
    ours, theirs = np.zeros((2, 400), bool)
    ours[:230], theirs[30:240] = True, True  # 30 that one alone tells right, and 10 that the other does
    [found] = accuracy_differences([finished(NONE, 0, theirs), finished(LIVE, 0, ours)], "test")
    assert found.mean == pytest.approx(20 / 400)
    assert found.test == pytest.approx(1.959964 * math.sqrt(40) / 400)
    assert found.disagree == 40 / 400
    independent = 1.959964 * math.hypot(binomial_error(230 / 400, 400), binomial_error(210 / 400, 400))
    assert found.test < independent


def test_with_one_train_seed_no_arm_is_better_however_far_apart():
    [found] = accuracy_differences([finished(NONE, 0, [0] * 50), finished(LIVE, 0, [1] * 50)], "test")
    assert (found.mean, found.error, found.exceeds) == (1.0, None, False)
    assert half_interval(np.array([0.3])) is None


def test_a_difference_larger_than_its_error_is_said_to_be_one():
    runs = [
        finished(arm, seed, np.arange(400) < right + seed)
        for arm, right in ((NONE, 200), (LIVE, 300))
        for seed in range(3)
    ]
    [found] = accuracy_differences(runs, "test")
    assert found.exceeds
    assert (found.mean, found.training) == (pytest.approx(0.25), pytest.approx(0))


def test_arms_that_differ_by_chance_alone_are_seldom_ranked():
    random, ranked, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        skill = random.uniform(0.3, 0.9, 100)  # images are easy and hard for all
        runs = [
            finished(arm, seed, random.random(100) < np.clip(skill + random.normal(0, 0.03), 0, 1))
            for arm in (NONE, LIVE)
            for seed in range(3)
        ]
        ranked += accuracy_differences(runs, "test")[0].exceeds
    assert ranked / trials < 0.05


def test_seeds_of_the_augmentation_are_averaged_within_a_train_seed():
    right = {(0, 0): 50, (1, 0): 56, (0, 1): 60, (1, 1): 66}
    ours = [finished(Arm("shards", 1), t, np.arange(100) < n, seed=s) for (s, t), n in right.items()]
    theirs = [finished(LIVE, t, np.arange(100) < 70) for t in (0, 1)]
    [found] = accuracy_differences([*ours, *theirs], "test")
    assert found.train_seeds == 2
    assert found.mean == pytest.approx(0.70 - np.mean([0.53, 0.63]))
    # Images are in another order with another seed: those of one output alone are compared one by one.
    assert found.disagree == pytest.approx((0.2 + 0.1) / 2)


def test_images_may_stand_in_another_order_with_each_seed_of_the_augmentation():
    random = np.random.default_rng(0)
    ours, theirs = random.random((2, 200)) < 0.7
    orders = [np.arange(200), random.permutation(200)]
    runs = [
        finished(arm, 0, right[order], seed=seed)
        for arm, right in ((NONE, theirs), (ALL, ours))
        for seed, order in enumerate(orders)
    ]
    [pooled], [alone] = accuracy_differences(runs, "test"), accuracy_differences([runs[0], runs[2]], "test")
    assert (pooled.test, pooled.mean) == (pytest.approx(alone.test), pytest.approx(alone.mean))


def test_arms_without_a_common_train_seed_are_not_compared():
    assert accuracy_differences([finished(NONE, 0, [1, 0]), finished(LIVE, 1, [1, 1])], "test") == []


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=4, max_size=4))
def test_turning_a_difference_around_turns_its_sign_alone(rights):
    ours = [finished(ALL, seed, right) for seed, right in enumerate(rights[:2])]
    theirs = [finished(LIVE, seed, right) for seed, right in enumerate(rights[2:])]
    [there], [back] = (
        accuracy_differences([*ours, *theirs], "test"),
        accuracy_differences([*theirs, *ours], "test"),
    )
    assert there.mean == -back.mean
    assert (there.error, there.test, there.exceeds, there.same) == (
        back.error,
        back.test,
        back.exceeds,
        back.same,
    )
    assert there.same == (rights[:2] == rights[2:])


# ---------------------------------------------------------------- what is concluded


def test_everything_is_read_from_what_the_runs_left(tmp_path):
    shards = write_dataset(tmp_path / "shards", copies=4)
    comparison = compared(many(tmp_path / "runs", shards))
    assert [arm.label for arm in comparison.arms] == [
        *("none", "shards-k1", "shards-k2", "shards-k4", "shards-originals-k1", "shards-originals-k2"),
        *("live", "live-layer"),
    ]
    assert (comparison.measured, comparison.images, comparison.reference.label) == ("test", IMAGES, "live")
    live = comparison.reference
    assert live.score["test"] == (0.66, pytest.approx(0.68), 0.70)
    assert live.by_seed == (0.66, 0.68, 0.70)
    assert live.deviation == pytest.approx(0.02)
    assert live.test_error == pytest.approx(math.sqrt(0.68 * 0.32 / IMAGES))
    assert live.curves["loss"][0] == (1.0, pytest.approx(1.01), 1.02)
    assert live.input_wait == (0.4, 0.4, 0.4)
    assert comparison.between("shards-k4", "live").same
    assert comparison.between("none", "live").mean == -comparison.between("live", "none").mean
    assert len(comparison.differences) == 8 * 7 // 2
    json.dumps(as_json(comparison), allow_nan=False)


def test_the_first_epoch_is_left_out_of_speed(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, LIVE, seconds=[60.0, 2.0, 4.0, 3.0])
    write_run(tmp_path, NONE, seconds=[8.0], epochs=1)
    none, live = compared(tmp_path).arms
    assert live.seconds == (2.5, 3.0, 3.5)
    assert live.images_per_second.middle == pytest.approx(1000 / 3)
    assert none.seconds == (8.0, 8.0, 8.0)


def test_shards_pay_off_when_they_have_saved_what_they_cost(tmp_path):
    shards = write_dataset(tmp_path / "shards", copies=4, seconds=30.0)
    write_request(tmp_path)
    write_run(tmp_path, LIVE, seconds=[9.0, 2.8, 3.0, 3.2], shards=shards)
    write_run(tmp_path, ALL, seconds=[9.0, 1.9, 2.0, 2.1], shards=shards)
    write_run(tmp_path, Arm("shards", 1, originals=True), seconds=[9.0, 3.0, 3.0, 3.0], shards=shards)
    whole, one = compared(tmp_path).costs
    assert (whole.arm, whole.bytes, whole.job_bytes) == ("shards-k4", 8000, 15000)
    assert whole.seconds == pytest.approx(30 * 80 / 120)
    assert whole.saved == (pytest.approx(0.85), pytest.approx(1.0), pytest.approx(1.15))
    assert whole.pays_off == (18, 20, 24)
    assert pays_off(whole) == "epoch 20 (18 to 24)"
    assert (one.arm, one.bytes) == ("shards-originals-k1", 4000)
    assert one.pays_off == (100, None, None)
    assert pays_off(one) == "never at this rate (100 to never)"


def test_there_is_no_cost_without_the_dataset_that_was_read(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, ALL, shards=tmp_path / "gone")
    assert compared(tmp_path).costs == ()
    other = write_dataset(tmp_path / "gone", copies=2)  # has not all copies that the arm used
    assert read_output(str(tmp_path)).dataset is not None
    assert compared(tmp_path).costs == ()
    manifest = json.loads((other / "manifest.json").read_text()) | {"fingerprint": "e" * 64}
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert read_output(str(tmp_path)).dataset is None


def test_weights_are_held_against_live_run_by_run(tmp_path):
    write_request(tmp_path)
    for seed in (0, 1):
        write_run(tmp_path, LIVE, seed)
        write_run(tmp_path, Arm("shards", 2), seed)
        write_run(tmp_path, ALL, seed, weights="other" * seed)
    comparison = compared(tmp_path)
    found = [
        (match.train_seed, match.arm, match.epochs, match.all_epochs, match.differs)
        for _, match in comparison.identities
    ]
    assert found == [
        (0, "shards-k2", 2, False, None),
        (0, "shards-k4", 4, True, None),
        (1, "shards-k2", 2, False, None),
        (1, "shards-k4", 4, True, 0),
    ]
    top = headline(comparison)
    assert (top.status, top.words) == ("bad", "Weights differ")
    assert top.rows[0] == ("weights", "shards-k4: not those of live, where both see the same copies")
    write_request(tmp_path, devices=["Some GPU"])
    assert headline(compared(tmp_path)).status == "unsure"


def test_several_outputs_are_one_comparison(tmp_path):
    for seed in (0, 1):
        write_request(tmp_path / f"{seed}", seed=seed, shards=f"{seed}" * 64)
        for train_seed in (0, 1):
            write_run(tmp_path / f"{seed}", Arm("shards", 1), train_seed, right=50 + 4 * seed)
    for train_seed in (0, 1):
        write_run(tmp_path / "0", LIVE, train_seed, right=60)
    write_run(tmp_path / "1", LIVE, 0, finished=False, epochs=3)
    comparison = compared(tmp_path / "0", tmp_path / "1")
    shards, live = comparison.arms
    assert (len(shards.runs), len(live.runs)) == (4, 2)
    assert shards.by_seed == (0.52, 0.52)
    assert shards.deviation_by_augmentation == pytest.approx(np.std([0.50, 0.54], ddof=1))
    assert live.deviation_by_augmentation is None
    assert comparison.unfinished == ("live, train seed 0: 3 of 4 epochs, augmentation seed 1",)
    assert {seed for seed, _ in comparison.identities} == {0}


# ---------------------------------------------------------------- what stands on top


def on_top(*directories):
    return dict(headline(compared(*directories)).rows)


def test_what_is_inside_the_error_is_not_ranked(tmp_path):
    write_request(tmp_path)
    for seed, right in enumerate((60, 63, 61)):
        write_run(tmp_path, NONE, seed, right=right)
        write_run(tmp_path, LIVE, seed, right=right + seed)
    said = on_top(tmp_path)["differences"]
    assert said == "no difference larger than the error: the arms are not ranked"


def test_what_exceeds_its_error_is_named_with_it(tmp_path):
    write_request(tmp_path)
    for seed, right in enumerate((40, 41, 42)):
        write_run(tmp_path, NONE, seed, right=right)
        write_run(tmp_path, LIVE, seed, right=right + 40)
    said = on_top(tmp_path)
    assert said["test accuracy"] == "none 41.0 %, live 81.0 %"
    assert said["differences"] == "1 of 1 difference larger than the error"
    assert said["live less none"] == "+40.0 ± 12.3 points"


def test_validation_stands_in_where_nothing_is_tested(tmp_path):
    write_request(tmp_path)
    for seed in (0, 1):
        write_run(tmp_path, NONE, seed, right=None)
        write_run(tmp_path, LIVE, seed, right=None)
    comparison = compared(tmp_path)
    assert comparison.measured == "validation"
    assert comparison.differences[0].test is None
    assert on_top(tmp_path)["validation accuracy"] == "the same in all arms"


def test_one_arm_is_not_compared_and_one_seed_not_ranked(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, NONE, right=40)
    assert "test accuracy" not in on_top(tmp_path)
    write_run(tmp_path, LIVE, right=80)
    assert on_top(tmp_path)["differences"].startswith("not ranked: one train seed does not tell")


# ---------------------------------------------------------------- what cannot be compared


def test_a_run_that_is_not_finished_is_named(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, NONE)
    write_run(tmp_path, LIVE, 1, finished=False, epochs=2)
    (tmp_path / "shards-k4" / "seed-0").mkdir(parents=True)
    comparison = compared(tmp_path)
    assert [arm.label for arm in comparison.arms] == ["none"]
    assert comparison.unfinished == (
        "live, train seed 1: 2 of 4 epochs",
        "shards-k4, train seed 0: 0 of 4 epochs",
    )
    assert on_top(tmp_path)["not finished"] == "2 runs, not in what follows"


def refusal(*directories):
    with pytest.raises(RequestError) as refused:
        read_outputs([str(directory) for directory in directories])
    return str(refused.value)


def test_what_cannot_be_compared_is_refused_with_a_sentence(tmp_path):
    for name, changes in {
        "a": {},
        "again": {"seed": 0},
        "b": {"seed": 1, "shards": "b" * 64},
        "c": {"seed": 2, "batch_size": 64, "threads": 1},
    }.items():
        write_request(tmp_path / name, **changes)
    a, again, b, c = (tmp_path / name for name in ("a", "again", "b", "c"))
    read_outputs([str(a), str(b)])
    assert refusal(a, c) == (
        f"{c}: its runs differ from those of {a} in batch size, threads; "
        "give outputs that differ in --seed and --shards alone"
    )
    assert refusal(a, again) == (
        f"{again}: its augmentation has seed 0, and so has that of {a}; give one output of each seed"
    )
    nothing = tmp_path / "nothing"
    assert refusal(nothing) == (
        f"{nothing}: it holds no request.json, so no augshard train wrote there; give the --output of one"
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"label": "other"},
        {"epochs": []},
        {"epochs": [{}]},
        {"test": {"images": 7}},
        {"kept_epoch": 9},
        {"train_seed": None},
    ],
)
def test_a_damaged_run_is_named(damage, tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, NONE)
    document = tmp_path / "none/seed-0/run.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | damage))
    assert refusal(tmp_path).startswith(f"{tmp_path}/none/seed-0: it is damaged (")


def test_a_damaged_request_is_named(tmp_path):
    write_request(tmp_path)
    (tmp_path / "request.json").write_text('{"threads": 2}')
    assert refusal(tmp_path) == (
        f"{tmp_path}/request.json: it is damaged (it has no batch_size); give another output"
    )


def test_files_that_are_no_json_or_no_answers_are_named(tmp_path):
    write_request(tmp_path)
    write_run(tmp_path, NONE)
    (tmp_path / "none/seed-0/test.csv").write_text("label,predicted\n1,\n")
    assert refusal(tmp_path).startswith(f"{tmp_path}/none/seed-0: it is damaged (")
    for damaged in ("{", "[]"):
        (tmp_path / "none/seed-0/run.json").write_text(damaged)
        assert "none/seed-0/run.json: it cannot be read" in refusal(tmp_path)
