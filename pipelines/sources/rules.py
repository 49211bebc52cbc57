"""What a folder or a file is, by its name alone."""

from __future__ import annotations

import os
import re

from augment.codec.formats import EXTENSIONS

HIDDEN = "(hidden)"
"""The kind of what begins with a dot, and of what lies in such a folder."""

HEIF = frozenset((".heic", ".heif", ".hif"))
"""Extensions of images that take the extra heic."""

PICTURES = frozenset(
    [
        ".svg",
        ".svgz",
        ".psd",
        ".psb",
        ".xcf",
        ".ai",
        ".eps",
        ".pdf",
        ".ico",
        ".icns",
        ".cur",
        ".jxl",
        ".tga",
        ".pcx",
        ".sgi",
        ".exr",
        ".hdr",
        ".pfm",
        ".pam",
        ".dds",
        ".dcm",
        ".dng",
        ".cr2",
        ".cr3",
        ".crw",
        ".nef",
        ".nrw",
        ".arw",
        ".srf",
        ".sr2",
        ".orf",
        ".rw2",
        ".raf",
        ".pef",
        ".raw",
        ".3fr",
        ".iiq",
        ".x3f",
        ".wmf",
        ".emf",
        ".qoi",
    ]
)
"""Extensions of pictures that are not read; whoever has some is told."""

PACKED = frozenset((".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar"))
"""Extensions of what is compressed, of which no part can be read by itself."""

_FOLDERS = (
    "__MACOSX",
    "$RECYCLE.BIN",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    "@eaDir",
    "@tmp",
    "@__thumb",
    "lost+found",
    "RECYCLER",
    "System Volume Information",
    "TheVolumeSettingsFolder",
    "Network Trash Folder",
    "__pycache__",
    ".ipynb_checkpoints",
    ".Spotlight-V100",
    ".Trashes",
    ".fseventsd",
    ".thumbnails",
    ".AppleDouble",
)
_FILES = (
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "Icon\r",
    ".DS_Store",
    ".directory",
    ".picasa.ini",
    "Picasa.ini",
)
_DROPPED = {
    folder: {name.casefold(): name for name in names} for folder, names in ((True, _FOLDERS), (False, _FILES))
}


def dropping(name: str, *, folder: bool) -> str | None:
    """As what a file, or what a folder holds, is passed over, whatever its extension; None if it is not.

    Systems, their file managers and archives leave these behind.
    """
    known = _DROPPED[folder].get(name.casefold())
    if known:
        return known
    if folder and re.fullmatch(r"\.Trash-\d+", name):
        return ".Trash-*"
    if folder and re.fullmatch(r"found\.\d{3}", name, re.IGNORECASE):
        return "found.000"
    if not folder and name.startswith("._"):
        return "._*"
    return HIDDEN if name.startswith(".") else None


def dropped_as(path: str) -> str | None:
    """As what a file is passed over by its name or that of a folder it lies in; None if it is not."""
    *folders, last = path.split("/")
    kinds = [dropping(part, folder=True) for part in folders] + [dropping(last, folder=False)]
    return next(filter(None, kinds), None)


def extension(name: str) -> str:
    """Of a file, in lower case and with its dot; empty if it has none."""
    return os.path.splitext(name.rpartition("/")[2])[1].lower()


def is_image(name: str) -> bool:
    """Whether a file is taken for an image, by its extension."""
    return extension(name) in EXTENSIONS


_ROLES = {
    "train": "training|train|trn",
    "validation": "validation|validate|valid|val|dev|evaluation|eval",
    "test": "testing|tests|test|tst|holdout",
}
_ROLE = re.compile(
    "(?:"
    + "|".join(f"(?P<{role}>{words})" for role, words in _ROLES.items())
    + ")(?:sets?|splits?|data|images|imgs)?"
)
_BESIDE = re.compile(
    "(?:the|my|set|sets|split|splits|data|dataset|images?|imgs?|pictures?|photos?|folder|dir|seg)"
)


def role(folder: str) -> str | None:
    """What a folder's name makes it as a split: train, validation or test; None for any other name.

    `Train`, `train_set`, `TestSet`, `images-val`, `train2017` are such names; `test_tube` is not.
    """
    if not re.fullmatch(r"[A-Za-z0-9 _.-]+", folder):
        return None
    words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", "_", folder).lower())
    found = {match.lastgroup for word in words if (match := _ROLE.fullmatch(word))}
    others = [word for word in words if not _ROLE.fullmatch(word) and not _BESIDE.fullmatch(word)]
    return found.pop() if len(found) == 1 and not others else None
