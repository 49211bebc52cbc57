"""Which images are there, with their labels and splits.

The input is `DIR/<class>/**` or `DIR/<split>/<class>/**`. Every file under it is
a source, or on record as a reject, or ignored by one of two rules: its extension
is not an image's, or its name (or a folder's above it) begins with a dot.

Listing is two steps, so that a cluster can share the second: `top_folders` finds
the class folders, `list_folder` walks one of them as a stream.

An object store has no folders: an object's name below the root is its id, and the folders are what stands
before its slashes. So the same files have the same ids, on a disk and in a store.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple
from urllib.parse import quote_from_bytes

from augment.codec import EXTENSIONS
from augment.errors import RequestError
from pipelines import storage

Layout = Literal["auto", "classes", "splits"]

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval")
"""Top folders that are splits rather than classes, if all of them are."""

ONLY_SPLIT = "train"
"""The split of a dataset whose top folders are classes."""

ID_BYTES = 4096
"""The longest id of a source: as long as a path may be."""

HIDDEN = "(hidden)"
"""Under what ignored files are counted whose name begins with a dot."""


class Source(NamedTuple):
    """One input image."""

    id: str
    """its path relative to the input root, `/`-separated"""
    split: str
    label: str
    size: int
    """in bytes"""


class Reject(NamedTuple):
    """A file or folder that cannot be used."""

    source: str
    """its id; percent-encoded where the name is not UTF-8"""
    reason: str
    detail: str


class Ignored(NamedTuple):
    """A file that is no image by its name."""

    kind: str
    """its extension in lower case, or HIDDEN"""


class Folder(NamedTuple):
    """A class folder to be listed."""

    id: str
    split: str
    label: str


Found = Source | Reject | Ignored


@dataclasses.dataclass
class Listing:
    """What was found, in numbers; two of them add up in any order."""

    counts: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    """images by split and class, 0 for an empty class folder"""
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)
    rejects: int = 0
    digest: int = 0
    """the sum of the SHA-256 of every (id, size), modulo 2**256"""

    def add(self, found: Source | Folder | Reject | Ignored) -> Listing:
        if isinstance(found, Source):
            self._count(found.split, found.label, 1)
            text = f"{found.size} {found.id}"
            self.digest += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
            self.digest %= 1 << 256
        elif isinstance(found, Folder):
            self._count(found.split, found.label, 0)
        elif isinstance(found, Ignored):
            self.ignored[found.kind] = self.ignored.get(found.kind, 0) + 1
        else:
            self.rejects += 1
        return self

    def merge(self, other: Listing) -> Listing:
        for (split, label), count in other.counts.items():
            self._count(split, label, count)
        for kind, count in other.ignored.items():
            self.ignored[kind] = self.ignored.get(kind, 0) + count
        self.rejects += other.rejects
        self.digest = (self.digest + other.digest) % (1 << 256)
        return self

    def hexdigest(self) -> str:
        return f"{self.digest:064x}"

    def _count(self, split: str, label: str, images: int) -> None:
        self.counts[split, label] = self.counts.get((split, label), 0) + images


def check_root(root: str) -> str:
    """The input directory as an absolute path, or URL. Raises RequestError if it cannot be listed."""
    if not storage.at(root).is_file_system:
        root = storage.at(root).absolute()
        try:
            if not any(storage.at(root).list(deep=False)):
                raise RequestError(f"input {root}: there is nothing below it")
        except OSError as error:
            raise RequestError(f"input {root}: {storage.reason(error)}") from None
        return root
    if not os.path.exists(root):
        raise RequestError(f"input {root}: there is no such directory")
    if not os.path.isdir(root):
        raise RequestError(f"input {root}: it is not a directory; give the folder that holds the classes")
    if not os.access(root, os.R_OK | os.X_OK):
        raise RequestError(f"input {root}: it cannot be read (permission denied)")
    return os.path.abspath(root)


def source_path(root: str, source: str) -> str:
    """Where a source or folder lies. Raises ValueError for an id that leads out of the root, as none does."""
    if not storage.at(root).is_file_system:  # names there lead nowhere: they are keys
        return f"{root.rstrip('/')}/{source}"
    if not is_id(source):
        raise ValueError(f"{source!r} is no path below {root}")
    return os.path.join(root, *source.split("/"))


def is_id(source: str) -> bool:
    """Whether a text can be the id of a source: a relative path of at most ID_BYTES that goes down only."""
    try:
        long = len(source.encode()) > ID_BYTES
    except UnicodeEncodeError:
        return False
    return not long and "\0" not in source and not {"", ".", ".."} & set(source.split("/"))


def read_source(root: str, source: str) -> bytes:
    """A source's contents. Raises OSError; also, without waiting, for what is no file, such as a pipe."""
    if not storage.at(root).is_file_system:
        return storage.at(source_path(root, source)).read()
    with open(source_path(root, source), "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "It is no file, but a pipe, a socket or a device", source)
        return file.read()


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def top_folders(root: str, layout: Layout) -> Iterator[Folder | Reject | Ignored]:
    """The class folders of `root`, and what else lies beside them."""
    above = (_identity(root),) if storage.at(root).is_file_system else ()
    folders, rest = _folders(root, "", above)
    yield from rest
    named_as_splits = bool(folders) and all(folder in SPLIT_NAMES for folder in folders)
    if layout == "classes" or (layout == "auto" and not named_as_splits):
        yield from (Folder(id=label, split=ONLY_SPLIT, label=label) for label in folders)
        return
    for split in folders:
        path = source_path(root, split)
        try:
            inside = (*above, _identity(path)) if storage.at(root).is_file_system else ()
            labels, rest = _folders(path, split + "/", inside)
        except OSError as error:
            yield _unreadable_folder(split, error)
            continue
        yield from rest
        yield from (Folder(id=f"{split}/{label}", split=split, label=label) for label in labels)


def class_folders(root: str, layout: Layout) -> list[str]:
    """The names of the classes, sorted."""
    return sorted({found.label for found in top_folders(root, layout) if isinstance(found, Folder)})


def _folders(
    path: str, prefix: str, above: tuple[tuple[int, int], ...]
) -> tuple[list[str], list[Reject | Ignored]]:
    """The names of the folders in `path`, sorted, and what becomes of everything else there."""
    if not storage.at(path).is_file_system:
        return _remote_folders(path, prefix)
    names: list[str] = []
    rest: list[Reject | Ignored] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                rest.extend(_hidden(entry))
                continue
            found = _classify(entry, prefix + entry.name)
            if isinstance(found, Source):
                rest.append(Reject(found.id, "no_class", "it lies in no class folder"))
            elif found is not None:
                rest.append(found)
            elif not _is_text(entry.name):
                rest.append(_bad_name(prefix + entry.name))
            elif _identity(entry.path) in above:
                rest.append(_circular(prefix + entry.name))
            else:
                names.append(entry.name)
    return sorted(names), rest


def _remote_folders(url: str, prefix: str) -> tuple[list[str], list[Reject | Ignored]]:
    names: list[str] = []
    rest: list[Reject | Ignored] = []
    for entry in storage.at(url).list(deep=False):
        if entry.size is not None:
            found = _object(entry.name, entry.size, prefix)
            if isinstance(found, Source):
                rest.append(Reject(found.id, "no_class", "it lies in no class folder"))
            else:
                rest.append(found)
        elif entry.name and not entry.name.startswith("."):
            names.append(entry.name)
        else:  # a hidden folder, or one without a name
            for inside in storage.at(f"{url}/{entry.name}/").list():
                found = _object(f"{entry.name}/{inside.name}", inside.size or 0, prefix)
                if not isinstance(found, Source):
                    rest.append(found)
    return sorted(names), rest


def list_folder(root: str, folder: Folder) -> Iterator[Found]:
    """Every file below a class folder; links are followed, and a circle is a reject."""
    top = source_path(root, folder.id)
    if not storage.at(root).is_file_system:
        yield from _list_objects(top, folder)
        return
    above: tuple[tuple[int, int], ...] = (_identity(root), _identity(top))
    pending = [(top, folder.id + "/", above)]
    while pending:
        path, prefix, above = pending.pop()
        try:
            entries = os.scandir(path)
        except OSError as error:
            yield _unreadable_folder(prefix[:-1], error)
            continue
        with entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.name.startswith("."):
                    yield from _hidden(entry)
                elif (found := _classify(entry, name)) is None:
                    here = _identity(entry.path)
                    if here in above:
                        yield _circular(name)
                    else:
                        pending.append((entry.path, name + "/", (*above, here)))
                elif isinstance(found, Source):
                    yield found._replace(split=folder.split, label=folder.label)
                else:
                    yield found


def _list_objects(url: str, folder: Folder) -> Iterator[Found]:
    for entry in storage.at(url).list():
        found = _object(entry.name, entry.size or 0, folder.id + "/")
        if isinstance(found, Source):
            found = found._replace(split=folder.split, label=folder.label)
        yield found


def _classify(entry: os.DirEntry[str], name: str) -> Source | Reject | Ignored | None:
    """What one entry is; None for a folder. Split and label are still to be set."""
    try:
        status = entry.stat()
    except FileNotFoundError:
        return Reject(_printable(name), "broken_link", "it points to nothing")
    except OSError as error:
        if error.errno == errno.ELOOP:
            return _circular(name)
        return Reject(_printable(name), "unreadable", os.strerror(error.errno or 0).lower())
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return Reject(_printable(name), "not_a_file", "it is a pipe, a socket or a device")
    return _by_name(name, status.st_size)


def _object(name: str, size: int, prefix: str) -> Source | Reject | Ignored:
    """What one object of a store is, by its name behind `prefix`."""
    parts = name.split("/")
    if any(part.startswith(".") for part in parts):
        return Ignored(HIDDEN)
    if not all(parts):
        return Reject(prefix + name, "bad_name", "its name ends in a slash or has two in a row")
    return _by_name(prefix + name, size)


def _by_name(name: str, size: int) -> Source | Reject | Ignored:
    """What a file is by its name. Split and label are still to be set."""
    extension = os.path.splitext(name.rpartition("/")[2])[1].lower()
    if extension not in EXTENSIONS:
        return Ignored(_printable(extension) or "(none)")
    if not _is_text(name):
        return _bad_name(name)
    return Source(name, "", "", size)


def _hidden(entry: os.DirEntry[str]) -> Iterator[Ignored]:
    if not entry.is_dir(follow_symlinks=False):
        yield Ignored(HIDDEN)
        return
    for _, _, inside in os.walk(entry.path):
        yield from (Ignored(HIDDEN) for _ in inside)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _is_text(name: str) -> bool:
    """Whether a name that came from the file system is UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _printable(name: str) -> str:
    return name if _is_text(name) else quote_from_bytes(os.fsencode(name))


def _bad_name(name: str) -> Reject:
    return Reject(_printable(name), "bad_name", "its name is not UTF-8")


def _circular(name: str) -> Reject:
    return Reject(_printable(name), "circular_link", "it leads back to a folder that contains it")


def _unreadable_folder(name: str, error: OSError) -> Reject:
    return Reject(_printable(name), "unreadable_folder", os.strerror(error.errno or 0).lower())


def class_errors(labels: Iterable[str]) -> Iterator[str]:
    """What is wrong with a set of class names; TFDS keeps them one a line and strips them."""
    seen: dict[str, str] = {}
    for label in sorted(set(labels)):
        if "\n" in label or "\r" in label:
            yield f"class {label!r}: a class name cannot hold a line break; rename its folder"
            continue
        if label != label.strip():
            yield f"class {label!r}: it begins or ends with a blank; rename its folder"
        folded = label.strip().casefold()
        if folded in seen:
            yield (
                f"classes {seen[folded]!r} and {label!r} differ only by case or outer blanks; "
                "rename or merge their folders"
            )
        seen[folded] = label


def split_errors(splits: Iterable[str]) -> Iterator[str]:
    """What is wrong with a set of split names, by the rules of TFDS."""
    for split in sorted(splits):
        if not re.fullmatch(r"[A-Za-z]\w*", split, re.ASCII):
            yield (
                f"split {split!r}: TFDS cannot read it; a split's name begins with a letter and goes on "
                "with letters, digits and _"
            )
        elif split == "all":
            yield "split 'all': TFDS keeps this name for all splits together; rename its folder"
        elif re.search(r"_c\d+$", split):
            yield f"split {split!r}: names that end in _c and digits are those of copies; rename its folder"
