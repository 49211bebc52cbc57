"""A bucket in an emulator of Google's store, with images in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import files, stores
from tests.e2e.conftest import *  # noqa: F403
from tests.engines import servers


@pytest.fixture(scope="module")
def gcs(tmp_path_factory) -> Iterator[str]:
    """The emulator's address, to which every client of this process, and of its children, goes."""
    program = shutil.which("fake-gcs-server")
    if program is None:
        pytest.skip("needs fake-gcs-server")
    port = servers.free_port()
    where = ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    command = [program, "-backend", "memory", "-scheme", "http", *where]
    logs = tmp_path_factory.mktemp("gcs")
    with (
        servers.running(command, logs / "gcs.log", lambda: servers.answers(port)),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        stores.store.cache_clear()
        yield f"http://127.0.0.1:{port}"
    stores.store.cache_clear()


@pytest.fixture(scope="module")
def bucket(gcs, images) -> str:
    """gs://... with the images below photos/."""
    from google.cloud import storage

    client = storage.Client.create_anonymous_client()
    client.project = "test"
    made = client.create_bucket("augshard-test")
    for name in files.tree(str(images)):
        made.blob(f"photos/{name}").upload_from_filename(Path(images, name))
    return "gs://augshard-test"
