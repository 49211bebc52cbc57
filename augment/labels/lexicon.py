"""Words that class names are made of and that augmentation can make wrong, in many languages.

They stand in words.json: by kind, by concept and by language, whose codes are ISO 639-1's. A word
that ends in `-` is a stem, which takes the endings of its language (`endings`); one with `_` is
several words; one that begins with `~` is also the name of something else (orange, rose), and
says nothing by itself. Accents and case do not matter: names are folded before they are looked up.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from importlib import resources
from typing import Any

Reading = tuple[str, str, bool]
"""The language of a word, the concept that it stands for, and whether it also names something else."""


def fold(text: str) -> str:
    """Lower case without accents, so that "Grün", "GRÜN" and "grun" are one word."""
    bare = (c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", "".join(bare)).translate(_LETTERS)


_LETTERS = str.maketrans("ıłđø", "ildo")


@functools.cache
def written() -> dict[str, Any]:
    """What words.json says: `endings` by language, and forms by kind, concept and language."""
    text = resources.files("augment.labels").joinpath("words.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@functools.cache
def words() -> dict[str, list[Reading]]:
    """What each folded word or phrase (its words joined by blanks) can mean."""
    found: dict[str, list[Reading]] = {}
    endings = written()["endings"]
    for kind in ("sides", "colors", "digits", "qualities"):
        for concept, languages in written()[kind].items():
            for language, forms in languages.items():
                for form in forms.split():
                    stem = fold(form.strip("~-")).replace("_", " ")
                    for ending in endings[language] if form.endswith("-") else ("",):
                        reading = (language, concept, form.startswith("~"))
                        found.setdefault(stem + fold(ending), []).append(reading)
    return found


COLORS = tuple(written()["colors"])
DIGITS = tuple(written()["digits"])
