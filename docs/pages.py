"""What becomes a page of the site besides docs/*.md, and how links lead there: a hook of MkDocs.

The same files are read on the repository's own pages, so their links are those of files. A link that leaves
docs/ goes to the page made of that file, or to a listing of it; one to a folder becomes its text alone.
Notebooks are pages with what they showed when they were run last.
"""

from __future__ import annotations

import html
import json
import logging
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Files outside docs/ that are pages, by their path in the repository."""
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^()\s]+)\)")
LARGEST_LISTING = 100_000
LOG = logging.getLogger("mkdocs.hooks.pages")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie elsewhere, and what any page links to."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=_notebook(path)))
    pages = [file for file in files if file.is_documentation_page()]
    for target in sorted({target for file in pages for target in _outside(file)}):
        files.append(_listing(config, target))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that lead to files of the site, and pipes in tables as this Markdown writes them."""

    def lead(match: re.Match[str]) -> str:
        text, link = match.groups()
        target, _, anchor = link.partition("#")
        path = _in_repository(page.file, target)
        if path is None:
            return match.group()
        if (ROOT / path).is_dir():
            return text.strip("[]")
        there = posixpath.relpath(_source(path), posixpath.dirname(page.file.src_uri) or ".")
        return f"{text}({there}{'#' if anchor else ''}{anchor})"

    if re.search(r"^ {2,3}```", markdown, flags=re.MULTILINE):
        LOG.warning("%s: code within a list is indented by 4, or it ends the list here", page.file.src_uri)
    return re.sub(r"^\|.*$", _pipes, LINK.sub(lead, markdown), flags=re.MULTILINE)


def _pipes(row: re.Match[str]) -> str:
    return re.sub(r"`[^`]*`", lambda code: code.group().replace("\\|", "|"), row.group())


def _in_repository(file: File, target: str) -> str | None:
    """The path in the repository of what a page links to; None if it is elsewhere, or not there."""
    if not target or ":" in target:
        return None
    homes = {page: path for path, page in PAGES.items()}
    home = homes.get(file.src_uri, f"docs/{file.src_uri}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(home), target))
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def _source(path: str) -> str:
    """Where a file of the repository lies among the site's sources."""
    inside = path.removeprefix("docs/")
    if path in PAGES:
        return PAGES[path]
    if path != inside and Path(path).suffix in (".md", ".webp", ".svg"):
        return inside
    if path != inside and Path(path).suffix == ".ipynb":
        return f"{inside.removesuffix('.ipynb')}.md"
    small = (ROOT / path).stat().st_size <= LARGEST_LISTING
    return f"files/{path}.md" if small else f"files/{path}"


def _outside(file: File) -> set[str]:
    """The files of the repository that a page links to and that are not pages."""
    paths = {
        _in_repository(file, target.partition("#")[0]) for _, target in LINK.findall(file.content_string)
    }
    return {path for path in paths if path and (ROOT / path).is_file() and _source(path).startswith("files/")}


def _listing(config: MkDocsConfig, path: str) -> File:
    """A page with a file's text; of a large one, the file."""
    source = _source(path)
    if not source.endswith(".md"):
        return File.generated(config, source, abs_src_path=os.fspath(ROOT / path))
    text = (ROOT / path).read_text(encoding="utf-8")
    language = Path(path).suffix.lstrip(".") or "text"
    return File.generated(config, source, content=f"# {path}\n\n````{language}\n{text}\n````\n")


def _notebook(path: Path) -> str:
    """A notebook as Markdown."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"````python\n{source}\n````", *map(_output, cell["outputs"])]
    return "\n\n".join(parts)


def _output(output: dict[str, Any]) -> str:
    data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    if "image/png" in data:
        said = html.escape(data.get("text/plain", ""))
        return f'<div class="output"><img alt="{said}" src="data:image/png;base64,{data["image/png"]}"></div>'
    text = data.get("text/plain") or "".join(output.get("text", ""))
    return f"````text\n{text.strip()}\n````"
