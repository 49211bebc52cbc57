"""Masks: an image of class ids for each image, of the same stem, in a folder of their own.

`images/` lies beside `masks/`, with the splits within both or around both; or the masks lie anywhere, and
the input is the images' own folder. What is in a mask is looked at when it is read with its image.
"""

from __future__ import annotations

from collections.abc import Iterator

from augment.targets import Annotation, Vocabulary
from pipelines.annotations.asked import Annotations
from pipelines.annotations.pieces import Keyed, Rules, Said
from pipelines.annotations.reader import Begun, Read, Reader, Task, View, inside, refused
from pipelines.annotations.walking import files_below, folders_in, images_beside, views_of, without_extension
from pipelines.sources.found import UNLABELED, Folder, Found, Source
from pipelines.sources.rules import role

_MASKS = "masks"


class Masks(Reader):
    """See `Reader`."""

    rules = Rules(
        alone=("no_partner", "there is no mask of its stem"),
        lonely=("no_partner", "there is no image {}.* of its stem"),
    )

    def __init__(self, root: str, annotations: Annotations) -> None:
        self._root, self._path = root, annotations.path
        self._inside = inside(root, annotations.path)

    def key(self, source: str) -> str:
        return without_extension(source)

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
                for view in [View(images, split)] if split else views_of(self._root, images, own):
                    yield view
                    yield Folder(view.prefix.rstrip("/"), view.split, UNLABELED)
                if own is not None:
                    yield View(own, images=False)
                yield Task((masks,), images, settings=own)
        except OSError as error:
            yield refused(self._path, error)

    def _pairs(self) -> Iterator[tuple[str, str, str]]:
        """Folders of masks, the prefix of their images' ids, and their split where it is around both."""
        if self._inside == "":  # the input is named, with images and masks in it
            folders = folders_in(self._path, "")
            around = [name for name in folders if _MASKS in folders_in(self._path, name)]
            for name in around:
                yield f"{name}/{_MASKS}", images_beside(self._root, name), role(name) or name
            if not around:
                yield _MASKS if _MASKS in folders else "", images_beside(self._root, ""), ""
        else:
            yield "", images_beside(self._root, (self._inside or "").rpartition("/")[0]), ""

    def _own(self, masks: str) -> str | None:
        """With what the ids of a folder of masks begin; None if it does not lie in the input."""
        if self._inside is None:
            return None
        return "".join(f"{part}/" for part in (self._inside, masks) if part)

    def read(self, task: Task) -> Iterator[Read]:
        [folder], own = task.names, task.settings
        for found in files_below(self._path, folder):
            if isinstance(found, Source):
                name = found.id[len(folder) :].lstrip("/")
                said = Said(found.id if own is None else own + name, Annotation(mask=found.id).packed())
                yield Keyed(task.prefix + without_extension(name), said)
            elif own is None:  # else it is on record as the input's own
                yield found

    def finished(self, source: Source) -> Found:
        return source
