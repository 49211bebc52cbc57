"""The pages, as text: every name in them is escaped."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from augment.augmenter import NOT_AUGMENTED
from pipelines.audit.findings import Finding
from pipelines.audit.replay import Replay
from pipelines.format.layout import shard_file
from pipelines.format.manifest import Manifest
from pipelines.format.targets import TABLE
from pipelines.look.found import ANY, Found
from pipelines.look.pictures import TILE, encoded, is_enlarged
from pipelines.look.query import FIELDS, Choices
from pipelines.look.samples import A_PAGE, Page, Sample
from pipelines.report.audit.parameters import Parameters
from pipelines.report.audit.replay import match, pictures_of
from pipelines.report.captions import UNCHANGED, said
from pipelines.report.page import environment
from pipelines.report.sheet import Picture
from pipelines.report.thumbnail import Thumbnail

_MOST_CLASSES = 200
"""Of which one is chosen from a list; else its name is typed."""


_NAMES = {NOT_AUGMENTED: "originals"}


class Tile(NamedTuple):
    """One sample among others."""

    sample: Sample
    picture: str
    """its address"""
    link: str
    """the address of its page"""
    words: str
    """what was done to it"""
    findings: tuple[str, ...]
    """kinds"""


class Figure(NamedTuple):
    """One picture of a strip."""

    title: str
    words: str
    picture: Thumbnail
    small: bool
    """whether it is shown larger than it is"""


class Pages:
    """Writes the pages of one dataset."""

    def __init__(self, manifest: Manifest, choices: Choices, found: Found | None, *, replays: bool) -> None:
        self._manifest, self._choices, self._found, self._replays = manifest, choices, found, replays
        self._recipe = manifest.request.parsed_recipe()
        self._parameters = Parameters(self._recipe, ())
        self._environment = environment("pipelines.look")
        self._about = functools.lru_cache(256)(found.about) if found else None

    def listing(self, typed: Mapping[str, str], page: Page | None, wrong: str, unread: list[str]) -> str:
        """The samples that meet a filter, or the sentence on what is wrong with it."""
        here = {name: typed[name] for name in FIELDS if typed.get(name)}
        number, last = (page.number, page.pages) if page else (1, 1)
        back = urlencode({**here, **({"page": number} if number > 1 else {})})
        numbers = {"first": 1, "before": number - 1, "after": number + 1, "last": last}
        links = {
            name: "?" + urlencode({**here, "page": to}) if 1 <= to <= last and to != number else ""
            for name, to in numbers.items()
        }
        return self._render(
            "listing.html.j2",
            typed=typed,
            wrong=wrong,
            page=page,
            first=(page.number - 1) * A_PAGE + 1 if page else 0,
            tiles=[self._tile(sample, back) for sample in page.samples] if page else [],
            links=links,
            unread=unread,
            all_records=self._manifest.records,
            choices=self._choices,
            copies=[(copy, _NAMES.get(copy, f"copy {copy}")) for copy in self._choices.copies],
            findings=[(kind, f"{kind} ({count:,})") for kind, count in self._kinds()],
            pairs=lambda names: [(name, name) for name in names],
            class_list=self._choices.classes if len(self._choices.classes) <= _MOST_CLASSES else (),
            here=urlencode(here),
        )

    def sample(
        self, chosen: Sample, others: list[Sample], number: int, pages: int, total: int, back: str
    ) -> str:
        """One sample, beside the copies of the same source."""
        place = {"source": chosen.source, "copy": chosen.shard.copy}

        def link(to: int) -> str:
            return "sample?" + urlencode({**place, "page": to, "back": back})

        drawn = [
            (name, self._value(name, value))
            for name, value in self._drawn(chosen).items()
            if not name.rpartition(".")[2].startswith("key_")
        ]
        beside = [(name, value) for name, value in chosen.values.items() if name.startswith(TABLE) and value]
        return self._render(
            "sample.html.j2",
            chosen=self._tile(chosen, back, side="large"),
            tiles=[self._tile(sample, back) for sample in others],
            total=total,
            number=number,
            pages=pages,
            before=link(number - 1) if number > 1 else "",
            after=link(number + 1) if number < pages else "",
            drawn=drawn,
            beside=beside,
            findings=self._findings(chosen),
            file=shard_file(self._manifest.request.name, *chosen.shard),
            strip="strip?" + urlencode(place) if self._replays else "",
            targets=self._manifest.targets,
            labeled=self._manifest.labeled,
            back=back,
        )

    def strip(self, found: Replay | None, wrong: str = "") -> str:
        """A part of a page: a source, what each op made of it, and the record; or why there is none."""
        return self._environment.get_template("strip.html.j2").render(
            wrong=wrong,
            found=found,
            figures=[_figure(one) for one in pictures_of(found)] if found else [],
            match=match(found) if found else "",
        )

    def wrong(self, sentence: str) -> str:
        """What a request that cannot be answered gets."""
        return self._render("wrong.html.j2", sentence=sentence)

    def _render(self, template: str, **context: Any) -> str:
        request = self._manifest.request
        return self._environment.get_template(template).render(
            name=request.name,
            made=f"{request.recipe_name}, seed {request.seed}, {request.how_many}",
            small=not self._manifest.targets and is_enlarged(*self._manifest.image_size),
            **context,
        )

    def _tile(self, sample: Sample, back: str = "", side: str = "") -> Tile:
        split, copy, number, _ = sample.shard
        place = {"split": split, "copy": copy, "shard": number, "record": sample.record}
        picture = "picture?" + urlencode({**place, **({"side": side} if side else {})})
        page = {"source": sample.source, "copy": copy, **({"back": back} if back else {})}
        kinds = tuple(dict.fromkeys(finding.kind for finding in self._findings(sample)))
        return Tile(sample, picture, "sample?" + urlencode(page), self._words(sample), kinds)

    def _kinds(self) -> list[tuple[str, int]]:
        kinds = self._choices.findings
        return [(ANY, sum(kinds.values())), *kinds.items()] if kinds else []

    def _findings(self, sample: Sample) -> list[Finding]:
        return self._about(sample.shard).of(sample.record, sample.source) if self._about else []

    def _drawn(self, sample: Sample) -> dict[str, Any]:
        values = sample.values
        return {name: values[name] for name in self._choices.columns if values[name] is not None}

    def _value(self, name: str, value: Any) -> str:
        try:
            return self._parameters.value(name, value)
        except (LookupError, ValueError, OverflowError):  # a forged row holds what no op draws
            return str(value)

    def _words(self, sample: Sample) -> str:
        """What was done to a copy."""
        drawn = self._drawn(sample)
        try:
            words = ", ".join(said(self._recipe.of(sample.label).ops, drawn))
        except (LookupError, ValueError, OverflowError, TypeError):
            return "drawn as no op draws"
        return words or UNCHANGED * bool(drawn)


def _figure(one: Picture) -> Figure:
    webp, height, width = encoded(one.pixels, one.overlay, TILE)
    return Figure(one.title, one.words, Thumbnail(height, width, webp), is_enlarged(height, width))
