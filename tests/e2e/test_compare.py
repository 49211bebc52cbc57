"""`augshard compare`, and the report of training in a browser: its widths, the dark, and paper."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pytest
from PIL import Image

from pipelines.train.arms import Arm
from tests.e2e.conftest import BROWSER
from tests.trained import many, write_dataset, write_request, write_run

needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium in PATH")

HARNESS = """<!doctype html><meta charset="utf-8"><body><script>
const frames = %s, results = {};
for (const { name, url, width } of frames) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px`;
  frame.src = url;
  frame.onload = () => setTimeout(() => {
    const page = frame.contentDocument, root = page.documentElement;
    const figures = [...page.querySelectorAll("figure svg")];
    results[name] = {
      title: page.title,
      overflow: root.scrollWidth - root.clientWidth,
      figures: figures.length,
      smallest: Math.min(...figures.flatMap((svg) =>
        [...svg.querySelectorAll("text")].map((text) => text.getBoundingClientRect().height))),
      cut: figures.filter((svg) => [...svg.querySelectorAll("text")].some((text) => {
        const inner = text.getBoundingClientRect(), outer = svg.getBoundingClientRect();
        return inner.left < outer.left - 1 || inner.right > outer.right + 1;
      })).length,
    };
    if (Object.keys(results).length === frames.length) document.title = JSON.stringify(results);
  }, 300);
  document.body.append(frame);
}
</script>"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Two outputs, of one augmentation seed each: eight arms, and one."""
    root = tmp_path_factory.mktemp("outputs")
    first = many(root / "first", write_dataset(root / "shards", copies=4))
    write_request(root / "second", seed=1)
    for train_seed in range(3):
        write_run(root / "second", Arm("shards", 1), train_seed, right=58)
    return first, root / "second"


@pytest.fixture(scope="module")
def compared(outputs, run_command, tmp_path_factory):
    """Where `augshard compare` wrote, and how it ended."""
    directory = tmp_path_factory.mktemp("compared")
    return directory, run_command("compare", *outputs, "--output", directory)


def test_outputs_of_several_seeds_are_compared(compared):
    directory, ended = compared
    names = ["report.html", "table.md", "accuracy.svg"]
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "".join(f"{directory}/{name}\n" for name in names)
    report = json.loads((directory / "report.json").read_text())
    assert [run["seed"] for run in report["arms"]["shards-k1"]["runs"]] == [0, 0, 0, 1, 1, 1]
    assert "| shards-k1 | 6 | " in (directory / "table.md").read_text(encoding="utf-8")


def test_what_cannot_be_compared_ends_with_status_2(run_command, outputs, tmp_path):
    def refusal(*arguments):
        ended = run_command("compare", *arguments)
        assert (ended.status, ended.out) == (2, "")
        return ended.err

    missing = tmp_path / "missing"
    assert refusal(missing, "--output", tmp_path) == (
        f"augshard: {missing}: it holds no request.json, so no augshard train wrote there; "
        "give the --output of one\n"
    )
    assert "give one output of each seed" in refusal(outputs[0], outputs[0], "--output", tmp_path)
    assert "Missing" in refusal("--output", tmp_path)
    file = tmp_path / "file"
    file.touch()
    assert refusal(outputs[1], "--output", file).startswith(
        f"augshard: report {file}/report.html: it cannot be written"
    )


@needs_browser
def test_no_screen_is_too_narrow_and_no_label_is_cut(compared, browse, tmp_path):
    url = (compared[0] / "report.html").as_uri()
    frames = [{"name": f"{width}", "url": url, "width": width} for width in (1280, 375)]
    (tmp_path / "harness.html").write_text(HARNESS % json.dumps(frames), encoding="utf-8")
    dom = browse((tmp_path / "harness.html").as_uri(), "--dump-dom")
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    seen = json.loads(html.unescape(found[1]))
    for frame in frames:
        what = seen[frame["name"]]
        assert what["title"] == "small_cnn: 2 outputs compared"
        assert (what["overflow"], what["cut"], what["figures"]) == (0, 0, 18)
        assert what["smallest"] > 8


@needs_browser
def test_page_and_picture_are_dark_where_the_system_is(compared, browse, tmp_path):
    for name in ("report.html", "accuracy.svg"):
        picture = tmp_path / "seen.png"
        browse(
            (compared[0] / name).as_uri(),
            "--blink-settings=preferredColorScheme=0",
            "--window-size=500,260",
            f"--screenshot={picture}",
        )
        with Image.open(picture) as image:
            assert np.median(np.asarray(image.convert("L"))) < 56


@needs_browser
def test_it_can_be_printed(compared, browse, tmp_path):
    document = tmp_path / "page.pdf"
    browse((compared[0] / "report.html").as_uri(), "--no-pdf-header-footer", f"--print-to-pdf={document}")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", document.read_bytes())) <= 12
