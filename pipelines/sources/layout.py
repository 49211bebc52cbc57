"""Which folders are classes and which are splits: by their names, and by what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, cast, get_args

from augment.errors import RequestError, did_you_mean
from pipelines import storage
from pipelines.sources.found import Folder, Guess, Ignored, Reject, Source
from pipelines.sources.listing import children
from pipelines.sources.local import unreadable_folder
from pipelines.sources.rules import role
from pipelines.sources.words import listed, named

Layout = Literal["auto", "classes", "splits"]

ONLY_SPLIT = "train"
"""The split of a dataset whose top folders are classes."""

_LOOKED_INTO = 3
"""So many folders without names of splits are looked into, to see whether they hold splits."""


def checked_layout(layout: str) -> Layout:
    """What somebody typed. Raises RequestError."""
    if layout not in get_args(Layout):
        raise RequestError(f"--layout is {layout!r}; {did_you_mean(layout, get_args(Layout))}")
    return cast(Layout, layout)


def top_folders(root: str, layout: Layout) -> Iterator[Folder | Reject | Ignored | Guess]:
    """The class folders of `root`, what else lies beside them, and what was guessed.

    Where a guess is refused there are no class folders.
    """
    folders, rest = _beside(root, "")
    yield from rest
    if layout == "auto":
        layout, guesses = _decided(root, folders)
        yield from guesses
        if any(guess.refused for guess in guesses):
            return
    if layout == "classes":
        yield from (Folder(id=label, split=ONLY_SPLIT, label=label) for label in folders)
        return
    for split in folders:
        try:
            labels, rest = _beside(root, split)
        except OSError as error:
            yield unreadable_folder(split, error)
            continue
        yield from rest
        yield from (Folder(id=f"{split}/{label}", split=split, label=label) for label in labels)


def class_folders(root: str, layout: Layout) -> list[str]:
    """The names of the classes, sorted."""
    return sorted({found.label for found in top_folders(root, layout) if isinstance(found, Folder)})


def _beside(root: str, folder: str) -> tuple[list[str], list[Reject | Ignored]]:
    """The names of the folders in a folder, sorted, and what becomes of everything else there."""
    names: list[str] = []
    rest: list[Reject | Ignored] = []
    for found in children(root, folder):
        if isinstance(found, str):
            names.append(found)
        elif isinstance(found, Source):
            rest.append(Reject(found.id, "no_class", "it lies in no class folder"))
        elif isinstance(found, Reject | Ignored):
            rest.append(found)
    return sorted(names), rest


class _Held(NamedTuple):
    """What a folder holds, at first sight."""

    folders: list[str]
    images: bool


def _held(root: str, folder: str, *, whole: bool) -> _Held:
    """Looked at until there is an image, or `whole`: class folders may hold very many."""
    folders, images = [], False
    try:
        for found in children(root, folder):
            if isinstance(found, str):
                folders.append(found)
            elif isinstance(found, Source):
                images = True
                if not whole:
                    break
    except OSError:  # which is on record when it is listed
        pass
    return _Held(sorted(folders), images)


def _decided(root: str, folders: Sequence[str]) -> tuple[Layout, list[Guess]]:
    splits = [folder for folder in folders if role(folder)]
    if not splits:
        sentence = _too_deep(root, folders)
        return "classes", [Guess(sentence, refused=True)] if sentence else []
    others = [folder for folder in folders if not role(folder)]
    held = {folder: _held(root, folder, whole=True) for folder in splits}
    if any(held[split].folders for split in splits):
        return "splits", list(_strangers(root, others, held))
    if others:
        sentence = (
            f"{named('folder', splits)}: taken for {'a class' if len(splits) == 1 else 'classes'}, not for "
            f"{'a split' if len(splits) == 1 else 'splits'}: it holds no folders; --layout says otherwise"
        )
        return "classes", [Guess(sentence, refused=False)]
    sentence = (
        f"{named('folder', splits)}: named as {'a split' if len(splits) == 1 else 'splits'}, without class "
        "folders; put the images of each class into a folder of its own, DIR/<split>/<class>/..., or say "
        "--layout classes if the top folders are the classes"
    )
    return "classes", [Guess(sentence, refused=True)]


def _strangers(root: str, others: Sequence[str], splits: dict[str, _Held]) -> Iterator[Guess]:
    """What the folders beside those of splits are, which have other names."""
    classes = {label for held in splits.values() for label in held.folders}
    unlike, nested = [], []
    for folder in others:
        held = _held(root, folder, whole=False)
        if _are_splits(held):
            nested.append(folder)
        elif held.images or (held.folders and classes.isdisjoint(held.folders)):
            unlike.append(folder)
        elif held.folders:
            yield Guess(
                f"folder {folder!r}: taken for a split, since it holds the same class folders as "
                f"{listed(splits)}; --layout says otherwise",
                refused=False,
            )
        else:
            yield Guess(
                f"folder {folder!r}: passed over, since it holds no class folders and no images, and lies "
                f"beside the splits {listed(splits)}",
                refused=False,
            )
    if nested:
        yield Guess(
            f"{named('folder', nested)}: splits again, beside {listed(splits)}; move them out of the input, "
            f"or give --input {storage.at(root).to(nested[0])}",
            refused=True,
        )
    if unlike:
        yield Guess(
            f"{named('folder', unlike)}: no splits by name or by what they hold, as {listed(splits)} are; "
            "say --layout splits if all of the top folders are splits, --layout classes if all of them are "
            "classes, or move what is neither out of the input",
            refused=True,
        )


def _are_splits(held: _Held) -> bool:
    roles = [role(folder) for folder in held.folders]
    return not held.images and bool(roles) and (all(roles) or len({r for r in roles if r}) > 1)


def _too_deep(root: str, folders: Sequence[str]) -> str | None:
    """Why the folders are no classes: what they hold looks like all of an input."""
    for folder in folders[:_LOOKED_INTO]:
        held = _held(root, folder, whole=False)
        if _are_splits(held):
            return (
                f"folder {folder!r} holds the splits {listed(held.folders)}, and splits are the top folders, "
                f"DIR/<split>/<class>/...: give --input {storage.at(root).to(folder)}"
            )
    if len(folders) != 1:
        return None
    inner = folders[0]
    while len((held := _held(root, inner, whole=False)).folders) == 1 and not held.images:
        inner = f"{inner}/{held.folders[0]}"
    if held.images or not held.folders:
        return None
    return (
        f"there is one folder, {folders[0]!r}, and {listed(held.folders)} lie in it"
        f"{'' if inner == folders[0] else f', at {inner}'}: if these are the classes, or the splits, give "
        f"--input {storage.at(root).to(inner)}; if {folders[0]!r} is the only class, say --layout classes"
    )
