"""Object stores: Google's by `gs://`, Amazon's and those that speak its language by `s3://`.

Options and credentials are those of Beam's filesystems, and so are the clients, made by what these
stand on. They are used directly, since Beam's filesystems connect anew for every call, ask for an
object's size before they read it, hold all names of a listing in memory, cannot list one folder, and
leave half an object where writing breaks off.

An object appears whole or not at all: both stores show what is uploaded only when all of it is there.
Every failure is an OSError: FileNotFoundError and PermissionError are lasting ones, and its strerror is
a sentence.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import IO, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from augment.errors import RequestError

DIGEST = "sha256"
"""Under what an object's metadata say the SHA-256 that it was uploaded with."""


AT_ONCE = 32
"""Requests that may well be under way at once."""


class Entry(NamedTuple):
    """What a listing found."""

    name: str
    """relative to what was listed"""
    size: int | None
    """in bytes; None for a folder"""
    version: str
    """another one for other contents; empty for a folder"""


class Status(NamedTuple):
    """One object as it is now."""

    size: int
    sha256: str | None
    """None if it was not uploaded by augshard"""
    version: str


class Store(Protocol):
    """One kind of store. A key is a path below the bucket; every method may raise OSError."""

    def list(self, bucket: str, prefix: str, *, deep: bool) -> Iterator[Entry]:
        """What keys begin with a prefix, which is empty or ends with /: all objects, or one folder."""

    def status(self, bucket: str, key: str) -> Status | None: ...

    def read(self, bucket: str, key: str) -> bytes: ...

    def download(self, bucket: str, key: str, file: IO[bytes]) -> None: ...

    def write(self, bucket: str, key: str, content: bytes) -> None: ...

    def replace(self, bucket: str, key: str, content: bytes, version: str | None) -> str | None:
        """Writes an object if it still has a version, None: if there is none; its version, None if not."""

    def upload(self, bucket: str, key: str, path: str, sha256: str) -> None:
        """Writes an object from a local file."""

    def remove(self, bucket: str, keys: Sequence[str]) -> None: ...


def split(url: str) -> tuple[str, str, str]:
    """Scheme, bucket and key of a URL. Raises RequestError for another form or scheme."""
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?(.*)", url, re.DOTALL)
    if match is None or match[1] not in _STORES:
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
    extra, create = _STORES[scheme]
    # Clients keep so many connections, and warn of each that they open beyond those.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        return create()
    except ImportError:
        raise RequestError(
            f"{scheme}:// needs the extra {extra}, which is not installed: make install EXTRAS={extra}"
        ) from None


def _options() -> Any:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    return FileSystems._pipeline_options or PipelineOptions([])


def _missing(what: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, what)


def _refused(why: str) -> OSError:
    return PermissionError(errno.EACCES, f"the store refuses it to the credentials in use ({why})")


def _no_credentials(why: str) -> OSError:
    # Not EPERM, by which Python makes a PermissionError: a token expires, and the next one does.
    return OSError(errno.EIO, f"the store takes no credentials that are here ({why}); see docs/stores.md")


def _silent(url: str) -> OSError:
    return OSError(errno.EHOSTUNREACH, f"the store does not answer at {urlsplit(url).netloc}")


def _failed(error: BaseException) -> OSError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return OSError(errno.EIO, f"the store cannot be used ({said[0]})")


