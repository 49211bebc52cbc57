"""The licences of what is locked: as the packages say, in docs/licences.md, against a list of those allowed.

python -m tests.lock.licences    writes the table anew, from what is installed
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata

from tests.lock import ROOT, locked, names

PAGE = ROOT / "docs/licences.md"
BEGIN, END = "<!-- licences: written by python -m tests.lock.licences -->", "<!-- end of licences -->"

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC"),
    *("MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
}
"""SPDX identifiers. BSD is what packages say that do not say which."""

WORDS = {
    "Apache-2.0": r"Apache( Software)?( License)?,?( Version)? ?-?(2\.0)?",
    "BSD": r"BSD( License)?",
    "BSD-3-Clause": r"BSD 3-Clause License|3-Clause BSD License|BSD 3-Clause",
    "ISC": r"ISC License( \(ISCL\))?",
    "MIT": r"MIT License",
    "MPL-2.0": r"Mozilla Public License 2\.0 \(MPL 2\.0\)",
    "PSF-2.0": r"Python Software Foundation License",
}
"""How else packages write them."""

UNSAID = {"namex": "Apache-2.0"}
"""Whose metadata says nothing, by the text of the license that they come with."""


def said(distribution: str) -> str:
    """The licence of an installed distribution, as an SPDX expression where its metadata can be read as one.

    The newer field counts first, then the classifiers that name one, then the free text.
    """
    if distribution in UNSAID:
        return UNSAID[distribution]
    fields = metadata(distribution)
    if expression := fields.get("License-Expression"):
        return str(expression)
    classes = [line for line in fields.get_all("Classifier", []) if line.startswith("License :: ")]
    stated = sorted({spdx(line.rpartition(" :: ")[2]) for line in classes})
    text = spdx(str(fields.get("License") or "").strip().partition("\n")[0])
    if stated and not (stated == ["BSD"] and text.startswith("BSD-")):
        return " OR ".join(stated)
    return text


def spdx(words: str) -> str:
    """`Apache Software License` -> `Apache-2.0`; what is not known stays as it is."""
    return next((name for name, form in WORDS.items() if re.fullmatch(form, words)), words)


def refused(expression: str) -> set[str]:
    """What stands in an expression and is not allowed, though an alternative may be."""
    return set(re.findall(r"[^\s()]+", expression or "(none)")) - ALLOWED - {"AND", "OR"}


def table() -> dict[str, str]:
    """{distribution: licence} as docs/licences.md has it."""
    rows = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| [a-z, ]+ \| (.+) \|$", rows, re.MULTILINE))


def write() -> None:
    """Rewrites the table; what is not installed here keeps what the table says of it."""
    known, sections = table(), {section: names(pins) for section, pins in locked().items()}
    rows = ["| Package | Section | Licence |", "| --- | --- | --- |"]
    for name in sorted(set().union(*sections.values())):
        try:
            licence = said(name)
        except PackageNotFoundError:
            licence = known.get(name, "?")
        rows.append(
            f"| {name} | {', '.join(s for s, held in sections.items() if name in held)} | {licence} |"
        )
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text("\n".join([head + BEGIN, "", *rows, "", END + tail]), encoding="utf-8")


if __name__ == "__main__":
    write()
