"""The tables of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipelines.report.numbers import count, percent, seconds, signed, size
from pipelines.report.table import Alarm, Marked, Table
from pipelines.train.accuracy import AccuracyDifference
from pipelines.train.compare import ComparedArm, Comparison, Cost, Spread
from pipelines.train.identity import RunDocument, WeightsMatch
from pipelines.train.learned import CLASSES
from pipelines.train.results import task_of

SAME = "the same answers"


def digits_of(comparison: Comparison) -> int:
    """Of a percentage: no more than the images can tell."""
    return 2 if (comparison.images or 0) >= 10_000 else 1


def score_range(spread: Spread | None, digits: int) -> str:
    """A mean, and from where to where the runs are."""
    if spread is None:
        return ""
    low, middle, high = (f"{100 * value:.{digits}f}" for value in spread)
    return f"{middle} %" if low == high else f"{middle} % ({low} to {high})"


def points(found: AccuracyDifference, digits: int) -> str:
    """A difference with its error."""
    error = f" ± {100 * found.error:.{digits}f}" if found.error is not None else ""
    return signed(100 * found.mean, digits) + error


def arms(comparison: Comparison) -> Table:
    several, digits = len(comparison.requests) > 1, digits_of(comparison)
    names = {"validation": "validation", "test": "test"}
    tested = comparison.task is CLASSES
    if tested:  # other metrics take a whole split to tell
        names = {"train": "training", **names}
    return Table.of(
        [
            {
                "arm": arm.label,
                "runs": count(len(arm.runs)),
                **{name: score_range(arm.score[split], digits) for split, name in names.items()},
                "deviation by train seed": percent(arm.deviation, digits),
                **_if(several, "by augmentation seed", percent(arm.deviation_by_augmentation, digits)),
                **_if(tested, "error by test images", percent(arm.test_error, digits)),
            }
            for arm in comparison.arms
        ]
    )


def differences(comparison: Comparison) -> Table:
    """All of them, those of the reference first, each written as the arm less the other."""
    tested, digits = comparison.measured == "test" and comparison.task is CLASSES, digits_of(comparison)
    larger = "larger than its error"

    def part(error: float | None, unknown: str = "not known") -> str:
        return unknown if error is None else f"{100 * error:.{digits}f}"

    rows = []
    for found in _reference_first(comparison):
        mark: type[str] = Marked if found.exceeds else str
        said = "not known" if found.error is None else "yes" if found.exceeds else "no"
        rows.append(
            {
                "arm": found.arm,
                "less": found.other,
                "points": mark("0" if found.same else signed(100 * found.mean, digits)),
                "±": part(found.error),
                "by training": part(found.training),
                **_if(tested, "by images", part(found.test, "")),
                **_if(tested, "they disagree on", percent(found.disagree)),
                "train seeds": count(found.train_seeds),
                larger: mark(SAME if found.same else said),
            }
        )
    return Table.of(rows, text=("less", larger))


def _reference_first(comparison: Comparison) -> list[AccuracyDifference]:
    reference = comparison.reference.label if comparison.reference else ""
    turned = [
        (comparison.between(found.other, found.arm) if found.arm == reference else found) or found
        for found in comparison.differences
    ]
    return sorted(turned, key=lambda found: found.other != reference)


def speed(comparison: Comparison) -> Table:
    return Table.of(
        [
            {
                "arm": arm.label,
                "seconds an epoch": _quartiles(arm.seconds, lambda value: f"{value:.3g}"),
                "images/s": _quartiles(arm.images_per_second, lambda value: f"{value:,.0f}"),
                "waiting for input": _quartiles(arm.input_wait, lambda value: f"{100 * value:.1f}", " %"),
            }
            for arm in comparison.arms
        ]
    )


def _quartiles(spread: Spread, written: Callable[[float], str], unit: str = "") -> str:
    return f"{written(spread.middle)}{unit} ({written(spread.low)} to {written(spread.high)})"


def costs(comparison: Comparison) -> Table:
    several = len(comparison.requests) > 1
    return Table.of(
        [
            {
                "arm": cost.arm,
                **_if(several, "augmentation seed", str(cost.seed)),
                "disk": size(cost.bytes),
                "whole dataset": size(cost.job_bytes),
                "to make": seconds(cost.seconds),
                "whole job": seconds(cost.job_seconds),
                "saved an epoch": _quartiles(cost.saved, lambda s: signed(s).lstrip("+"), " s")
                if cost.saved
                else "",
                "pay off": pays_off(cost),
            }
            for cost in comparison.costs
        ],
        text=("pay off",),
    )


def pays_off(cost: Cost) -> str:
    """From which epoch on shards have saved what they cost, and how sure that is."""
    if cost.pays_off is None:
        return "not known: no live in its output"
    first, middle, last = cost.pays_off
    at = "never at this rate" if middle is None else f"epoch {middle:,}"
    ends = ["never" if end is None else count(end) for end in (first, last)]
    return at if first == last else f"{at} ({' to '.join(ends)})"


def identities(found: Sequence[tuple[int, WeightsMatch]], *, several: bool = False) -> Table:
    """Weights held against each other, with the seed of the augmentation where there are several."""
    rows = [
        {
            "arm": match.arm,
            "held against": match.reference,
            **_if(several, "augmentation seed", str(seed)),
            "train seed": str(match.train_seed),
            "epochs compared": f"{match.epochs}{', all' * match.all_epochs}",
            "weights": _same(match),
        }
        for seed, match in found
    ]
    return Table.of(rows, text=("held against", "weights"))


def _same(match: WeightsMatch) -> str:
    if match.differs is not None:
        return Alarm(f"differ from epoch {match.differs} on (from 0)")
    return "the same, bit by bit" if match.epochs else "nothing to compare"


def runs(documents: Iterable[RunDocument]) -> Table:
    """Each run after the epoch whose weights it kept.

    Its speed is that without the first epoch where there are others: TensorFlow prepares itself in it.
    """
    rows = []
    for run in documents:
        kept, test = run["epochs"][run["kept_epoch"]], run["test"]
        task = task_of(run)
        results = {"loss": kept["loss"], task.words: kept[task.metric]}
        if task is not CLASSES:  # which takes a whole split to tell
            del results[task.words]
        results[f"val {task.words}"] = kept[f"val_{task.metric}"]
        results[f"test {task.words}"] = test and test[task.metric]
        epochs = run["epochs"][1:] or run["epochs"]
        images, spent, waited = (
            sum(row[column] for row in epochs) for column in ("images", "seconds", "input_wait_seconds")
        )
        rows.append(
            {
                "arm": run["label"],
                "seed": str(run["train_seed"]),
                "epochs": str(len(run["epochs"])),
                **{name: "" if value is None else f"{value:.4f}" for name, value in results.items()},
                "images/s": f"{images / spent:,.0f}",
                "input wait": f"{waited / spent:.1%}",
                "weights": run["epochs"][-1]["weights_sha256"][:12],
            }
        )
    return Table.of(rows)


def for_readme(comparison: Comparison) -> Table:
    """What a README shows of the arms; differences that are larger than their errors are marked."""
    digits, reference = digits_of(comparison), comparison.reference
    disk = {cost.arm: size(cost.bytes) for cost in reversed(comparison.costs)}

    def against(arm: ComparedArm) -> str:
        found = comparison.between(arm.label, reference.label) if reference else None
        if found is None:
            return ""
        mark: type[str] = Marked if found.exceeds else str
        return SAME if found.same else mark(points(found, digits))

    return Table.of(
        [
            {
                "arm": arm.label,
                "runs": str(len(arm.runs)),
                f"{comparison.measured or 'training'} {comparison.task.words}": score_range(
                    arm.score[comparison.measured or "train"], digits
                ),
                **({f"against {reference.label}, in points": against(arm)} if reference else {}),
                "images/s": f"{arm.images_per_second.middle:,.0f}",
                "waiting for input": percent(arm.input_wait.middle),
                "disk": disk.get(arm.label, ""),
            }
            for arm in comparison.arms
        ]
    )


def _if(there: bool, name: str, cell: str) -> dict[str, str]:
    return {name: cell} if there else {}