class S3:
    """Amazon's, by boto3."""

    def __init__(self) -> None:
        import boto3.s3.transfer  # noqa: F401 (Beam's module is there without it)
        from apache_beam.io.aws.s3io import S3IO

        try:
            with self._faults():
                self._client = S3IO(options=_options()).client.client
        except ValueError as error:
            raise RequestError(
                f"s3://: {error}; AWS_ENDPOINT_URL and --s3_endpoint_url must be https://HOST:PORT or "
                "http://HOST:PORT"
            ) from None
        session = self._client._endpoint.http_session  # which keeps ten connections, and makes others anew
        session._max_pool_connections = AT_ONCE  # to a proxy
        session._manager.connection_pool_kw["maxsize"] = AT_ONCE

    def list(self, bucket: str, prefix: str, *, deep: bool) -> Iterator[Entry]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, **({} if deep else {"Delimiter": "/"})
        )
        with self._faults():
            for page in pages:
                for folder in page.get("CommonPrefixes", ()):
                    yield Entry(folder["Prefix"][len(prefix) : -1], None, "")
                for item in page.get("Contents", ()):
                    yield Entry(item["Key"][len(prefix) :], item["Size"], item["ETag"])

    def status(self, bucket: str, key: str) -> Status | None:
        try:
            with self._faults():
                found = self._client.head_object(Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return Status(found["ContentLength"], found["Metadata"].get(DIGEST), found["ETag"])

    def read(self, bucket: str, key: str) -> bytes:
        with self._faults():
            content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            return content

    def download(self, bucket: str, key: str, file: IO[bytes]) -> None:
        with self._faults():
            self._client.download_fileobj(bucket, key, file)

    def write(self, bucket: str, key: str, content: bytes) -> None:
        with self._faults():
            self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def replace(self, bucket: str, key: str, content: bytes, version: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            with self._faults():
                said = self._client.put_object(Bucket=bucket, Key=key, Body=content, **condition)
        except (FileExistsError, FileNotFoundError):
            return None
        return str(said["ETag"])

    def upload(self, bucket: str, key: str, path: str, sha256: str) -> None:
        with self._faults():
            self._client.upload_file(path, bucket, key, ExtraArgs={"Metadata": {DIGEST: sha256}})

    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        for begin in range(0, len(keys), 1000):  # no more at once
            objects = [{"Key": key} for key in keys[begin : begin + 1000]]
            with self._faults():
                said = self._client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for error in said.get("Errors", ()):
                raise _refused(error["Code"])

    @contextmanager
    def _faults(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            EndpointConnectionError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise _no_credentials(str(error).lower()) from error
        except EndpointConnectionError as error:
            raise _silent(error.kwargs["endpoint_url"]) from error
        except (ClientError, Boto3Error, BotoCoreError) as error:
            cause = error.__context__ if isinstance(error, Boto3Error) else error
            if not isinstance(cause, ClientError):
                raise _failed(error) from error
            code = cause.response["Error"]["Code"]
            if code == "NoSuchBucket":
                raise _missing("there is no such bucket") from error
            if code in ("NoSuchKey", "404"):
                raise _missing("there is no such object") from error
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                raise FileExistsError(errno.EEXIST, "another one was there first") from error
            if code in ("AccessDenied", "AllAccessDisabled", "403"):
                raise _refused(code) from error
            if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
                raise _no_credentials(code) from error
            raise _failed(cause) from error


class GCS:
    """Google's, by its own client."""

    def __init__(self) -> None:
        import google.auth
        from apache_beam.io.gcp.gcsio import create_storage_client
        from requests.adapters import HTTPAdapter

        # Beam asks for credentials five times in half a minute before it goes on without.
        known = not os.environ.get("STORAGE_EMULATOR_HOST")
        try:
            known = known and bool(google.auth.default())
        except google.auth.exceptions.GoogleAuthError:
            known = False  # what is public can be read
        with self._faults():
            self._client = create_storage_client(_options(), use_credentials=known)
        for scheme in ("https://", "http://"):  # the library keeps ten connections, and makes others anew
            self._client._http.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))
        self._patience = 10.0

    def list(self, bucket: str, prefix: str, *, deep: bool) -> Iterator[Entry]:
        found = self._client.list_blobs(
            bucket,
            retry=self._retry(),
            prefix=prefix,
            delimiter=None if deep else "/",
            fields="items(name,size,generation),prefixes,nextPageToken",
        )
        with self._faults(missing="bucket"):
            for page in found.pages:
                for folder in page.prefixes:
                    yield Entry(folder[len(prefix) : -1], None, "")
                for blob in page:
                    yield Entry(blob.name[len(prefix) :], blob.size, str(blob.generation))

    def status(self, bucket: str, key: str) -> Status | None:
        with self._faults():
            blob = self._client.bucket(bucket).get_blob(key, retry=self._retry())
        if blob is None:
            return None
        return Status(blob.size, (blob.metadata or {}).get(DIGEST), str(blob.generation))

    def read(self, bucket: str, key: str) -> bytes:
        with self._faults():
            content: bytes = self._blob(bucket, key).download_as_bytes(raw_download=True, retry=self._retry())
            return content

    def download(self, bucket: str, key: str, file: IO[bytes]) -> None:
        with self._faults():
            self._blob(bucket, key).download_to_file(file, raw_download=True)

    def write(self, bucket: str, key: str, content: bytes) -> None:
        with self._faults():
            self._blob(bucket, key).upload_from_string(content, "application/octet-stream")

    def replace(self, bucket: str, key: str, content: bytes, version: str | None) -> str | None:
        blob = self._blob(bucket, key)
        try:
            with self._faults():
                blob.upload_from_string(
                    content, "application/octet-stream", if_generation_match=int(version or 0)
                )
        except FileExistsError:
            return None
        return str(blob.generation)

    def upload(self, bucket: str, key: str, path: str, sha256: str) -> None:
        blob = self._blob(bucket, key)
        blob.metadata = {DIGEST: sha256}
        with self._faults():
            blob.upload_from_filename(path, "application/octet-stream")

    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        there = self._client.bucket(bucket)

        def gone(key: str) -> None:
            with suppress(FileNotFoundError), self._faults():
                there.delete_blob(key)

        with ThreadPoolExecutor(8) as pool:  # each is a request
            list(pool.map(gone, keys))

    def _retry(self) -> Any:
        """Until a first answer came, what is typed is more likely wrong than the network."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self._patience)

    def _blob(self, bucket: str, key: str) -> Any:
        return self._client.bucket(bucket).blob(key)

    @contextmanager
    def _faults(self, missing: str = "object") -> Iterator[None]:
        import requests
        import urllib3
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption

        try:
            yield
            self._patience = 120.0  # seconds; an answer came
        except exceptions.NotFound as error:
            raise _missing(f"there is no such {missing}") from error
        except exceptions.PreconditionFailed as error:
            raise FileExistsError(errno.EEXIST, "another one was there first") from error
        except exceptions.Forbidden as error:
            raise _refused(error.message) from error
        except (exceptions.Unauthorized, GoogleAuthError) as error:
            raise _no_credentials(str(error).splitlines()[0]) from error
        except (
            exceptions.GoogleAPICallError,
            exceptions.RetryError,
            requests.RequestException,
            urllib3.exceptions.HTTPError,  # a body that breaks off
            DataCorruption,
        ) as error:
            cause = error.cause if isinstance(error, exceptions.RetryError) else error
            if isinstance(cause, requests.ConnectionError) and cause.request is not None:
                raise _silent(str(cause.request.url)) from error
            raise _failed(cause or error) from error


_STORES: dict[str, tuple[str, Callable[[], Store]]] = {"gs": ("gcp", GCS), "s3": ("aws", S3)}
