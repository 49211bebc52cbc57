"""`augshard look`: whom it answers, and with what."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote

import pytest

from pipelines.format.manifest import read_manifest
from pipelines.look.found import read_found
from pipelines.look.server import Server
from pipelines.look.site import Site
from tests.e2e.conftest import EVIL


def serving(site: Site) -> Iterator[Server]:
    with Server(site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(gallery) -> Iterator[Server]:
    """Shows the gallery with the findings of its audit, and its input."""
    directory = str(gallery.output)
    manifest = read_manifest(directory)
    found = read_found(str(gallery.json), directory, manifest)
    yield from serving(Site(directory, manifest, root=str(gallery.root), found=found))


def get(url: str, **headers: str) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def links(page: bytes, what: str) -> list[str]:
    return [unescape(link) for link in re.findall(rf'"({what}\?[^"]*)"', page.decode())]


def test_a_page_shows_samples_whose_pictures_are_there(server):
    status, _, page = get(server.url + "?class=rose&copy=1")
    pictures = links(page, "picture")
    assert (status, len(pictures)) == (200, 5)
    for link in pictures:
        status, kind, body = get(server.url + link)
        assert (status, kind, body[8:12]) == (200, "image/webp", b"WEBP")


def test_a_sample_is_shown_with_all_its_copies_and_op_after_op(server):
    _, _, listing = get(server.url + "?source=train/rose/0.png&copy=1")
    [link] = links(listing, "sample")
    status, _, page = get(server.url + link)
    assert status == 200
    assert len(links(page, "sample")) == 3
    assert b"brightness.delta" in page
    assert b"leak: " in page
    [strip] = set(links(page, "strip"))
    status, _, part = get(server.url + strip)
    assert status == 200
    assert re.findall("<b>(.*?)</b>", part.decode()) == [
        *("source", "1 resize", "2 flip", "3 rotation", "4 brightness", "5 saturation", "the record")
    ]
    assert b"yes: the record has the same pixels" in part


def test_a_name_that_would_be_code_is_text_everywhere(server):
    _, _, listing = get(server.url + f"?class={quote(EVIL)}&copy=0")
    [link, *_] = links(listing, "sample")
    for page in (listing, *(get(server.url + other)[2] for other in (link, "?class=<img+src=x>"))):
        assert b"<img src=x" not in page
        assert b"&lt;img src=x" in page


def test_only_who_knows_the_address_is_answered(server):
    base = server.url.replace(server.token + "/", "")
    for path in (
        "",
        "style.css",
        "x" * len(server.token) + "/",
        server.token[:-1] + "/",
        server.token + "x/",
    ):
        status, kind, body = get(base + path)
        assert status == 404
        assert kind.startswith("text/plain")
        assert server.token.encode() not in body
    assert server.server_address[0] == "127.0.0.1"


def test_another_host_is_refused_though_it_knows_the_address(server):
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1:1", ""):
        assert get(server.url, Host=host)[0] == 403
    assert get(server.url, Host=f"localhost:{server.server_port}")[0] == 200


def test_there_is_only_get(server):
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        connection = http.client.HTTPConnection(*server.server_address)
        connection.request(method, f"/{server.token}/")
        assert connection.getresponse().status == 405
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "../manifest.json",
        "%2e%2e/manifest.json",
        "manifest.json",
        "samples/",
        "style.css/../../../etc/passwd",
        "picture?split=../train&copy=0&shard=0&record=0",
        "picture?split=train&copy=9&shard=0&record=0",
        "picture?split=train&copy=0&shard=77&record=0",
        "picture?split=train&copy=0&shard=0&record=999999",
        "sample?source=train/rose/none.png&copy=0",
        "sample?source=train/rose/0.png&copy=17",
    ],
)
def test_what_is_not_there_is_not_found(path, server):
    connection = http.client.HTTPConnection(*server.server_address)  # which leaves a path as it is
    connection.request("GET", f"/{server.token}/{path}")
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?class=lily", "class is 'lily'; there is "),
        ("?page=two", "page is 'two'; it must be a whole number"),
        ("?parameter=rotation.degrees&from=x", "from is 'x'; it must be a number"),
        ("?" + "&".join(f"a{i}=1" for i in range(30)), "Max number of fields exceeded"),
        ("sample?source=../../etc/passwd&copy=0", "source is '../../etc/passwd'; it must be a path below"),
        ("picture?split=train&copy=0&shard=x&record=0", "shard is 'x'; it must be a whole number"),
        ("strip?source=train/rose/0.png&copy=9", "--copy is 9; of train/rose/0.png there are these"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(query, sentence, server):
    status, kind, page = get(server.url + query)
    assert (status, kind) == (400, "text/html; charset=utf-8")
    assert sentence in unescape(page.decode())


def test_a_link_that_leads_out_of_the_dataset_is_not_followed(gallery, tmp_path):
    shutil.copytree(gallery.output, tmp_path / "out")
    shard = next((tmp_path / "out").glob("*-train_c0.tfrecord-*"))
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    directory = str(tmp_path / "out")
    for server in serving(Site(directory, read_manifest(directory))):
        _, _, page = get(server.url + "?copy=0&class=rose")
        [picture, *_] = links(page, "picture")
        status, kind, body = get(server.url + picture)
        assert (status, kind) == (404, "image/svg+xml")
        assert b"unreadable" in body


def test_a_wrong_request_is_a_sentence(run_command, gallery, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_command("look", gallery.output, "--port", port)
    assert ended.status == 2
    assert ended.err.startswith(f"augshard: --port {port}: 127.0.0.1 cannot be listened on there (")
    other = tmp_path / "audit.json"
    other.write_text('{"fingerprint": null, "findings": []}')
    for options, sentence in {
        (tmp_path,): f"{tmp_path}: it holds no manifest.json, so it is no finished dataset",
        (gallery.output, "--port", 70000): "--port is 70000; it must be from 0",
        (gallery.output, "--input", tmp_path / "gone"): f"input {tmp_path}/gone: there is no such directory",
        (gallery.output, "--findings", tmp_path / "none"): "cannot be read (there is no such file)",
        (gallery.output, "--findings", gallery.report): "augshard audit --json did not write it so",
        (gallery.output, "--findings", other): f"--findings {other}: it is of another dataset",
    }.items():
        ended = run_command("look", *options, "--no-browser")
        assert (ended.status, ended.out) == (2, "")
        assert sentence in ended.err


def test_ctrl_c_ends_it_without_a_traceback(gallery, start_command):
    process = start_command("look", gallery.output, "--no-browser")
    line = process.stdout.readline()
    url = line.removeprefix("look at  ").strip()
    assert get(url)[0] == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "augshard: stopped\n")
