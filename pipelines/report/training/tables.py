"""The tables of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipelines.report.numbers import count, percent, seconds, signed, size
from pipelines.report.table import Alarm, Marked, Table
from pipelines.train.accuracy import AccuracyDifference
from pipelines.train.compare import ComparedArm, Comparison, Cost, Spread
from pipelines.train.identity import RunDocument, WeightsMatch

SAME = "the same answers"


def digits_of(comparison: Comparison) -> int:
    """Of a percentage: no more than the images can tell."""
    return 2 if (comparison.images or 0) >= 10_000 else 1


def accuracy_range(spread: Spread | None, digits: int) -> str:
    """A mean, and from where to where the runs are."""
    if spread is None:
        return ""
    low, middle, high = (f"{100 * value:.{digits}f}" for value in spread)
    return f"{middle} %" if low == high else f"{middle} % ({low} to {high})"


def points(found: AccuracyDifference, digits: int) -> str:
    """A difference with its error, in points."""
    if found.same:
        return SAME
    error = f" ± {100 * found.error:.{digits}f}" if found.error is not None else ""
    return signed(100 * found.mean, digits) + error


def arms(comparison: Comparison) -> Table:
    several, digits = len(comparison.requests) > 1, digits_of(comparison)
    head = ["arm", "runs", "training", "validation", "test", "deviation by train seed"]
    head += ["by augmentation seed"] * several + ["error by test images"]
    rows = [
        [
            arm.label,
            count(len(arm.runs)),
            *(accuracy_range(arm.accuracy[split], digits) for split in ("train", "validation", "test")),
            percent(arm.deviation, digits),
            *([percent(arm.deviation_by_augmentation, digits)] if several else []),
            percent(arm.test_error, digits),
        ]
        for arm in comparison.arms
    ]
    return _numeric(head, rows, but=(0,))


def differences(comparison: Comparison) -> Table:
    """All of them, those of the reference first, each written as the arm less the other."""
    tested, digits = comparison.measured == "test", digits_of(comparison)

    def part(error: float | None) -> str:
        return "not known" if error is None else f"{100 * error:.{digits}f}"

    head = [
        "arm",
        "less",
        "points",
        "±",
        "by training",
        *(["by images", "they disagree on"] if tested else []),
    ]
    rows = []
    for found in _reference_first(comparison):
        said = signed(100 * found.mean, digits) if not found.same else "0"
        larger = "not known" if found.error is None else "yes" if found.exceeds else "no"
        mark: type[str] = Marked if found.exceeds else str
        images = ["" if found.test is None else part(found.test), percent(found.disagree)] if tested else []
        rows.append(
            [
                *(found.arm, found.other, mark(said), part(found.error), part(found.training), *images),
                *(count(found.train_seeds), mark(SAME if found.same else larger)),
            ]
        )
    head += ["train seeds", "larger than its error"]
    return _numeric(head, rows, but=(0, 1, len(head) - 1))


def _reference_first(comparison: Comparison) -> list[AccuracyDifference]:
    reference = comparison.reference.label if comparison.reference else ""
    turned = [
        (comparison.between(found.other, found.arm) if found.arm == reference else found) or found
        for found in comparison.differences
    ]
    return sorted(turned, key=lambda found: found.other != reference)


def speed(comparison: Comparison) -> Table:
    head = ["arm"]
    for what in ("seconds an epoch", "images/s", "waiting for input"):
        head += [what, "from", "to"]
    rows = [
        [
            arm.label,
            *(f"{value:.3g}" for value in _middle_first(arm.seconds)),
            *(f"{value:,.0f}" for value in _middle_first(arm.images_per_second)),
            *(percent(value) for value in _middle_first(arm.input_wait)),
        ]
        for arm in comparison.arms
    ]
    return _numeric(head, rows, but=(0,))


def _middle_first(spread: Spread) -> tuple[float, float, float]:
    return spread.middle, spread.low, spread.high


def costs(comparison: Comparison) -> Table:
    several = len(comparison.requests) > 1
    head = [
        "arm",
        *(["augmentation seed"] if several else []),
        "disk",
        "whole dataset",
        "to make",
        "whole job",
    ]
    rows = [
        [
            *(cost.arm, *([str(cost.seed)] if several else []), size(cost.bytes), size(cost.job_bytes)),
            *(seconds(cost.seconds), seconds(cost.job_seconds), _saved(cost), pays_off(cost)),
        ]
        for cost in comparison.costs
    ]
    head += ["saved an epoch", "pay off"]
    return _numeric(head, rows, but=(0, len(head) - 1))


def _saved(cost: Cost) -> str:
    """Seconds an epoch, and what is left of them by the quartiles."""
    if cost.saved is None:
        return ""
    low, middle, high = (f"{value:.2f}".replace("-", "−") for value in cost.saved)
    return f"{middle} s ({low} to {high})"


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
    head = ["arm", "held against", *(["augmentation seed"] if several else []), "train seed"]
    head += ["epochs compared", "weights"]
    rows = [
        [
            *(match.arm, match.reference, *([str(seed)] if several else []), str(match.train_seed)),
            f"{match.epochs}{', all' * match.all_epochs}",
            _same(match),
        ]
        for seed, match in found
    ]
    return _numeric(head, rows, but=(0, 1, len(head) - 1))


def _same(match: WeightsMatch) -> str:
    if match.differs is not None:
        return Alarm(f"differ from epoch {match.differs} on (from 0)")
    return "the same, bit by bit" if match.epochs else "nothing to compare"


def runs(documents: Iterable[RunDocument]) -> Table:
    """Each run after the epoch whose weights it kept."""
    head = ("arm", "seed", "epochs", "loss", "accuracy", "val accuracy", "test accuracy")
    return Table((*head, "images/s", "input wait", "weights"), [_run(document) for document in documents])


def _run(run: RunDocument) -> list[str]:
    """Speed is that without the first epoch where there are others: TensorFlow prepares itself in it."""
    kept, test = run["epochs"][run["kept_epoch"]], run["test"]
    results = [kept["loss"], kept["accuracy"], kept["val_accuracy"], test and test["accuracy"]]
    epochs = run["epochs"][1:] or run["epochs"]
    images, spent, waited = (
        sum(row[column] for row in epochs) for column in ("images", "seconds", "input_wait_seconds")
    )
    return [
        *(run["label"], str(run["train_seed"]), str(len(run["epochs"]))),
        *("" if value is None else f"{value:.4f}" for value in results),
        *(f"{images / spent:,.0f}", f"{waited / spent:.1%}", run["epochs"][-1]["weights_sha256"][:12]),
    ]


def for_readme(comparison: Comparison) -> Table:
    """What a README shows of the arms; differences that are larger than their errors are marked."""
    digits, reference = digits_of(comparison), comparison.reference
    disk = {cost.arm: size(cost.bytes) for cost in reversed(comparison.costs)}
    split = comparison.measured or "training"
    head = ["arm", "runs", f"{split} accuracy"]
    head += [f"against {reference.label}, in points"] if reference else []
    rows = [
        [
            *(arm.label, str(len(arm.runs))),
            accuracy_range(arm.accuracy[comparison.measured or "train"], digits),
            *([_against(comparison, arm, reference, digits)] if reference else []),
            f"{arm.images_per_second.middle:,.0f}",
            *(percent(arm.input_wait.middle), disk.get(arm.label, "")),
        ]
        for arm in comparison.arms
    ]
    return Table([*head, "images/s", "waiting for input", "disk"], rows)


def _against(comparison: Comparison, arm: ComparedArm, reference: ComparedArm, digits: int) -> str:
    found = comparison.between(arm.label, reference.label)
    if found is None:
        return ""
    said = points(found, digits)
    return Marked(said) if found.exceeds else said


def _numeric(head: Sequence[str], rows: Sequence[Sequence[str]], *, but: Sequence[int]) -> Table:
    return Table(head, rows, frozenset(range(len(head))) - frozenset(but))
