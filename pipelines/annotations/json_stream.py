"""One large JSON object, of whose long lists no more than some items are held at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

MOST = 1 << 26
"""The longest item, in characters."""

_BLOCK = 1 << 20
_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class BadFile(ValueError):
    """Why a whole file cannot be used, as the predicate of a sentence about it."""


def items(file: BinaryIO, lists: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Some lists of an object, several items at a time, and all other values, with their names.

    In the order of the file; each of these lists begins with an empty one. Raises BadFile.
    """
    text = _Text(file)
    if text.peek() != "{":
        raise BadFile("is no JSON object, {...}")
    for name in text.names():
        if name in lists:
            if text.peek() != "[":
                raise BadFile(f"has {name!r} that is no list")
            yield name, []
            for several in text.listed():
                yield name, several
        else:
            yield name, text.value()
    if text.peek():
        raise text.wrong("there is more behind its end")


class _Text:
    """What a file holds, read as far as it is looked at."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder("utf-8-sig")()
        self._held, self._at, self._before, self._ended = "", 0, 0, False
        self._one_by_one = False

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            self._at = _end_of(_BLANKS, self._held, self._at)
            if self._at < len(self._held) or not self._more(_BLOCK):
                return self._held[self._at : self._at + 1]

    def skip(self, character: str) -> None:
        if self.peek() != character:
            raise self.wrong(f"a {character} is due")
        self._at += 1

    def names(self) -> Iterator[str]:
        """Of an object, each in front of its value, which has to be taken before the next one."""
        for _ in self._separated("{", "}"):
            name = self.value()
            if not isinstance(name, str):
                raise self.wrong("a name in quotes is due")
            self.skip(":")
            yield name

    def listed(self) -> Iterator[list[Any]]:
        """The items of a list, some at a time."""
        for _ in self._separated("[", "]"):
            yield self._several() or [self.value()]

    def _separated(self, opening: str, closing: str) -> Iterator[None]:
        """Stops in front of each part between brackets, and behind the closing one."""
        self.skip(opening)
        if self.peek() != closing:
            yield
            while self.peek() == ",":
                self._at += 1
                yield
        self.skip(closing)

    def _several(self) -> list[Any]:
        """The items in what was read already, up to one that seems to end there; none if it does not.

        One by one they would take twice the time. Where brackets are in pairs, it was the end of an item.
        """
        end = self._held.rfind("},", self._at) + 1
        if self._one_by_one or not end:
            return []
        try:
            several: list[Any] = _DECODER.decode(f"[{self._held[self._at : end]}]")
        except (ValueError, RecursionError):
            self._one_by_one = True
            return []
        self._at = end
        return several

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        block = _BLOCK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                if self._is_cut(error) and self._more(block):
                    block *= 2
                    continue
                raise self.wrong(error.msg[:1].lower() + error.msg[1:], error.pos) from None
            except RecursionError:
                raise self.wrong("it is nested too deep") from None
            except ValueError:  # of whole numbers of thousands of digits
                raise self.wrong("it has a number that is too long") from None
            if end > len(self._held) - 4 and self._more(block):  # it may be a number that goes on: 1 of 1e+9
                continue
            self._at = end
            return value

    def wrong(self, what: str, at: int | None = None) -> BadFile:
        place = self._before + (self._at if at is None else at)
        return BadFile(f"is not the JSON that it should be: {what}, at character {place:,}")

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the error may be that the text ends here."""
        return error.msg.startswith("Unterminated string") or error.pos > len(self._held) - 16

    def _more(self, block: int) -> bool:
        """Reads on; whether there was more."""
        if self._ended:
            return False
        self._before += self._at
        self._held, self._at = self._held[self._at :], 0
        if len(self._held) > MOST:
            raise self.wrong(f"one value takes more than {MOST:,} characters")
        self._one_by_one = False
        read = self._file.read(block)
        self._ended = not read
        try:
            self._held += self._decoder.decode(read, final=self._ended)
        except UnicodeDecodeError as error:
            raise BadFile(f"is not UTF-8 ({error.reason})") from None
        return True


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
