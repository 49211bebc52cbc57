"""`augshard look` in a browser: the form, the addresses it makes, and the pictures that come."""

from __future__ import annotations

import html
import json
import re
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError

import pytest

from pipelines.format.manifest import read_manifest
from pipelines.look.found import read_found
from pipelines.look.server import Server
from pipelines.look.site import Site
from tests.e2e.conftest import BROWSER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium in PATH"),
]

# The pages refuse to be framed and let no other script in; so a server before theirs takes their policy
# away, and shows each in a frame of a width. What its `act` sets off may lead to another page.
HARNESS = """<!doctype html><meta charset="utf-8"><body><script>
const frames = %s;
const results = {};
const wait = (time) => new Promise((done) => setTimeout(done, time));
const visit = async ({ name, url, width, act }) => {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px`;
  frame.src = url;
  document.body.append(frame);
  await new Promise((done) => { frame.onload = done; });
  await wait(400);
  new Function("page", "frame", act)(frame.contentDocument, frame.contentWindow);
  await wait(1000);
  const page = frame.contentDocument;
  const pictures = [...page.querySelectorAll(".tiles img, .large img")];
  results[name] = {
    title: page.title,
    query: frame.contentWindow.location.search,
    matches: page.getElementById("matches")?.textContent.trim().replace(/\\s+/g, " "),
    wrong: page.getElementById("wrong")?.textContent,
    pictures: pictures.length,
    missing: pictures.filter((one) => one.loading !== "lazy" && !one.naturalWidth).length,
    strip: [...page.querySelectorAll(".strip b")].map((one) => one.textContent),
    chosen: page.querySelector("[name=class]")?.value,
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
  };
};
(async () => {
  for (const frame of frames) await visit(frame);  // one by one: frames have one history
  document.title = JSON.stringify(results);
})();
</script>"""

CHOOSE = (
    "const field = page.querySelector('[name=class]'); field.value = 'rose';"
    "field.dispatchEvent(new Event('change', {bubbles: true}));"
)
FRAMES: dict[str, tuple[str, int, str]] = {
    "desktop": ("", 1280, ""),
    "phone": ("", 390, ""),
    "chosen by hand": ("", 1280, CHOOSE),
    "back again": ("?class=daisy", 1280, f"{CHOOSE}setTimeout(() => frame.history.back(), 400);"),
    "half of a range": (
        "",
        1280,
        "const field = page.querySelector('[name=from]'); field.value = '3';"
        "field.dispatchEvent(new Event('change', {bubbles: true}));",
    ),
    "a picture": ("?class=rose&copy=1", 390, "page.querySelector('a.tile').click();"),
    "wrong": ("?class=lily", 390, ""),
}


@pytest.fixture(scope="module")
def seen(gallery, browse) -> dict[str, dict[str, Any]]:
    """What each of the frames shows in the end."""
    directory = str(gallery.output)
    manifest = read_manifest(directory)
    found = read_found(str(gallery.json), directory, manifest)
    site = Site(directory, manifest, root=str(gallery.root), found=found)
    frames = [
        {"name": name, "url": f"look/{query}", "width": width, "act": act}
        for name, (query, width, act) in FRAMES.items()
    ]

    class Before(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                status, kind, body = 200, "text/html", (HARNESS % json.dumps(frames)).encode()
            else:
                try:
                    with urllib.request.urlopen(server.url + self.path.removeprefix("/look/")) as answer:
                        status, kind, body = 200, answer.headers["Content-Type"], answer.read()
                except HTTPError as error:
                    status, kind, body = error.code, error.headers["Content-Type"], error.read()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with Server(site) as server, ThreadingHTTPServer(("127.0.0.1", 0), Before) as before:
        threads = [threading.Thread(target=one.serve_forever) for one in (server, before)]
        for thread in threads:
            thread.start()
        dom = browse(f"http://127.0.0.1:{before.server_port}/", "--dump-dom")
        for one in (server, before):
            one.shutdown()
        for thread in threads:
            thread.join()
    shown = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert shown, dom[-2000:]
    return json.loads(html.unescape(shown[1]))


def test_samples_are_shown_and_nothing_is_wider_than_the_screen(seen):
    for name, one in seen.items():
        assert (name, one["overflow"], one["missing"]) == (name, 0, 0)
    assert seen["desktop"]["matches"] == "1 to 47 of 47 records"
    assert seen["desktop"]["pictures"] == 47


def test_what_is_chosen_by_hand_stands_in_the_address_and_can_be_gone_back_from(seen):
    assert seen["chosen by hand"]["query"] == "?class=rose"
    assert seen["chosen by hand"]["matches"] == "1 to 17 of 17, out of 47 records Show all"
    assert seen["back again"]["query"] == "?class=daisy"
    assert seen["back again"]["chosen"] == "daisy"
    assert seen["half of a range"]["query"] == ""


def test_a_picture_leads_to_its_copies_and_what_each_op_did(seen):
    one = seen["a picture"]
    assert re.fullmatch(r"train/rose/\d\.png, copy 1", one["title"])
    assert one["strip"] == [
        *("source", "1 resize", "2 flip", "3 rotation", "4 brightness", "5 saturation", "the record")
    ]
    assert one["pictures"] == 1 + 7 + 3


def test_a_filter_that_cannot_be_is_a_sentence(seen):
    assert seen["wrong"]["wrong"].startswith("class is 'lily'; there is ")


def test_the_page_as_it_is_sent_runs_its_own_script_alone(gallery, browse):
    directory = str(gallery.output)
    with Server(Site(directory, read_manifest(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        dom = browse(server.url, "--dump-dom")
        server.shutdown()
        thread.join()
    assert "<title>tiny_png</title>" in dom
    assert dom.count("<script") == 1
