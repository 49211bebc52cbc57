"""What the worker image installs, on standard output: pins of the lock, with one of three TensorFlows.

    python3 pins.py none|cpu|gpu "base gcp"        # sections of constraints.txt, which lies here

`cpu` and `gpu` put what cpu.txt and gpu.txt pin in TensorFlow's place. `none` leaves it out, with Keras and
Matplotlib, which train and draw beside it, and with what those alone need, by what the lock says of each pin
("# via ...").
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from pathlib import Path

LEFT_OUT = {"tensorflow", "keras", "matplotlib"}
BUILDS = "setuptools"
"""TensorFlow asks for it, but it also builds augshard."""


def pins(lock: str, sections: Collection[str]) -> dict[tuple[str, str], str]:
    """The pins of some sections with their hashes, by name and by what else stands in their first line."""
    found = {}
    for section in re.split(r"^## ", lock, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        if name in sections:
            for pin in re.findall(r"^[a-z0-9].*\n(?:[ \t]+.*\n?)*", text, re.MULTILINE):
                distribution, _, rest = pin.partition("\n")[0].partition("==")
                found[distribution, rest] = pin
    return found


def without(found: dict[tuple[str, str], str], left_out: Collection[str]) -> dict[tuple[str, str], str]:
    """The pins without some distributions, and without those that nothing needs that stays."""
    gone = set(left_out)
    while more := {name for (name, _), pin in found.items() if _needed_by(pin) <= gone} - gone - {BUILDS}:
        gone |= more
    return {key: pin for key, pin in found.items() if key[0] not in gone}


def _needed_by(pin: str) -> set[str]:
    return set(re.split(r",\s*", pin.rpartition("# via ")[2].strip()))


def main() -> None:
    variant, sections = sys.argv[1], sys.argv[2].split()
    found = pins(Path("constraints.txt").read_text(encoding="utf-8"), sections)
    if variant == "none":
        sys.stdout.writelines(without(found, LEFT_OUT).values())
        return
    sys.stdout.writelines(pin for (name, _), pin in found.items() if name != "tensorflow")
    sys.stdout.write(Path(f"{variant}.txt").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
