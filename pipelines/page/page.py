"""Renders a report's template into one HTML file that opens offline and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from augment.errors import RequestError


def render(template: str, *, script: str = "", **context: Any) -> str:
    """The page of a template that extends `page/base.html.j2`, as text.

    Args:
        template: its path below `pipelines`.
        script: JavaScript that runs when the page is there. Its digest stands in the page's
            content security policy, so that nothing that a name smuggles in would run.
        context: what the template shows; all of it is escaped.

    Equal arguments give equal text.
    """
    environment = Environment(
        loader=PackageLoader("pipelines", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    style = stylesheet("theme.css") + stylesheet("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        style=style, script=script, script_digest=digest, **context
    )


def stylesheet(name: str) -> str:
    """One of the style sheets of this folder."""
    return resources.files("pipelines.page").joinpath(name).read_text(encoding="utf-8")


def write_page(path: str, text: str) -> None:
    """Writes a page, whole or not at all. Raises RequestError where that is not possible."""
    unfinished = f"{path}.part"
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        # A damaged file can name what is no Unicode.
        with open(unfinished, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
        os.replace(unfinished, path)
    except OSError as error:
        raise RequestError(f"report {path}: it cannot be written ({error.strerror})") from None
