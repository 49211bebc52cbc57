"""What a comparison comes to, in sentences, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.train.compare import Comparison, Cost, OneArm, Spread
from pipelines.train.differences import Difference

NAMED = 4
"""Differences that a sentence names; the table has all."""


def percent(value: float | None, digits: int = 1) -> str:
    """A part of one."""
    return "" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two parts of one, with its sign."""
    return "" if value is None else f"{100 * value:+.{digits}f}".replace("-", "−")


def size(number: int) -> str:
    """Bytes."""
    return f"{number / 1e6:,.1f} MB" if number >= 1e5 else f"{number / 1e3:,.1f} kB"


def seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{value:.3g} s"


def accuracy_digits(comparison: Comparison) -> int:
    """Of a percentage: no more than the images can tell."""
    return 2 if (comparison.images or 0) >= 10_000 else 1


def measured_range(spread: Spread | None, digits: int) -> str:
    """A mean, and from where to where the runs are."""
    if spread is None:
        return ""
    low, middle, high = (f"{100 * value:.{digits}f}" for value in spread)
    return f"{middle} %" if low == high else f"{middle} % ({low} to {high})"


def difference(found: Difference, digits: int) -> str:
    """A difference with its error, in points."""
    if found.same:
        return "none: the same answers"
    error = f" ± {100 * found.error:.{digits}f}" if found.error is not None else ""
    return points(found.mean, digits) + error


def saved(cost: Cost) -> str:
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
    if first == last:
        return at
    return (
        f"{at} ({'never' if first is None else f'{first:,}'} to {'never' if last is None else f'{last:,}'})"
    )


def identity(comparison: Comparison) -> tuple[str, str, str]:
    """Status, word and sentence: whether arms that see the same copies have the same weights."""
    held = [one for one in comparison.identities if one.verdict.epochs]
    differing = [one for one in held if one.verdict.differs]
    if not held:
        return (
            "unsure",
            "No weights to compare",
            "No two arms that augment see the same copies, so there is nothing to hold to the bit.",
        )
    if not differing:
        arms = _listed(list(dict.fromkeys(one.verdict.arm for one in held)))
        pairs = "1 pair of runs" if len(held) == 1 else f"{len(held)} pairs of runs"
        return (
            "good",
            "Bit-identical",
            f"Weights of {arms} are those of {held[0].verdict.reference}, bit by bit, after every epoch that "
            f"sees the same copies ({pairs}).",
        )
    arms = _listed(list(dict.fromkeys(one.verdict.arm for one in differing)))
    sentence = (
        f"Weights of {arms} differ from those of {held[0].verdict.reference} where both see the same copies."
    )
    request = comparison.requests[0]
    if request["deterministic"] and request["devices"] == ["CPU"]:
        return "bad", "Weights differ", sentence
    why = "on such devices" if request["deterministic"] else "without deterministic operations"
    return "unsure", "Weights differ", f"{sentence} {why[0].upper()}{why[1:]}, that is no fault."


def accuracy(comparison: Comparison) -> str:
    """Which arms can be told apart by their accuracy."""
    if not comparison.measured:
        return "No split tests or validates in every run, so accuracies are not compared."
    apart = [found for found in comparison.differences if not found.same]
    if not comparison.differences:
        return "There is one arm, so there is no accuracy to compare it with."
    what = f"{comparison.measured} accuracy"
    if not apart:
        return f"All arms have the same {what}."
    if all(found.error is None for found in apart):
        return (
            f"With one train seed nobody knows how far {what} moves by chance in training, so no arm can be "
            "called better than another: give --train-seeds 3 or more."
        )
    exceeding = [found for found in apart if found.exceeds]
    if not exceeding:
        if len(apart) == 1:
            return f"The difference in {what} is not larger than its error: these runs do not rank the arms."
        return (
            f"None of {len(apart)} differences in {what} is larger than its error: these runs do not rank "
            "the arms."
        )
    digits = accuracy_digits(comparison)
    exceeding.sort(key=lambda found: not _is_of_reference(found, comparison.reference))
    named = "; ".join(
        f"{found.arm} is {'above' if found.mean > 0 else 'below'} {found.other} by "
        f"{100 * abs(found.mean):.{digits}f} ± {100 * (found.error or 0):.{digits}f} points"
        for found in exceeding[:NAMED]
    )
    if len(apart) == 1:
        return f"The difference in {what} is larger than its error: {named}."
    more = f"; and {len(exceeding) - NAMED} more, in the table" if len(exceeding) > NAMED else ""
    larger = "is larger than its error" if len(exceeding) == 1 else "are larger than their error"
    others = " The others rank nothing." if len(exceeding) < len(apart) else ""
    return f"{len(exceeding)} of {len(apart)} differences in {what} {larger}: {named}{more}.{others}"


def _is_of_reference(found: Difference, reference: OneArm | None) -> bool:
    return reference is not None and reference.label in (found.arm, found.other)


def speed(comparison: Comparison) -> str | None:
    """The shards with the most copies beside live."""
    live = next((arm for arm in comparison.arms if arm.arm.name == "live"), None)
    shards = [arm for arm in comparison.arms if arm.arm.name == "shards"]
    if live is None or not shards:
        return None
    arm = max(shards, key=lambda arm: (arm.arm.copies or 0, not arm.arm.originals))
    ours, theirs = arm.images_per_second, live.images_per_second
    said = (
        f"{arm.label} trains on {ours.middle:,.0f} images/s and live on {theirs.middle:,.0f} (medians), and "
        f"of that time they wait for input {percent(arm.input_wait.middle)} and "
        f"{percent(live.input_wait.middle)}"
    )
    apart = ours.low > theirs.high or theirs.low > ours.high
    return said + ("." if apart else "; the quartiles of the rates overlap, so neither is called faster.")


def unfinished(comparison: Comparison) -> str | None:
    """What is left out."""
    number = len(comparison.unfinished)
    if not number:
        return None
    return f"{number} {'run is' if number == 1 else 'runs are'} not finished, and not in what follows."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
