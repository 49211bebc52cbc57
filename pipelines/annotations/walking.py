"""The images of an input, as pieces, and what lies beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from pipelines.annotations.pieces import ELSEWHERE, Keyed, Picture
from pipelines.annotations.reader import View
from pipelines.sources.found import Folder, Found, Ignored, Source
from pipelines.sources.layout import ONLY_SPLIT
from pipelines.sources.listing import children, list_folder
from pipelines.sources.rules import extension, role

_IMAGES = ("images", "imgs", "JPEGImages")


def pictures(
    files: Iterable[Found], views: Mapping[str, View], key: Callable[[str], str]
) -> Iterator[Keyed | Found]:
    """The images among some files of the input, as pieces, and what else they are."""
    for found in files:
        if not isinstance(found, Source):
            yield found
            continue
        view = _view_of(found.id, views)
        if view is None:
            yield Ignored(ELSEWHERE)
        elif view.images:
            yield Keyed(key(found.id), Picture(found.id, found.size, view.split))


def files_below(root: str, folder: str) -> Iterator[Found]:
    """Every file below a folder, empty for all of `root`."""
    if folder:
        yield from list_folder(root, Folder(folder, "", ""))
        return
    for one in children(root, ""):
        yield from files_below(root, one) if isinstance(one, str) else [one]


def folders_in(root: str, folder: str) -> list[str]:
    """The names of the folders in a folder, sorted."""
    return sorted(one for one in children(root, folder) if isinstance(one, str))


def images_beside(root: str, above: str) -> str:
    """With what the ids begin of the images in a folder: of those in its own folder for them, or of all."""
    there = folders_in(root, above)
    prefix = f"{above}/" if above else ""
    return next((f"{prefix}{name}/" for name in _IMAGES if name in there), prefix)


def views_of(root: str, prefix: str, without: str | None = None) -> list[View]:
    """The folders there, if their names are those of splits; or else all that is there, of one split."""
    names = [name for name in folders_in(root, prefix.rstrip("/")) if f"{prefix}{name}/" != without]
    splits = [View(f"{prefix}{name}/", split) for name in names if (split := role(name))]
    return splits if splits and len(splits) == len(names) else [View(prefix, ONLY_SPLIT)]


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
