"""Which ops of a recipe endanger which labels.

A mirror makes a left turn a right one, half a turn a 6 a 9, a shifted hue a red
light a green one: the picture changes, and its label stays. The ops say how they
change pictures (augment.labels.hazards); here stands what that does to the names of
classes, as far as names tell. Only names are read, never pixels.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from augment.labels import lexicon
from augment.labels.hazards import Change
from augment.labels.lexicon import COLORS, DIGITS, fold
from augment.recipe import Recipe

LIMITS = (
    "This reads the names of classes, never pixels. It cannot know what the pictures show, whether an "
    "object is small or lies at the edge, whether writing or a face of a clock is in them, nor what a "
    "name means that is a number, an abbreviation, or a word that it has not learned."
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """Classes that one change of one op endangers."""

    key: str
    """the hazard's, as `acknowledge` in a recipe names it: the op's id, a dot, the change"""
    change: Change
    classes: tuple[str, ...]
    problem: str
    """what becomes of them, as a sentence without a full stop"""
    narrow: str
    """what to write in the recipe instead"""
    acknowledged: bool


def findings(recipe: Recipe, classes: Iterable[str]) -> list[Finding]:
    """What the recipe endangers among these classes, by op, in the recipe's order.

    Of classes that have a recipe of their own, what that does to one of them.
    """
    names = _Names(classes)
    own = {label: one for labels, one in recipe.distinct() for label in labels}
    found = []
    for labels, one in recipe.distinct():
        whose = set(labels) or set(names.classes) - own.keys()
        for key, hazard in one.hazards().items():
            seen = set()
            for endangered, problem in names.endangered(hazard.change):
                # Several languages may share the words.
                if frozenset(endangered) not in seen and whose & set(endangered):
                    seen.add(frozenset(endangered))
                    known = key in one.acknowledge
                    found.append(Finding(key, hazard.change, endangered, problem, hazard.narrow, known))
    return found


def summary(found: Iterable[Finding]) -> list[str]:
    """One sentence a hazard, without those that are acknowledged."""
    by_key: dict[str, list[Finding]] = {}
    for finding in found:
        if not finding.acknowledged:
            by_key.setdefault(finding.key, []).append(finding)
    return [
        f"{key} endangers {listed(first.classes, ' and ' if len(first.classes) == 2 else ', ')}"
        + (f" and {len(more)} more" if more else "")
        + f": {first.problem}; {first.narrow}"
        for key, (first, *more) in by_key.items()
    ]


def listed(names: Sequence[str], between: str = ", ", most: int = 8) -> str:
    """Some names in a row."""
    return between.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


_OPAQUE = re.compile(
    r"n\d{8}"  # WordNet's
    r"|[\W\d_]+"
    r"|\w?[\W_]?\d+"
    r"|(class|klasse|classe|clase|cls|cat|category|label|id|idx|type|typ|kind|group|grp|cluster|folder|item|"
    r"object|obj|species|taxon|sku|product|img|set)\W*_*\W*\d+"
    r"|(?=[a-f]*\d)[0-9a-f]{8,}(-[0-9a-f]+)*",
    re.IGNORECASE,
)


def opaque(classes: Iterable[str]) -> list[str]:
    """The names that say nothing about what the pictures show: numbers, codes."""
    names = list(classes)
    digits = set(_Names(names).glyphs)
    return [name for name in names if _OPAQUE.fullmatch(name) and name not in digits]


Endangered = tuple[tuple[str, ...], str]

_PAIRS: dict[Change, str] = {
    "mirror": "left-right east-west northeast-northwest southeast-southwest clockwise-counterclockwise "
    "less-greater",
    "upside_down": "up-down north-south northeast-southeast northwest-southwest clockwise-counterclockwise",
    "half_turn": "left-right up-down north-south east-west northeast-southwest northwest-southeast "
    "less-greater",
    "quarter_turn": "left-up left-down right-up right-down north-east north-west south-east south-west "
    "northeast-northwest northeast-southeast southwest-northwest southwest-southeast horizontal-vertical",
    "eighth_turn": "north-northeast north-northwest south-southeast south-southwest east-northeast "
    "east-southeast west-northwest west-southwest square-rhombus plus-times",
    "tint": "red-orange red-pink red-brown orange-yellow orange-brown yellow-brown yellow-green green-cyan "
    "cyan-blue blue-purple purple-pink ripe-unripe",
    "recolor": "ripe-unripe",
    "gray": "ripe-unripe",
    "negative": "bright-dark day-night",
    "exposure": "bright-dark day-night black-white black-gray white-gray",
    "scale": "small-large near-far",
    "stretch": "circle-ellipse square-rectangle",
    "blur": "sharp-blurred",
    "noise": "clean-noisy",
}
"""Concepts that come to look like each other."""

_CORNERS = "drawn with corners or in seven segments, each becomes the other"
_BECOMES, _NEARLY = "each becomes the other", "each becomes nearly the other"
_GLYPHS: dict[Change, list[tuple[str, str]]] = {
    "mirror": [("bd pq ٢٦ ३६", _BECOMES), ("25", _CORNERS), ("JL SZ 3E", _NEARLY)],
    "upside_down": [
        ("bp dq nu mw MW ٧٨ ьр", _BECOMES),
        ("69", "each becomes the other in mirror writing, which is easily taken for it"),
        ("25", _CORNERS),
        ("AV", _NEARLY),
    ],
    "half_turn": [
        ("69 bq dp nu mw MW hy ٧٨", _BECOMES),
        ("AV 7L", _NEARLY),
    ],
    "quarter_turn": [("NZ CU EM EW", _NEARLY)],
}
"""Characters that come to look like each other, and how."""

_SYMMETRIC: dict[Change, str] = {
    "mirror": "018AHIMOTUVWXYilmovwx",
    "upside_down": "0138BCDEHIKOXclox",
    "half_turn": "0125689HINOSXZlosxz",
}
"""Digits and letters that remain themselves, or become another that _GLYPHS names."""

_SPOILT: dict[Change, str] = {
    "mirror": "they become mirror writing, which is in no real picture",
    "upside_down": "they stand on their heads in mirror writing, which is in no real picture",
    "half_turn": "they stand on their heads",
}

_NUMBERING = frozenset(
    fold(
        "digit digits number numeral num no zahl ziffer nummer chiffre numéro cifra número dígito numero "
        "cijfer цифра число cyfra liczba rakam sayı رقم अंक 数字 숫자 of hearts spades clubs diamonds"
    ).split()
)
_LETTERING = frozenset(
    fold(
        "letter letters character char alphabet upper lower uppercase lowercase capital small case cap "
        "buchstabe lettre letra lettera буква litera harf حرف अक्षर 字母 文字 글자"
    ).split()
)
_WRITTEN = ({"speed", "limit"}, {"kmh"}, {"km", "h"}, {"mph"}, {"tempolimit"}, {"tempo"})
_CLOCK = ({"clock"}, {"oclock"}, {"uhr"}, {"heures"}, {"heure"}, {"ore"}, {"horas"})
_SIDED = frozenset(
    fold(
        "turn turns curve bend keep lane ahead arrow hand foot eye ear knee shoe "
        "glove profile facing look swipe"
    ).split()
)
_WITHOUT = frozenset(
    fold(
        "no non not without ohne kein keine sans sin sem senza zonder geen без нет bez بدون बिना 无 無 没有"
    ).split()
)
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "HIRAGANA", "KATAKANA", "THAI")
"""Whose single characters are letters; a single Chinese character is a word."""

_GRAYS = ("black", "white", "gray")
_FEWEST_DIGITS, _FEWEST_LETTERS = 8, 10
"""From how many on it is certain that numbers are digits, and not grades, and letters letters."""


class _Names:
    """A set of class names, and what can be read from them."""

    def __init__(self, classes: Iterable[str]) -> None:
        self.classes = list(dict.fromkeys(classes))
        self.words = {name: _words(name) for name in self.classes}
        self.glyphs = _glyphs(self.words)
        """for names that stand for one digit or letter: the characters that may be drawn"""
        self.groups: dict[tuple[str, tuple[str, ...]], dict[str, dict[str, bool]]] = {}
        """by language and by what is left of a name: {concept: {name: whether the word is ambiguous}}"""
        for name, words in self.words.items():
            for language, concept, ambiguous, rest in _readings(words):
                group = self.groups.setdefault((language, rest), {})
                group.setdefault(concept, {}).setdefault(name, ambiguous)

    def endangered(self, change: Change) -> Iterator[Endangered]:
        """The classes that one change endangers, each with what becomes of them."""
        yield from self._glyph_pairs(change)
        yield from self._pairs(change)
        yield from self._writing(change)
        yield from self._one_side(change)
        yield from self._colors(change)
        yield from self._absence(change)

    def _glyph_pairs(self, change: Change) -> Iterator[Endangered]:
        for pairs, problem in _GLYPHS.get(change, []):
            for a, b in map(tuple, pairs.split()):
                first = [name for name, drawn in self.glyphs.items() if a in drawn]
                second = [name for name, drawn in self.glyphs.items() if b in drawn]
                for x, y in ((x, y) for x in first for y in second if x != y):
                    spelled = not all(self.glyphs[n] in self.words[n] for n in (x, y)) and a.isdigit()
                    yield (x, y), f"as digits, {problem}" if spelled else problem

    def _pairs(self, change: Change) -> Iterator[Endangered]:
        for pair in _PAIRS.get(change, "").split():
            a, b = pair.split("-")
            for (_, rest), group in self.groups.items():
                if a == "up" and len(rest) == 1 and len(rest[0]) == 1:
                    continue  # upper_a and lower_a
                for x, unsure_x in group.get(a, {}).items():
                    for y, unsure_y in group.get(b, {}).items():
                        if x != y and not (unsure_x and unsure_y):
                            yield (x, y), "each can come to look like the other"

    def _writing(self, change: Change) -> Iterator[Endangered]:
        if change not in _SPOILT:
            return
        for kind, fewest in ((str.isdigit, _FEWEST_DIGITS), (str.isalpha, _FEWEST_LETTERS)):
            written = {n: drawn for n, drawn in self.glyphs.items() if any(map(kind, drawn))}
            spoilt = tuple(n for n, drawn in written.items() if drawn[0] not in _SYMMETRIC[change])
            if len(written) >= fewest and spoilt:
                yield spoilt, _SPOILT[change]
        numbered = [name for name in self.classes if any(w.isdigit() for w in self.words[name])]
        for signs in (tuple(n for n in numbered if s <= set(self.words[n])) for s in _WRITTEN):
            if signs:
                yield signs, _SPOILT[change]
        for hours in (tuple(n for n in numbered if c <= set(self.words[n])) for c in _CLOCK):
            if len(hours) > 1:
                yield hours, "the hands of the clock show another time"

    def _one_side(self, change: Change) -> Iterator[Endangered]:
        """A side without its opposite: its label is wrong all the same."""
        if change not in ("mirror", "half_turn"):
            return
        for (_, rest), group in self.groups.items():
            sides = {side: tuple(group[side]) for side in ("left", "right") if side in group}
            if len(sides) == 1 and _SIDED & set(rest):
                [(side, names)] = sides.items()
                yield names, f"they then show the other side than the {side}"

    def _colors(self, change: Change) -> Iterator[Endangered]:
        problem = {
            "recolor": "each can take on another's color",
            "gray": "they can no longer be told apart by color",
            "negative": "they show their opposites, such as white for black and cyan for red",
        }.get(change)
        if problem is None:
            return
        for group in self.groups.values():
            spared = {"recolor": _GRAYS, "negative": ("gray",)}.get(change, ())
            colors = {color: group[color] for color in COLORS if color in group and color not in spared}
            sure = any(not unsure for names in colors.values() for unsure in names.values())
            names = tuple(dict.fromkeys(name for names in colors.values() for name in names))
            if len(colors) > 1 and sure and len(names) > 1 and set(colors) - set(_GRAYS * (change == "gray")):
                yield names, problem

    def _absence(self, change: Change) -> Iterator[Endangered]:
        if change != "cut":
            return
        absent = dict.fromkeys(
            name for group in self.groups.values() for name in group.get("absent", {})
        ) | dict.fromkeys(n for n in self.classes if len(self.words[n]) > 1 and self.words[n][0] in _WITHOUT)
        if absent and len(absent) < len(self.classes):
            yield tuple(absent), "of a picture of another class, only what looks like these may be left"


def _words(name: str) -> tuple[str, ...]:
    """The folded words of a name, in any of the usual spellings: two_words, twoWords, "two words"."""
    spaced = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)", " ", name)
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in fold(spaced).replace("'", ""))
    return tuple("".join(kept).split())


_LONGEST_PHRASE = 4
_WHOLE_WORDS = {*DIGITS, "absent", "north", "south", "east", "west"}
"""Concepts whose words count by themselves only: "eastern" is a kind of bird."""


def _readings(words: Sequence[str]) -> Iterator[tuple[str, str, bool, tuple[str, ...]]]:
    """(language, concept, ambiguous, the rest of the name) for each word or phrase that is known."""
    known = lexicon.words()
    for i, word in enumerate(words):
        for j in range(i + 1, min(i + _LONGEST_PHRASE, len(words)) + 1):
            for reading in known.get(" ".join(words[i:j]), ()):
                if reading[1] not in DIGITS:
                    yield (*reading, (*words[:i], *words[j:]))
        # Compounds: Linkskurve, Rotwein; and where words are not set apart at all.
        least = 1 if word[0] >= "\u3040" else 3
        for k in range(least, len(word) - least + 1):
            for part, rest in ((word[:k], word[k:]), (word[k:], word[:k])):
                for reading in known.get(part, ()):
                    if reading[1] not in _WHOLE_WORDS:
                        yield (*reading, (*words[:i], rest, *words[i + 1 :]))


def _glyphs(names: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """For names that stand for one digit or letter: the characters that may be drawn, the likeliest first."""
    numbers = [word for words in names.values() if len(words) == 1 for word in words if word.isdecimal()]
    digits_only = all(len(number) == 1 for number in numbers)  # else they are numbers of classes
    found = {}
    for name, words in names.items():
        for i, word in enumerate(words):
            rest = {*words[:i], *words[i + 1 :]}
            if rest <= _NUMBERING:
                if len(word) == 1 and word.isdecimal() and digits_only:
                    found[name] = word
                meant = {concept for _, concept, _ in lexicon.words().get(word, ()) if concept in DIGITS}
                if len(meant) == 1:
                    found.setdefault(name, meant.pop())
            if len(word) == 1 and rest <= _LETTERING and unicodedata.name(word, "").startswith(_SCRIPTS):
                capital = word.upper() in re.findall(r"[^\W\d_]+", name) or rest & {"upper", "uppercase"}
                small = rest & {"lower", "lowercase", "small"}
                both = word + (word.upper() if word.upper() != word else "")
                found[name] = word.upper() if capital else word if small else both
    return found
