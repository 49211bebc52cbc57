"""`augshard look`: checks what was typed, and shows a dataset in a browser."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import webbrowser
from collections.abc import Sequence

from augment.errors import RequestError
from pipelines import storage
from pipelines.commands.checks import annotations_beside
from pipelines.format.manifest import read_manifest
from pipelines.format.request import load_plugins
from pipelines.sources import check_root


def look_command(
    directory: str,
    *,
    root: str | None = None,
    annotations: str | None = None,
    findings: str | None = None,
    port: int = 0,
    browser: bool = True,
    plugins: Sequence[str] = (),
) -> None:
    """Serves a dataset's pages until it is stopped. Raises RequestError for a wrong request."""
    load_plugins(plugins)
    if not 0 <= port < 1 << 16:
        raise RequestError(f"--port is {port}; it must be from 0, which takes a free one, to 65535")
    storage.check_text(os.path.abspath(directory), "dataset")
    manifest = read_manifest(directory)
    if root is not None:
        root = check_root(root)
    beside = annotations_beside(directory, manifest, root, annotations)
    from pipelines.look.found import read_found
    from pipelines.look.server import ADDRESS, Server
    from pipelines.look.site import Site

    found = None if findings is None else read_found(findings, directory, manifest)
    site = Site(directory, manifest, root=root, annotations=beside, found=found)
    try:
        server = Server(site, port)
    except OSError as error:
        raise RequestError(
            f"--port {port}: {ADDRESS} cannot be listened on there ({storage.reason(error)}); "
            "give another one, or leave it out"
        ) from None
    with server:
        sys.stdout.write(f"look at  {server.url}\nCtrl-C   ends it\n")
        sys.stdout.flush()
        if browser and _has_screen():
            threading.Thread(target=_open, args=[server.url], daemon=True).start()
        server.serve_forever()


def _has_screen() -> bool:
    """Whether a browser would get a window; one in the terminal would take Ctrl-C's place."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _open(url: str) -> None:
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(url)
