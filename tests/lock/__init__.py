"""The lock: constraints.txt read as data, and what is asked of the packages in it: `make check-lock`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def locked() -> dict[str, dict[str, list[str]]]:
    """{section: {pin: its hashes}} of constraints.txt; any line that is neither fails."""
    sections: dict[str, dict[str, list[str]]] = {}
    pins: dict[str, list[str]] = {}
    for line in TEXT.splitlines():
        if line.startswith("## "):
            pins = sections.setdefault(line[3:], {})
        elif line.startswith("    --hash=sha256:"):
            pins[next(reversed(pins))].append(line.strip(" \\").removeprefix("--hash=sha256:"))
        elif line and not line.lstrip().startswith("#"):
            assert re.match(r"[a-z0-9][a-z0-9-]*==\S+( ; .+)? \\$", line), line
            pins[line.removesuffix(" \\")] = []
    return sections


def names(pins: Iterable[str]) -> set[str]:
    """The distributions of pins."""
    return {pin.partition("==")[0] for pin in pins}
