"""Tables, as a terminal, a page and Markdown show them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence


class Marked(str):
    """A cell that stands out."""

    mark = "marked"


class Alarm(Marked):
    """A cell that is a fault."""

    mark = "alarm"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text below a head, which may be empty.

    On a page, columns of `numbers` stand to the right, and those of `names` may be broken anywhere.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[int] = ()
    names: Collection[int] = ()

    @classmethod
    def of(
        cls, rows: Sequence[dict[str, str]], text: Collection[str] = (), names: Collection[str] = ()
    ) -> Table:
        """Cells by their column; all but the first column, `text` and `names` are numbers."""
        head = list(rows[0]) if rows else []
        return cls(
            head,
            [list(row.values()) for row in rows],
            [i for i, name in enumerate(head) if i and name not in (*text, *names)],
            [i for i, name in enumerate(head) if name in names],
        )

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def text(self) -> str:
        """Columns as wide as what is in them; a cell of several lines has them below one another."""
        lines = [line for row in (*([self.head] if self.head else []), *self.rows) for line in _lines(row)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)

    @property
    def markdown(self) -> str:
        rows = [[f"**{cell}**" if isinstance(cell, Marked) else cell for cell in row] for row in self.rows]
        lines = [self.head, ["---"] * len(self.head), *rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _lines(row: Sequence[str]) -> list[list[str]]:
    cells = [cell.split("\n") for cell in row]
    return [[c[i] if i < len(c) else "" for c in cells] for i in range(max(map(len, cells)))]
