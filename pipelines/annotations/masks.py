"""Masks: an image of class ids for each image, of the same stem, in a folder of their own.

`images/` lies beside `masks/`, with the splits within both or around both; or the masks lie anywhere, and
the input is the images' own folder. What is in a mask is looked at when it is read with its image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from augment.targets import Annotation, Vocabulary
from pipelines.annotations.asked import Annotations
from pipelines.annotations.pieces import Keyed, Rules, Said
from pipelines.annotations.reader import Begun, Read, Task, View, inside, refused
from pipelines.annotations.walking import files_below, without_extension
from pipelines.sources.found import UNLABELED, Folder, Found, Source
from pipelines.sources.layout import ONLY_SPLIT
from pipelines.sources.listing import children
from pipelines.sources.rules import role

_IMAGES = ("images", "imgs", "JPEGImages")
_MASKS = "masks"


class Masks:
    """See `Reader`."""

    by_stem = True
    rules = Rules(
        alone=("no_partner", "there is no mask of its stem"),
        lonely=("no_partner", "there is no image {}.* of its stem"),
    )

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path
        self._inside = inside(root, annotations.path)

    def begin(self) -> Iterator[Begun]:
        yield Vocabulary(has=frozenset(["mask"]))
        try:
            for masks, images, split in self._pairs():
                own = self._own(masks)
                if own == images:
                    yield refused(
                        self._path,
                        "masks and images lie in one folder; put them into masks/ and images/, side by side",
                    )
                    return
                yield View(images, split)
                if own is not None:
                    yield View(own, images=False)
                yield Folder(images.rstrip("/"), split, UNLABELED)
                yield Task((masks,), images, split, settings=own)
        except OSError as error:
            yield refused(self._path, error)

    def _pairs(self) -> Iterator[tuple[str, str, str]]:
        """Folders of masks, the prefix of their images' ids, and the split."""
        folders = _folders(self._path, "")
        masks, above = "", (self._inside or "").rpartition("/")[0]
        if self._inside == "":  # the input is named, with images and masks in it
            around = [name for name in folders if _MASKS in _folders(self._path, name)]
            if around:
                for name in around:
                    yield f"{name}/{_MASKS}", self._images(name), role(name) or name
                return
            masks = _MASKS if _MASKS in folders else ""
        images = self._images(above)
        splits = _folders(self._path, masks)
        if splits and all(map(role, splits)):
            for name in splits:
                yield f"{masks}/{name}".lstrip("/"), f"{images}{name}/", role(name) or ""
        else:
            yield masks, images, ONLY_SPLIT

    def _own(self, masks: str) -> str | None:
        """With what the ids of a folder of masks begin; None if it does not lie in the input."""
        if self._inside is None:
            return None
        return "".join(f"{part}/" for part in (self._inside, masks) if part)

    def _images(self, above: str) -> str:
        """Where the images of masks lie, of which a folder is above both."""
        there = _folders(self._root, above)
        prefix = f"{above}/" if above else ""
        return next((f"{prefix}{name}/" for name in _IMAGES if name in there), prefix)

    def read(self, task: Task) -> Iterator[Read]:
        [folder], own = task.names, task.settings
        for found in files_below(self._path, folder):
            if isinstance(found, Source):
                name = found.id[len(folder) :].lstrip("/")
                said = Said(found.id if own is None else own + name, Annotation(mask=found.id).packed())
                yield Keyed(task.prefix + without_extension(name), said.packed())
            elif own is None:  # else it is on record as the input's own
                yield found

    def gathered(self, key: str, pieces: Iterable[bytes]) -> Iterator[Keyed | Found]:
        yield from (Keyed(key, piece) for piece in pieces)

    def finished(self, source: Source) -> Found:
        return source


def _folders(root: str, folder: str) -> list[str]:
    return sorted(one for one in children(root, folder) if isinstance(one, str))
