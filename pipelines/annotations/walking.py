"""The images of an input, as pieces, and what lies beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipelines.annotations.pieces import ELSEWHERE, Keyed, Picture
from pipelines.annotations.reader import View
from pipelines.sources.found import Folder, Found, Ignored, Source
from pipelines.sources.listing import children, list_folder
from pipelines.sources.rules import extension


def top_of(root: str) -> Iterator[str | Found]:
    """What lies in the input: names of its folders, and what else is there."""
    yield from children(root, "")


def pictures(
    root: str, top: str | Found, views: Mapping[str, View], *, by_stem: bool
) -> Iterator[Keyed | Found]:
    """The images of a folder of the input as pieces, and what else is in it; or of what lies beside it."""
    for found in list_folder(root, Folder(top, "", "")) if isinstance(top, str) else [top]:
        if not isinstance(found, Source):
            yield found
            continue
        view = _view_of(found.id, views)
        if view is None:
            yield Ignored(ELSEWHERE)
        elif view.images:
            key = without_extension(found.id) if by_stem else found.id
            yield Keyed(key, Picture(found.id, found.size, view.split).packed())


def files_below(root: str, folder: str) -> Iterator[Found]:
    """Every file below a folder, empty for all of `root`."""
    tops = [folder] if folder else children(root, "")
    for top in tops:
        yield from list_folder(root, Folder(top, "", "")) if isinstance(top, str) else [top]


def without_extension(name: str) -> str:
    return name[: len(name) - len(extension(name))]


def _view_of(source: str, views: Mapping[str, View]) -> View | None:
    """That of the folder that a source lies in, or of the next above it that has one."""
    folder = source
    while folder:
        folder = folder.rpartition("/")[0]
        view = views.get(f"{folder}/" if folder else "")
        if view is not None:
            return view
    return None
