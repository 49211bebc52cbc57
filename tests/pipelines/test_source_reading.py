"""Roots that can be listed, and sources that are read from them: whole, whatever they became since."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from augment.errors import RequestError
from pipelines.sources import check_root, read_source
from pipelines.sources.reading import rejected
from pipelines.storage import clients
from tests.pipelines.test_sources import put


def test_a_root_that_cannot_be_listed_is_a_clear_sentence(tmp_path):
    put(tmp_path, "file")
    cases = {
        str(tmp_path / "gone"): "there is no such directory",
        str(tmp_path / "file"): "it is a file; give the folder of the classes, or the one in which tars, "
        "TFRecord files or a dataset of TFDS lie",
    }
    for root, problem in cases.items():
        with pytest.raises(RequestError) as error:
            check_root(root)
        assert str(error.value) == f"input {root}: {problem}"
    assert check_root(os.path.relpath(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("hdfs://host/x", "it must be a local path, gs://BUCKET/PATH or s3://BUCKET/PATH"),
        ("s3:///x", "it names no bucket; it must be s3://BUCKET/PATH"),
    ],
)
def test_a_url_of_no_store_is_a_clear_sentence(url, problem):
    with pytest.raises(RequestError) as error:
        check_root(url)
    assert str(error.value) == f"{url}: {problem}"


@pytest.mark.parametrize(
    ("url", "module", "extra"), [("s3://b/x", "boto3", "aws"), ("gs://b/x", "google.auth", "gcp")]
)
def test_a_store_whose_extra_is_missing_names_it(url, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    clients.forget()
    with pytest.raises(RequestError, match=f"needs the extra {extra}, which is not installed: make install"):
        check_root(url)


def test_a_source_that_became_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(OSError, match="it is a pipe, a socket or a device"):
        read_source(str(tmp_path), "a.jpg")


def test_a_source_that_became_a_folder_is_told_as_one(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(IsADirectoryError):
        read_source(str(tmp_path), "a.jpg")


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="there is no file that says it is empty")
def test_a_source_is_read_whole_that_has_more_bytes_than_it_says():
    assert os.path.getsize("/proc/version") == 0
    assert read_source("/proc", "version") == Path("/proc/version").read_bytes()


def test_a_source_is_read_whole(tmp_path):
    (tmp_path / "car").mkdir()
    (tmp_path / "car" / "a.jpg").write_bytes(bytes(range(256)) * 100)
    assert read_source(str(tmp_path), "car/a.jpg") == bytes(range(256)) * 100


@pytest.mark.parametrize("locale", ["C", "ru_RU.KOI8-R", "de_DE.ISO-8859-1"])
def test_c1_ids_are_utf8_whatever_the_locale(tmp_path, locale):
    charset, places = locale.partition(".")[2], tmp_path / "locales"
    if charset:
        if not shutil.which("localedef"):
            pytest.skip("needs localedef")
        places.mkdir()
        language = locale.partition(".")[0]
        made = subprocess.run(
            ["localedef", "-i", language, "-f", charset, places / locale], capture_output=True, check=False
        )
        if not (places / locale).exists():
            pytest.skip(f"no {locale} can be made here: {made.stderr.decode(errors='replace')}")
    root = tmp_path / "in"
    put(root, "цветы/é😀.png", "日本/1.png")
    script = """
import sys
from pipelines.sources import Folder, list_folder, read_source, top_folders
root = sys.argv[1]
for top in top_folders(root, "auto"):
    for found in list_folder(root, top):
        print(ascii((top.label, found.id, read_source(root, found.id).decode())))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    environment |= {"LC_ALL": locale, "LOCPATH": str(places), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", script, root], env=environment, capture_output=True, text=True, check=True
    )
    expected = [("цветы", "цветы/é😀.png", "цветы/é😀.png"), ("日本", "日本/1.png", "日本/1.png")]
    assert sorted(ended.stdout.splitlines()) == sorted(map(ascii, expected))


def test_c8_no_more_of_a_file_is_read_than_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.sources.reading.MAX_BYTES", 1000)
    put(tmp_path, "a/1.png")
    (tmp_path / "a/1.png").write_bytes(bytes(1000))
    assert len(read_source(str(tmp_path), "a/1.png")) == 1000
    (tmp_path / "a/1.png").write_bytes(bytes(1001))
    with pytest.raises(OSError, match="1,001 bytes; at most 1,000 are read") as caught:
        read_source(str(tmp_path), "a/1.png")
    assert rejected("a/1.png", caught.value).reason == "too_large"
