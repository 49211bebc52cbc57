"""What there is to see of one dataset, by what an address asks for."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError
from pipelines.annotations import CONTAINERS, Annotations, everything_annotated
from pipelines.audit.replay import replay
from pipelines.format.bounds import short
from pipelines.format.layout import Shard
from pipelines.format.manifest import Manifest
from pipelines.look.annotated import SourcesById
from pipelines.look.found import Found
from pipelines.look.pages import Pages
from pipelines.look.pictures import LARGE, TILE, Pictures
from pipelines.look.query import Choices
from pipelines.look.samples import A_PAGE, Sample, Samples
from pipelines.sources import Source, is_id


class Missing(Exception):
    """Raised for what is not there; says what."""


class Site:
    """The pages and pictures of a finished dataset. Used by several threads at once.

    Args:
        directory: the dataset.
        manifest: its manifest.
        root: the images that it was made from, if replays are wanted.
        annotations: what lies beside them, where the dataset was made of that too.
        found: what an audit found.
    """

    def __init__(
        self,
        directory: str,
        manifest: Manifest,
        *,
        root: str | None = None,
        annotations: Annotations | None = None,
        found: Found | None = None,
    ) -> None:
        self._directory, self._manifest, self._root, self._annotations = (
            directory,
            manifest,
            root,
            annotations,
        )
        self._look_up = None
        if root is not None and annotations is not None and annotations.format not in CONTAINERS:
            listed = functools.partial(everything_annotated, root, annotations, None)
            self._look_up = SourcesById(lambda: (one for one in listed() if isinstance(one, Source)))
        self._choices = Choices(manifest, found)
        self._samples = Samples(directory, manifest, self._choices)
        self._pictures = Pictures(directory, manifest)
        self._pages = Pages(manifest, self._choices, found, replays=root is not None)

    def listing(self, typed: Mapping[str, str]) -> tuple[bool, str]:
        """Samples that meet a filter, and whether it is one; else its page says what is wrong with it."""
        try:
            wanted, number = self._choices.filter(typed), _whole("page", typed.get("page", "1"))
        except RequestError as error:
            return False, self._pages.listing(typed, None, str(error), [])
        page = self._samples.page(wanted, number)
        return True, self._pages.listing(typed, page, "", self._samples.unread)

    def sample(self, typed: Mapping[str, str]) -> str:
        """A sample with the others of its source.

        Raises Missing if there is none, RequestError for what is no name.
        """
        source, copy = self._asked(typed)
        shards = self._samples.shards_of(source)
        chosen = self._chosen(source, copy, shards)
        pages = -(-len(shards) // A_PAGE)
        place = next(i for i, shard in enumerate(shards) if shard == chosen.shard)
        number = _whole("page", typed["page"]) if "page" in typed else 1 + place // A_PAGE
        number = min(max(number, 1), pages)
        some = shards[(number - 1) * A_PAGE : number * A_PAGE]
        others = self._samples.of_source(source, some)
        return self._pages.sample(chosen, others, number, pages, len(shards), typed.get("back", ""))

    def strip(self, typed: Mapping[str, str]) -> tuple[bool, str]:
        """What each op made of a sample, as a part of a page, and whether it is that; else it is why not."""
        try:
            source, copy = self._asked(typed)
            if self._root is None:
                raise RequestError("samples are derived from their sources; start with --input DIR")
            found = replay(
                self._directory,
                self._manifest,
                root=self._root,
                source=source,
                copy=copy,
                annotations=self._annotations,
                look_up=self._look_up,
            )
        except RequestError as error:
            return False, self._pages.strip(None, str(error))
        return True, self._pages.strip(found)

    def picture(self, typed: Mapping[str, str]) -> bytes | None:
        """WebP of a record; None if it cannot be read. Raises Missing if the dataset has no such shard."""
        split, copy = typed.get("split", ""), _whole("copy", typed.get("copy", ""))
        number, record = (_whole(name, typed.get(name, "")) for name in ("shard", "record"))
        if split not in self._manifest.splits or copy not in self._manifest.copies(split):
            raise Missing("the dataset has no such copy")
        shard = Shard(split, copy, number, self._manifest.groups(split, copy))
        if not 0 <= number < shard.of:
            raise Missing("the dataset has no such shard")
        found = self._pictures.picture(shard, record, LARGE if typed.get("side") == "large" else TILE)
        return found and found.webp

    def wrong(self, sentence: str) -> str:
        """The page of a request that cannot be answered."""
        return self._pages.wrong(sentence)

    def _asked(self, typed: Mapping[str, str]) -> tuple[str, int]:
        source = typed.get("source", "")
        if not is_id(source):
            raise RequestError(f"source is {short(source)}; it must be a path below the input")
        return source, _whole("copy", typed.get("copy", str(NOT_AUGMENTED)))

    def _chosen(self, source: str, copy: int, shards: list[Shard]) -> Sample:
        there = [shard for shard in shards if shard.copy == copy]
        for sample in self._samples.of_source(source, there):
            return sample
        of = f"copy {copy} of " if shards else ""
        raise Missing(f"the dataset has no {of or 'source '}{source}")


_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)


def _whole(what: str, given: str) -> int:
    if not _WHOLE.fullmatch(given):
        raise RequestError(f"{what} is {short(given)}; it must be a whole number")
    return int(given)
