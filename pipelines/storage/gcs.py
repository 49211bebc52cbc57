"""Google's store, by its own client."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import IO, Any

from pipelines.storage.location import Entry
from pipelines.storage.store import (
    AT_ONCE,
    DIGEST,
    Status,
    failed,
    missing,
    no_credentials,
    refused,
    replaced,
    silent,
)


class GCS:
    """See `Store`. `options` are Beam's."""

    def __init__(self, options: Any) -> None:
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
            self._client = create_storage_client(options, use_credentials=known)
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
        with self._faults(what="bucket"):
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

    def read_part(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        with self._faults():
            content: bytes = self._blob(bucket, key).download_as_bytes(
                start=offset, end=offset + size - 1, raw_download=True, retry=self._retry()
            )
            return content

    def download(self, bucket: str, key: str, version: str, file: IO[bytes]) -> None:
        with self._faults():
            self._blob(bucket, key).download_to_file(
                file, raw_download=True, if_generation_match=int(version)
            )

    def write(self, bucket: str, key: str, content: bytes, sha256: str) -> None:
        blob = self._blob(bucket, key)
        blob.metadata = {DIGEST: sha256}
        with self._faults():
            blob.upload_from_string(content, "application/octet-stream")

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
    def _faults(self, what: str = "object") -> Iterator[None]:
        import requests
        import urllib3
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption

        try:
            yield
            self._patience = 120.0  # seconds; an answer came
        except exceptions.NotFound as error:
            raise missing(f"there is no such {what}") from error
        except exceptions.PreconditionFailed as error:
            raise replaced() from error
        except exceptions.Forbidden as error:
            raise refused(error.message) from error
        except (exceptions.Unauthorized, GoogleAuthError) as error:
            raise no_credentials(str(error).splitlines()[0]) from error
        except (
            exceptions.GoogleAPICallError,
            exceptions.RetryError,
            requests.RequestException,
            urllib3.exceptions.HTTPError,  # a body that breaks off
            DataCorruption,
        ) as error:
            cause = error.cause if isinstance(error, exceptions.RetryError) else error
            if isinstance(cause, requests.ConnectionError) and cause.request is not None:
                raise silent(str(cause.request.url)) from error
            raise failed(cause or error) from error
