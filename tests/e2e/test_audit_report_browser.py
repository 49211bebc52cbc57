"""The report in a browser: its filters, its pictures' details, its widths, and names that would be code."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.e2e.conftest import BROWSER, EVIL

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium in PATH")

# Each frame shows the report with a fragment of its own, at a width of its own; what its `do` returns is
# what came of it. The report's policy lets no other script in, so they run from outside.
HARNESS = """<!doctype html><meta charset="utf-8"><body><script>
const frames = %s;
const visible = (all) => [...all].filter((one) => one.checkVisibility());
const state = (page) => ({
  title: page.title,
  sources: visible(page.querySelectorAll(".card h3")).map((heading) => heading.firstChild.textContent.trim()),
  tiles: visible(page.querySelectorAll(".tile")).map((tile) => tile.textContent.trim().split("\\n")),
  matches: page.getElementById("matches").textContent,
  overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
  inspector: visible([page.getElementById("inspector")]).map((inspector) => inspector.innerText).join(),
  hash: page.location.hash,
});
const results = {};
for (const { name, url, width, act } of frames) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px`;
  frame.src = url;
  frame.onload = () => setTimeout(() => {
    new Function("page", act)(frame.contentDocument);
    setTimeout(() => {
      results[name] = state(frame.contentDocument);
      if (Object.keys(results).length === frames.length) document.title = JSON.stringify(results);
    }, 300);
  }, 300);
  document.body.append(frame);
}
</script>"""


FRAMES: dict[str, tuple[str, int, str]] = {
    "desktop": ("", 1280, ""),
    "phone": ("", 375, ""),
    "daisies": ("#class=daisy", 1280, ""),
    "some of the name": ("#class=ROS", 1280, ""),
    "evil": (f"#class={quote(EVIL)}", 1280, ""),
    "flips": ("#op=flip", 1280, ""),
    "leaks": ("#finding=leak", 1280, ""),
    "nothing": ("#class=daisy&finding=leak", 1280, ""),
    "chosen by hand": (
        "#op=rotation",
        1280,
        "const field = page.querySelector('[name=class]'); field.value = 'rose';"
        "field.dispatchEvent(new Event('input', {bubbles: true}));",
    ),
    "tapped": ("#class=rose", 375, "page.querySelector('.tile:not(.source)').click();"),
    "focused": ("#class=rose", 1280, "page.querySelectorAll('.tile:not(.source)')[1].focus();"),
    "left": (
        "#class=rose",
        1280,
        "page.querySelector('.tile').click();"
        "page.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));",
    ),
    "picked": ("", 1280, "page.querySelector('a.pick[href*=rose]').click();"),
}


@pytest.fixture(scope="module")
def seen(gallery, browse, tmp_path_factory) -> dict[str, dict[str, Any]]:
    """What each of the frames shows in the end."""
    frames = [
        {"name": name, "url": gallery.report.as_uri() + fragment, "width": width, "act": act}
        for name, (fragment, width, act) in FRAMES.items()
    ]
    harness = tmp_path_factory.mktemp("harness") / "harness.html"
    harness.write_text(HARNESS % json.dumps(frames), encoding="utf-8")
    dom = browse(harness.as_uri(), "--dump-dom")
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found, dom[-2000:]
    return json.loads(html.unescape(found[1]))


def test_all_is_shown_at_first_and_nothing_is_wider_than_the_screen(seen):
    for name in ("desktop", "phone"):
        assert seen[name]["matches"] == "15 sources"
        assert len(seen[name]["sources"]) == 15
        assert seen[name]["overflow"] == 0


def test_a_class_is_chosen_by_the_address(seen):
    assert {source.split("/")[1] for source in seen["daisies"]["sources"]} == {"daisy"}
    assert seen["daisies"]["matches"] == "5 of 15 sources"
    assert {source.split("/")[1] for source in seen["some of the name"]["sources"]} == {"rose"}


def test_a_class_whose_name_would_be_code_is_text(seen):
    assert sorted(seen["evil"]["sources"]) == [f"train/{EVIL}/{i}.png" for i in range(4)]
    assert seen["evil"]["title"] == "tiny_png: audit"


def test_an_op_leaves_the_copies_that_it_changed_and_says_how(seen):
    tiles = seen["flips"]["tiles"]
    copies = [tile for tile in tiles if tile[0].startswith("copy")]
    assert 0 < len(copies) < 42
    assert all("horizontal yes" in tile for tile in copies)
    assert all(tile == ["source"] for tile in tiles if tile not in copies)


def test_a_finding_leaves_what_it_is_about(seen):
    assert seen["leaks"]["sources"] == ["train/rose/0.png", "validation/rose/leaked.png"]
    assert seen["nothing"]["sources"] == []
    assert seen["nothing"]["matches"] == "0 of 15 sources"


def test_what_is_chosen_by_hand_stands_in_the_address(seen):
    assert seen["chosen by hand"]["hash"] == "#class=rose&op=rotation"
    assert {source.split("/")[1] for source in seen["chosen by hand"]["sources"]} == {"rose"}
    assert seen["picked"]["hash"] == "#class=rose"
    assert seen["picked"]["sources"] == seen["tapped"]["sources"]


def test_a_picture_tells_what_was_drawn_for_it_when_tapped_or_focused(seen):
    assert "train/rose/0.png, copy 0" in seen["tapped"]["inspector"]
    assert "brightness.delta" in seen["tapped"]["inspector"]
    assert "train_c0" in seen["tapped"]["inspector"]
    assert "train/rose/0.png, copy 1" in seen["focused"]["inspector"]
    assert seen["left"]["inspector"] == ""


def test_code_that_got_into_the_page_would_not_run(gallery, browse, tmp_path):
    attacked = tmp_path / "attacked.html"
    attack = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    attacked.write_text(gallery.report.read_text(encoding="utf-8").replace("<main>", f"<main>{attack}"))
    dom = browse(attacked.as_uri(), "--dump-dom")
    assert "<title>tiny_png: audit</title>" in dom
    assert '<article class="card" data-class="daisy"' in dom


@pytest.mark.parametrize(("scheme", "setting", "darkest"), [("light", 1, 200), ("dark", 0, 0)])
def test_light_and_dark_follow_the_system(scheme, setting, darkest, gallery, browse, tmp_path):
    picture = tmp_path / "page.png"
    browse(
        gallery.report.as_uri(),
        f"--blink-settings=preferredColorScheme={setting}",
        "--window-size=1280,900",
        f"--screenshot={picture}",
    )
    with Image.open(picture) as image:
        paper = np.median(np.asarray(image.convert("L")))
    assert darkest <= paper < darkest + 56


def test_on_paper_there_is_no_control_and_nothing_is_left_out(gallery, browse, tmp_path):
    document = tmp_path / "page.pdf"
    browse(gallery.report.as_uri(), "--no-pdf-header-footer", f"--print-to-pdf={document}")
    assert document.read_bytes().startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", document.read_bytes())) <= 12
