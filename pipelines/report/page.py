"""Renders a report's template into one HTML file that opens offline and loads nothing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from augment.errors import RequestError
from pipelines import storage
from pipelines.report import numbers


def render(template: str, *, script: str = "", **context: Any) -> str:
    """The page of a template that extends `base.html.j2`, as text.

    Args:
        template: its path below this folder.
        script: JavaScript that runs when the page is there. Its digest stands in the page's
            content security policy, so that nothing that a name smuggles in would run.
        context: what the template shows; all of it is escaped.

    Equal arguments give equal text.
    """
    style = bundled("theme.css") + bundled("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment("pipelines.report")
        .get_template(template)
        .render(style=style, script=script, script_digest=digest, **context)
    )


def environment(package: str) -> Environment:
    """Renders the templates of a package; all that they are given is escaped."""
    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"chance": numbers.chance, "count": numbers.count}
    environment.filters["sections"] = re.compile('<section id="(.*?)">\n<h2>(.*?)</h2>').findall
    environment.filters["mark"] = lambda cell: getattr(cell, "mark", "")
    return environment


@dataclasses.dataclass(frozen=True)
class Headline:
    """What it comes to, on top of a page."""

    status: Literal["good", "bad", "unsure"]
    words: str
    rows: Sequence[tuple[str, str]] = ()


def bundled(name: str) -> str:
    """The text of a style sheet or script, by its path below this folder."""
    return resources.files("pipelines.report").joinpath(name).read_text(encoding="utf-8")


def write_page(path: str, text: str, what: str = "report") -> None:
    """Writes a page, or JSON, whole or not at all. Raises RequestError, which says `what`, if it cannot."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        # A damaged file can name what is no Unicode. So escaped, it is JSON too.
        with storage.Local(folder).writing(name, part=f"{name}.part") as file:
            file.write(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise RequestError(f"{what} {path}: it cannot be written ({error.strerror})") from None
