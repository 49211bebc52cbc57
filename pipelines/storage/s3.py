"""Amazon's store, and those that speak its language, by boto3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from augment.errors import RequestError
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


class S3:
    """See `Store`. `options` are Beam's."""

    def __init__(self, options: Any) -> None:
        import boto3.s3.transfer  # noqa: F401 (Beam's module is there without it)
        from apache_beam.io.aws.s3io import S3IO

        try:
            with self._faults():
                self._client = S3IO(options=options).client.client
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

    def read_part(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        span = f"bytes={offset}-{offset + size - 1}"
        with self._faults():
            content: bytes = self._client.get_object(Bucket=bucket, Key=key, Range=span)["Body"].read()
            return content

    def download(self, bucket: str, key: str, version: str, file: IO[bytes]) -> None:
        with self._faults():
            self._client.download_fileobj(bucket, key, file)
        status = self.status(bucket, key)  # for what comes in parts there is no condition
        if status is None or status.version != version:
            raise replaced()

    def write(self, bucket: str, key: str, content: bytes, sha256: str) -> None:
        with self._faults():
            self._client.put_object(Bucket=bucket, Key=key, Body=content, Metadata={DIGEST: sha256})

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
                raise refused(error["Code"])

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
            raise no_credentials(str(error).lower()) from error
        except EndpointConnectionError as error:
            raise silent(error.kwargs["endpoint_url"]) from error
        except (ClientError, Boto3Error, BotoCoreError) as error:
            cause = error.__context__ if isinstance(error, Boto3Error) else error
            if not isinstance(cause, ClientError):
                raise failed(error) from error
            code = cause.response["Error"]["Code"]
            if code == "NoSuchBucket":
                raise missing("there is no such bucket") from error
            if code in ("NoSuchKey", "404"):
                raise missing("there is no such object") from error
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                raise replaced() from error
            if code in ("AccessDenied", "AllAccessDisabled", "403"):
                raise refused(code) from error
            if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
                raise no_credentials(code) from error
            raise failed(cause) from error
