"""The examples in docs/export.md and docs/reading.md run, one after the other, on a dataset OUT."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipelines import demo

DOCS = Path(__file__).parents[2] / "docs"
OPTIONAL = ("torch", "webdataset", "datasets", "array_record", "pycocotools")


def examples(page: str) -> dict[str, list[str]]:
    """The Python under each heading."""
    sections = re.split(r"^## ", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {
        section.partition("\n")[0]: re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        for section in sections
    }
    return {heading: code for heading, code in found.items() if code}


@pytest.fixture(scope="module")
def here(materialize, run_command, images, tmp_path_factory) -> Path:
    """A folder with OUT and CARS, and with what the commands on the page export from them."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "OUT").symlink_to(materialize(images, "--copies", 2, "--shards", 3, "--include-originals"))
    commands = re.findall(r"^augshard (export .*)$", (DOCS / "export.md").read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 7
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(demo, "COUNTS", {"train": 3, "validation": 1})
        demo.draw_dataset("images")
        demo.write_annotations(".")
        Path("cars.yaml").write_text(demo.RECIPE)
        told = ("--annotations", "annotations", "--recipe", "cars.yaml", "--copies", 1)
        ended = run_command("materialize", "--input", "images", "--output", "CARS", *told)
        assert ended.status == 0, ended.err
        for command in commands:
            if "arrayrecord" in command:
                pytest.importorskip("array_record", reason="the extra arrayrecord")
            ended = run_command(*shlex.split(command))
            assert ended.status == 0, ended.err
    return folder


PAGES = [(page, heading) for page in ("reading.md", "export.md") for heading in examples(page)]


@pytest.mark.parametrize(("page", "heading"), PAGES)
def test_an_example_runs(here, monkeypatch, page, heading):
    monkeypatch.chdir(here)
    monkeypatch.setenv("HF_HOME", str(here / "cache"))
    for code in examples(page)[heading]:
        for module in OPTIONAL:
            if re.search(rf"^\s*(import|from) {module}\b", code, re.MULTILINE):
                pytest.importorskip(module, reason=f"{module} is not installed")
        exec(compile(code, page, "exec", dont_inherit=True), {"__name__": "on_the_page"})


def test_every_way_has_an_example():
    assert {heading for _, heading in PAGES} == {
        *("Without TensorFlow", "PyTorch", "Shuffled", "Image folders", "WebDataset"),
        *("Parquet, for Hugging Face", "ArrayRecord, for Grain and JAX"),
        "COCO, YOLO and Pascal VOC",
    }
