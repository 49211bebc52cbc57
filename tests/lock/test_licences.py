"""docs/licences.md: the licence of each locked package, as the package says, and none that is not allowed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, PathDistribution

import pytest

from tests.lock import licences, locked, names

SECTIONS = {section: names(pins) for section, pins in locked().items()}


def test_the_table_has_each_locked_package_and_no_other():
    assert licences.table().keys() == set().union(*SECTIONS.values()), "run `python -m tests.lock.licences`"


def test_every_licence_is_allowed():
    found = {name: licences.refused(licence) for name, licence in licences.table().items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_installed_packages_say_what_the_table_has():
    table, differ, seen = licences.table(), {}, set()
    for name in table:
        try:
            said = licences.said(name)
        except PackageNotFoundError:
            continue
        seen.add(name)
        if said != table[name]:
            differ[name] = said
    assert differ == {}, "look at what changed, then run `python -m tests.lock.licences`"
    assert len(seen & SECTIONS["base"]) > 0.9 * len(SECTIONS["base"])


@pytest.mark.parametrize(
    ("fields", "licence", "words"),
    [
        ("License-Expression: MIT OR GPL-3.0-only", "MIT OR GPL-3.0-only", {"GPL-3.0-only"}),
        ("License: GPLv3", "GPLv3", {"GPLv3"}),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT", set()),
        ("Classifier: License :: OSI Approved :: BSD License\nLicense: BSD-3-Clause", "BSD-3-Clause", set()),
        (
            "Classifier: License :: OSI Approved :: BSD License\n"
            "Classifier: License :: OSI Approved :: GNU General Public License v2 (GPLv2)",
            "BSD OR GNU General Public License v2 (GPLv2)",
            {"GNU", "General", "Public", "License", "v2", "GPLv2"},
        ),
        ("License: Apache License, Version 2.0", "Apache-2.0", set()),
        ("Summary: says nothing", "", {"none"}),
    ],
)
def test_a_licence_is_read_from_metadata_and_refused_unless_it_is_listed(
    fields, licence, words, tmp_path, monkeypatch
):
    (tmp_path / "METADATA").write_text(f"Metadata-Version: 2.4\nName: thing\n{fields}\n", encoding="utf-8")
    monkeypatch.setattr(licences, "metadata", lambda name: PathDistribution(tmp_path).metadata)
    assert licences.said("thing") == licence
    assert licences.refused(licence) == words
