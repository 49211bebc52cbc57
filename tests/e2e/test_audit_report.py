"""The report of an audit as a file: whole, bounded, the same again, and safe with any name."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image

from pipelines.audit.findings import open_audit
from pipelines.audit.statistics import statistics
from pipelines.report.audit import gallery as pictures
from pipelines.report.audit import page as report_module
from pipelines.report.page import write_page
from tests.e2e.conftest import EVIL


class Page(HTMLParser):
    """What is asked of a page: its tags with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str, css_class: str = "") -> list[dict[str, str]]:
        return [
            found
            for name, found in self.tags
            if name == tag and (not css_class or css_class in found.get("class", "").split())
        ]


@pytest.fixture(scope="module")
def html(gallery) -> str:
    return gallery.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_loads_nothing(page, html):
    links = [
        v for _, found in page.tags for name, v in found.items() if name in ("src", "href", "xlink:href")
    ]
    assert links
    assert all(link.startswith(("data:image/webp;base64,", "#")) for link in links)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_only_our_script_may_run(page, html):
    [policy] = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    script = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_names_are_text(page, html):
    assert EVIL not in html
    assert f"train/{EVIL}/0.png" in page.text
    assert {card["data-class"] for card in page.all("article")} == {"rose", "daisy", EVIL}
    assert not [found for _, found in page.tags if "onerror" in found]


def test_the_verdict_stands_on_top_with_what_was_found(page):
    assert "✗ 1 finding by kind leak 1" in page.text
    assert (
        "the same image is in split train and, as validation/rose/leaked.png, in split validation"
        in page.text
    )


def test_each_source_stands_beside_its_copies_and_those_with_findings_first(page):
    cards, tiles = page.all("article"), page.all("button", "tile")
    assert len(cards) == 15  # all of train, and the leaked one of validation
    assert [card["data-kinds"] for card in cards[:3]] == ["leak", "leak", ""]
    assert [card["data-kinds"] for card in cards].count("twice") == 2
    assert len(page.all("button", "source")) == 15
    assert len(tiles) == 15 + 14 * 3 + 1
    [stored] = [tile for tile in tiles if tile["data-place"].startswith("tiny_png-validation")]
    assert stored["data-drawn"] == "||||"
    flipped = [t for t in tiles if "flip" in t["data-ops"].split()]
    assert all(t["data-drawn"].split("|")[0] == "yes" for t in flipped)
    assert all(("mirrored" in t["data-words"]) == (t in flipped) for t in tiles)


def test_what_the_recipe_cannot_draw_is_named_once_and_has_no_row(page, html):
    assert "leaves them at one value: flip.vertical." in page.text
    assert html.count("flip.vertical") == 1


def test_pictures_are_those_of_the_records(page, gallery):
    pixels = {}
    for name in sorted(gallery.output.glob("*.tfrecord-*")):
        for number, record in enumerate(tf.data.TFRecordDataset(str(name)).as_numpy_iterator()):
            image = tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0]
            pixels[f"{name.name} record {number}"] = Image.open(io.BytesIO(image)).tobytes()
    shown = {}
    place = ""
    for tag, found in page.tags:
        if tag == "button" and "data-place" in found:
            place = found["data-place"]
        elif tag == "img" and place in pixels:
            data = base64.b64decode(found["src"].partition(",")[2])
            shown[place] = Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    assert len(shown) == 43
    assert shown == {place: pixels[place] for place in shown}  # small images are kept without loss


def test_figures_say_in_words_what_they_show(page):
    said = [found["aria-label"] for found in page.all("svg")]
    assert any(words.startswith("Histogram of brightness.delta: 42 draws from -0.") for words in said)
    assert any(words.startswith("Histogram of gray levels") for words in said)
    assert len(said) == len(set(said)) == len(page.all("figure"))


