"""Each notebook in docs/ runs from its first cell to its last, and all that it asserts holds."""

from __future__ import annotations

import json

import pytest

from docs.notebooks.__main__ import HERE, execute, jupyter

NOTEBOOKS = sorted(HERE.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.skipif(not jupyter(), reason="needs what `make build/site/.installed` brings")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(path):
    cells = json.loads(execute(path))["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_shows_is_of_the_notebook_as_it_is_and_of_no_machine(path):
    text = path.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    for word in ("/home/", "/root/", "site-packages", "Traceback"):
        assert word not in text
