"""What an op can do to the meaning of a label.

An op states how it changes pictures, in a few words that have a meaning apart
from the op (`mirror`, `gray`, `cut`); what that does to which class names,
augment.labels.findings knows. So an op of a user's own is checked like any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from augment.errors import did_you_mean

Change = Literal[
    "mirror",
    "upside_down",
    "half_turn",
    "quarter_turn",
    "eighth_turn",
    "tint",
    "recolor",
    "gray",
    "negative",
    "exposure",
    "cut",
    "scale",
    "stretch",
    "blur",
    "noise",
]

CHANGES: dict[Change, str] = {
    "mirror": "exchanges left and right",
    "upside_down": "exchanges top and bottom, as a mirror on the floor does",
    "half_turn": "turns by about half a turn",
    "quarter_turn": "turns by about a quarter of a turn",
    "eighth_turn": "turns by about an eighth of a turn",
    "tint": "moves colors to their neighbors, such as red to orange",
    "recolor": "makes any color another",
    "gray": "takes color away",
    "negative": "exchanges dark and bright, and each color with its opposite",
    "exposure": "makes bright what is dark, or dark what is bright",
    "cut": "may cut away or cover what the picture is of",
    "scale": "makes the content much larger or smaller",
    "stretch": "changes the content's proportions",
    "blur": "takes sharpness away",
    "noise": "adds noise",
}


@dataclasses.dataclass(frozen=True)
class Hazard:
    """One way in which an op, with the settings that it has, changes what a picture means.

    How often it does so (`p`) does not matter: one wrong label is wrong.
    Raises ValueError for a change that is not among CHANGES.
    """

    change: Change
    narrow: str
    """what to write in the recipe so that the op no longer does it, such as "use flip: {horizontal: 0.5}" """
    within: str = ""
    """where an op consists of others: the path to the one that does it, such as "2/rotation" """
    limit: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    """the same as `narrow` for a program: settings with which the op no longer does it; none: leave it out"""

    def __post_init__(self) -> None:
        if self.change not in get_args(Change):
            raise ValueError(f"there is no change {self.change!r}; {did_you_mean(self.change, CHANGES)}")

    def inside(self, part: str) -> Hazard:
        """The same as the hazard of an op of which the one that states it is a part."""
        return dataclasses.replace(self, within=f"{part}/{self.within}" if self.within else part)


def turned(low: float, high: float) -> list[Change]:
    """Which turns come about if angles are drawn from [low, high], in full turns.

    What is written by hand leans anyway, so that a turn counts from somewhat below its angle.
    """
    turns: tuple[tuple[Change, float, float], ...] = (
        ("half_turn", 1 / 2, 1 / 8),
        ("quarter_turn", 1 / 4, 1 / 16),
        ("eighth_turn", 1 / 8, 1 / 32),
    )
    return [change for change, angle, nearly in turns if _apart(low, high, angle - nearly, angle + nearly)]


def recolored(low: float, high: float) -> list[Change]:
    """What becomes of colors if they are moved by [low, high], in turns of the color circle."""
    shifts: tuple[tuple[Change, float], ...] = (("tint", 0.05), ("recolor", 0.25))
    return [change for change, least in shifts if _apart(low, high, least, 1 / 2)]


def _apart(low: float, high: float, least: float, most: float) -> bool:
    """Whether two angles from [low, high] or 0 can be between `least` and `most` apart, on a circle.

    What counts is how far two pictures are turned against each other, of which one may
    be not augmented: a 6 turned by +90 degrees equals a 9 turned by -90.
    """
    differences = ((0.0, high - low), (min(abs(low), abs(high)), max(abs(low), abs(high))))
    ways = ((least, most), (1 - most, 1 - least), (1 + least, 1 + most), (2 - most, 2 - least))
    return any(first <= b and a <= last for first, last in differences for a, b in ways)