def test_rejects_recipe_and_commands_are_there(page):
    assert "train/daisy/broken.png not_an_image" in page.text
    assert "- flip: id: flip" in page.text
    assert (
        "augshard materialize --input DIR --output OUT --recipe tiny_png.yaml --seed 0 --copies 3"
        in page.text
    )


def reported(output: Path, root: Path | None) -> str:
    """The report of a dataset of which nothing but the statistics were looked at."""
    audit = open_audit(str(output), str(root) if root else None)
    audit.statistics = statistics(audit, audit.manifest)
    return report_module.page(audit)


def test_equal_datasets_give_equal_pages_without_paths_of_the_machine(gallery, tmp_path, html):
    shutil.copytree(gallery.output, tmp_path / "moved")
    shutil.copytree(gallery.root, tmp_path / "photos")
    assert reported(tmp_path / "moved", tmp_path / "photos") == reported(gallery.output, gallery.root)
    assert str(gallery.root) not in html
    assert str(gallery.output) not in html


def test_without_the_sources_there_are_copies_alone(gallery):
    page = Page(reported(gallery.output, None))
    assert not page.all("button", "source")
    assert len(page.all("button", "tile")) == 43
    assert "Copies, without their sources" in page.text


def test_a_source_that_is_another_by_now_is_not_shown_as_the_source(gallery, tmp_path):
    shutil.copytree(gallery.root, tmp_path / "photos")
    shutil.copy(tmp_path / "photos/train/rose/1.png", tmp_path / "photos/train/rose/2.png")
    (tmp_path / "photos/train/rose/3.png").unlink()
    page = Page(reported(gallery.output, tmp_path / "photos"))
    assert len(page.all("button", "source")) == 13


def test_records_that_cannot_be_read_are_said_to_be_unreadable(gallery, tmp_path):
    shutil.copytree(gallery.output, tmp_path / "out")
    [shard] = (tmp_path / "out").glob("*train_c2.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:2000])
    assert "unreadable" in Page(reported(tmp_path / "out", None)).text


def test_a_page_of_a_damaged_manifest_has_its_findings(gallery, tmp_path):
    shutil.copytree(gallery.output, tmp_path / "out")
    (tmp_path / "out/manifest.json").write_text("{}")
    audit = open_audit(str(tmp_path / "out"), None)
    page = Page(report_module.page(audit))
    assert "damaged dataset" in page.text
    assert "1 finding" in page.text
    assert not page.all("article")


def test_size_and_number_of_pictures_are_bounded(gallery, monkeypatch):
    monkeypatch.setattr(pictures, "PICTURES", 24)
    monkeypatch.setattr(pictures, "IMAGE_BYTES", 6000)
    page = Page(reported(gallery.output, gallery.root))
    images = [base64.b64decode(image["src"].partition(",")[2]) for image in page.all("img")]
    assert len(page.all("article")) == 6 + 4  # two of each class, and those that are there twice
    assert len(images) <= 24 + 4 * 4
    assert sum(map(len, images)) <= 6000


def test_of_very_many_classes_the_largest_are_listed(gallery, monkeypatch):
    monkeypatch.setattr(report_module, "CLASSES", 2)
    text = Page(reported(gallery.output, None)).text
    assert "from 13 to 17, with a median of 17. The largest 2 of 3 classes are listed." in text


def test_a_name_that_is_no_unicode_can_be_written(tmp_path):
    write_page(str(tmp_path / "page.html"), "a\ud800b")
    assert (tmp_path / "page.html").read_text() == "a\\ud800b"


def test_with_more_classes_than_room_each_still_has_a_picture(gallery, monkeypatch):
    monkeypatch.setattr(pictures, "PICTURES", 4)
    page = Page(reported(gallery.output, None))
    assert {card["data-class"] for card in page.all("article")} == {"rose", "daisy", EVIL}
    assert (
        max(
            int(t["data-place"].partition("_c")[2][0])
            for t in page.all("button")
            if "_c" in t.get("data-place", "")
        )
        == 1
    )
