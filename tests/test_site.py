"""`make site` holds the documentation's links."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / "build/site/.installed").exists(), reason="needs `make build/site/.installed`"
)
@pytest.mark.parametrize(("link", "told"), [("nowhere.md", True), ("index.md", False)])
def test_a_link_that_leads_nowhere_is_an_error_that_names_it(link, told, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"[there]({link})\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: small\n")
    command = ["make", "site", f"ARGS=-f {tmp_path / 'mkdocs.yml'}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ((ended.returncode != 0), ("'nowhere.md'" in ended.stderr)) == (told, told), ended.stderr
