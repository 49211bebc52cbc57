"""Listing: every file is a source, or on record as a reject, or ignored by a stated rule."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from augment.targets import Annotation
from pipelines.sources import (
    Folder,
    Guess,
    Ignored,
    Listing,
    Reject,
    Source,
    list_folder,
    source_path,
    top_folders,
)


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def folders_in(root: Path, layout: str = "auto") -> list[Folder]:
    return [found for found in top_folders(str(root), layout) if isinstance(found, Folder)]


def found_in(root: Path, layout: str = "auto") -> list:
    """All that both steps of the listing find, without the folders."""
    found = []
    for top in top_folders(str(root), layout):
        found.extend(list_folder(str(root), top) if isinstance(top, Folder) else [top])
    return sorted(one for one in found if not isinstance(one, Guess))


def ids(root: Path, layout: str = "auto") -> list[str]:
    return [source.id for source in found_in(root, layout) if isinstance(source, Source)]


def rejects(root: Path) -> list[Reject]:
    return [found for found in found_in(root) if isinstance(found, Reject)]


def test_top_folders_are_classes_of_the_split_train(tmp_path):
    put(tmp_path, "rose/1.png", "daisy/deep/er/2.jpg")
    assert folders_in(tmp_path) == [Folder("daisy", "train", "daisy"), Folder("rose", "train", "rose")]
    assert found_in(tmp_path) == [
        Source("daisy/deep/er/2.jpg", "train", "daisy", len("daisy/deep/er/2.jpg")),
        Source("rose/1.png", "train", "rose", len("rose/1.png")),
    ]


def test_top_folders_are_splits_if_all_of_them_have_names_of_splits(tmp_path):
    put(tmp_path, "train/a/1.png", "valid/a/2.png", "valid/b/3.png")
    assert folders_in(tmp_path) == [
        Folder("train/a", "train", "a"),
        Folder("valid/a", "valid", "a"),
        Folder("valid/b", "valid", "b"),
    ]


def test_the_layout_can_be_stated(tmp_path):
    put(tmp_path, "train/a/1.png", "test/a/2.png")
    assert [folder.label for folder in folders_in(tmp_path, "classes")] == ["test", "train"]
    put(tmp_path, "fold_1/a/3.png")
    assert [folder.id for folder in folders_in(tmp_path, "splits")] == ["fold_1/a", "test/a", "train/a"]


@pytest.mark.parametrize(
    "extension", ["jpg", "JPG", "Jpeg", "jpe", "jfif", "PNG", "gif", "bmp", "WebP", "tif", "TIFF"]
)
def test_an_extension_in_any_case_makes_an_image(tmp_path, extension):
    put(tmp_path, f"a/1.{extension}")
    assert ids(tmp_path) == [f"a/1.{extension}"]


def test_other_extensions_and_hidden_files_are_counted(tmp_path):
    put(tmp_path, "a/1.png", "a/1.TXT", "a/2.txt", "a/README", "a/x.png.bak", "notes.csv")
    put(tmp_path, "a/.DS_Store", ".git/config", ".git/objects/1.png", "a/.cache/1.png", ".hidden.png")
    listing = Listing()
    for found in found_in(tmp_path):
        listing.add(found)
    ignored = {".txt": 2, "(none)": 1, ".bak": 1, ".csv": 1, "(hidden)": 4, ".DS_Store": 1}
    assert listing.passed_over() == ignored
    assert listing.rejects == 0
    assert ids(tmp_path) == ["a/1.png"]


def test_images_in_no_class_folder_are_rejected(tmp_path):
    put(tmp_path, "train/a/1.png", "train/loose.png", "stray.jpg")
    assert rejects(tmp_path) == [
        Reject("stray.jpg", "no_class", "it lies in no class folder"),
        Reject("train/loose.png", "no_class", "it lies in no class folder"),
    ]


def test_links_are_followed_to_files_and_to_folders(tmp_path):
    put(tmp_path, "elsewhere/real/1.png")
    root = tmp_path / "root"
    put(root, "a/2.png")
    (root / "a" / "link.png").symlink_to(tmp_path / "elsewhere/real/1.png")
    (root / "a" / "folder").symlink_to(tmp_path / "elsewhere/real")
    (root / "class").symlink_to(tmp_path / "elsewhere")
    assert ids(root) == ["a/2.png", "a/folder/1.png", "a/link.png", "class/real/1.png"]


@pytest.mark.parametrize("place", ["", "a/"])
def test_a_broken_link_is_rejected(tmp_path, place):
    put(tmp_path, "a/1.png")
    (tmp_path / f"{place}gone.png").symlink_to("nowhere")
    assert rejects(tmp_path) == [Reject(f"{place}gone.png", "broken_link", "it points to nothing")]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("a/b/up", ".."),
        ("a/self", "."),
        ("a/root", "../"),
        ("a/itself", "itself"),
        ("loop", "."),
    ],
)
def test_a_circular_link_is_rejected_and_followed_no_further(tmp_path, link, target):
    put(tmp_path, "a/1.png", "a/b/2.png")
    (tmp_path / link).symlink_to(target)
    assert rejects(tmp_path) == [Reject(link, "circular_link", "it leads back to a folder that contains it")]
    assert ids(tmp_path) == ["a/1.png", "a/b/2.png"]


@pytest.mark.parametrize("target", [".", ".."])
def test_a_class_folder_that_is_a_circle_is_rejected_in_a_split_too(tmp_path, target):
    put(tmp_path, "train/a/1.png")
    (tmp_path / "train/loop").symlink_to(target)
    assert [reject[:2] for reject in rejects(tmp_path)] == [("train/loop", "circular_link")]
    assert ids(tmp_path) == ["train/a/1.png"]


def test_a_pipe_and_a_socket_are_rejected(tmp_path):
    put(tmp_path, "a/1.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    short = tempfile.mkdtemp()  # a socket's path is limited to some 100 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{short}/s.png")
            shutil.move(f"{short}/s.png", tmp_path / "a" / "socket.png")
    finally:
        shutil.rmtree(short)
    assert rejects(tmp_path) == [
        Reject("a/pipe.png", "not_a_file", "it is a pipe, a socket or a device"),
        Reject("a/socket.png", "not_a_file", "it is a pipe, a socket or a device"),
    ]


@pytest.mark.parametrize("name", ["a", "a/deep", "train"])
def test_a_folder_that_cannot_be_listed_is_rejected(tmp_path, monkeypatch, name):
    put(tmp_path, "a/deep/1.png", "b/2.png")
    if name == "train":
        shutil.move(tmp_path, tmp_path.with_name("moved"))
        put(tmp_path, "train/a/1.png", "test/b/2.png")
    scandir = os.scandir

    def refusing(path):  # not by its mode: root may list every folder
        if os.fsdecode(path) == str(tmp_path / name):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert rejects(tmp_path) == [Reject(name, "unreadable_folder", "permission denied")]
    assert len(ids(tmp_path)) == 1


def test_a_file_that_cannot_be_looked_at_is_rejected(tmp_path):
    put(tmp_path, "a/1.png")
    (tmp_path / "a" / "long.png").symlink_to("x" * 300)
    assert rejects(tmp_path) == [Reject("a/long.png", "unreadable", "file name too long")]


def test_a_name_that_is_not_utf8_is_rejected_percent_encoded(tmp_path):
    put(tmp_path, "a/1.png")
    root = os.fsencode(tmp_path)
    with open(root + b"/a/caf\xe9 1.png", "wb"):
        pass
    os.mkdir(root + b"/\xff")
    with open(root + b"/\xff/2.png", "wb"):
        pass
    assert rejects(tmp_path) == [
        Reject("%FF", "bad_name", "its name is not UTF-8"),
        Reject("a/caf%E9%201.png", "bad_name", "its name is not UTF-8"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "it's",
        'say "x"',
        "line\nbreak",
        "tab\t",
        "日本語",
        "e\u0301",
        "é",
        "*?[1]",
        "%41",
        "\\",
        "-x",
        "#",
    ],
)
def test_any_utf8_name_is_a_source_under_just_that_name(tmp_path, name):
    root = tmp_path / "lst[1]"
    put(root, f"a/{name}/{name}.png")
    [source] = found_in(root)
    assert source.id == f"a/{name}/{name}.png"
    assert Path(source_path(str(root), source.id)).read_bytes() == source.id.encode()


NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8
)
KINDS = ("file", "image", "hidden", "pipe", "broken", "not utf8")


@settings(max_examples=60)
@given(st.sets(st.tuples(st.sampled_from(KINDS), st.lists(NAMES, max_size=3).map(tuple), NAMES), max_size=12))
def test_c6_every_file_is_found_once(wanted):
    with tempfile.TemporaryDirectory() as root:
        made = sum(_make(os.fsencode(root), *entry) for entry in wanted)
        refused = any(isinstance(top, Guess) and top.refused for top in top_folders(root, "auto"))
        found = found_in(Path(root), "splits" if refused else "auto")  # then the user has to say which
        assert len(found) == made
        assert all(isinstance(one, Source | Reject | Ignored) for one in found)
        for one in found:
            if isinstance(one, Source):
                assert os.path.getsize(source_path(root, one.id)) == one.size


def _make(root: bytes, kind: str, above: tuple[str, ...], name: str) -> bool:
    """Makes an entry; False if its name cannot be had."""
    encoded = {"hidden": b".", "not utf8": b"\xff"}.get(kind, b"") + name.encode()
    encoded += b".png" if kind in ("image", "pipe", "broken", "not utf8") else b""
    path = b"/".join([root, *(folder.encode() for folder in above), encoded])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            return False
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "broken":
            os.symlink(b"\x01 not there", path)
        else:
            with open(path, "wb") as file:
                file.write(name.encode())
    except OSError:
        return False
    return True


FOUND = st.one_of(
    st.builds(
        Source,
        NAMES,
        st.sampled_from(["train", "test"]),
        st.sampled_from("ab"),
        st.integers(0, 2**40),
        annotation=st.sampled_from([b"", *(Annotation(mask=name).packed() for name in "ab")]),
        place=st.sampled_from(["", "a.tar//512+9"]),
    ),
    st.builds(Reject, NAMES, NAMES, NAMES),
    st.builds(Ignored, st.sampled_from([".txt", ".csv"])),
    st.builds(Folder, NAMES, st.sampled_from(["train", "test"]), st.sampled_from("abc")),
)


_TWICE = [
    Source("0", "train", "b", 16, Annotation(mask="a").packed(), place) for place in ("", "a.tar//512+9")
] * 2
"""An image of which nothing differs but where it lies: the same digest, and two samples."""


@example(_TWICE, Random(0), 1)
@example(_TWICE, Random(1), 2)
@given(st.lists(FOUND), st.randoms(use_true_random=False), st.integers(1, 4))
def test_c4_a_listing_is_the_same_in_whatever_order_and_parts_it_is_added_up(found, random, parts):
    whole = Listing()
    for one in found:
        whole.add(one)
    random.shuffle(found)
    shares = [Listing() for _ in range(parts)]
    for one in found:
        random.choice(shares).add(one)
    total = Listing()
    for share in shares:
        total.merge(share)
    assert total == whole
    assert total.hexdigest() == whole.hexdigest()
    assert len(total.hexdigest()) == 64


def test_the_digest_of_a_listing_knows_ids_sizes_and_how_often():
    one, two = Source("a/1.png", "train", "a", 7), Source("a/2.png", "train", "a", 7)
    digests = {
        Listing().hexdigest(),
        Listing().add(one).hexdigest(),
        Listing().add(two).hexdigest(),
        Listing().add(one).add(one).hexdigest(),
        Listing().add(one._replace(size=8)).hexdigest(),
    }
    assert len(digests) == 5
    assert Listing().add(one._replace(split="test")).hexdigest() == Listing().add(one).hexdigest()
