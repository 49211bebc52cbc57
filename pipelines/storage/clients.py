"""The client of each kind of store, one a process; Beam's options and credentials are theirs too.

What Beam's filesystems stand on is used directly, since these connect anew for every call, ask for an
object's size before they read it, hold all names of a listing in memory, cannot list one folder, and
leave half an object where writing breaks off.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from augment.errors import RequestError
from pipelines.storage.store import Store


def split(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key of a URL. Raises RequestError for another form or scheme."""
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?(.*)", url, re.DOTALL)
    if match is None or match[1] not in STORES:
        raise RequestError(f"{url}: it must be a local path, gs://BUCKET/PATH or s3://BUCKET/PATH")
    if not match[2]:
        raise RequestError(f"{url}: it names no bucket; it must be {match[1]}://BUCKET/PATH")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", match[2]):
        raise RequestError(
            f"{url}: no bucket can be named {match[2]!r}; a name has letters, digits, '.', '_' and '-', and "
            "begins and ends with a letter or a digit"
        )
    return match[1], match[2], match[3]


def use_options(arguments: Sequence[str]) -> None:
    """Has the stores take these of Beam's options from now on, as Beam's workers do by themselves."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    FileSystems.set_options(PipelineOptions([*arguments]))
    forget()


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Beam's options as they may stand in a file that others read."""
    kept: list[str] = []
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if kept and kept[-1] in _SECRETS:
            kept.append(_HIDDEN)
        else:
            kept.append(f"{name}={_HIDDEN}" if equals and name in _SECRETS else argument)
    return kept


_SECRETS = ("--s3_access_key_id", "--s3_secret_access_key", "--s3_session_token")
_HIDDEN = "(hidden)"


_MAKING = threading.Lock()


def store(scheme: str) -> Store:
    """The store of a scheme, one a process. Raises RequestError if its extra is not installed."""
    with _MAKING:  # of several threads, the first makes it
        return _made(scheme)


def forget() -> None:
    """Has stores be made anew, by the options and the environment as they are then."""
    with _MAKING:
        _made.cache_clear()


@functools.cache
def _made(scheme: str) -> Store:
    extra, create = STORES[scheme]
    # Clients keep so many connections, and warn of each that they open beyond those.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        return create(_options())
    except ImportError:
        raise RequestError(
            f"{scheme}:// needs the extra {extra}, which is not installed: make install EXTRAS={extra}"
        ) from None


def _options() -> Any:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    return FileSystems._pipeline_options or PipelineOptions([])


def _s3(options: Any) -> Store:
    from pipelines.storage.s3 import S3

    return S3(options)


def _gcs(options: Any) -> Store:
    from pipelines.storage.gcs import GCS

    return GCS(options)


STORES: dict[str, tuple[str, Callable[[Any], Store]]] = {"gs": ("gcp", _gcs), "s3": ("aws", _s3)}
"""By scheme the extra that it needs, and what makes it of Beam's options"""
