"""`augshard doctor`: what is installed here, whether it computes what it should, and what to do if not.

Kernels and codecs are tried, not believed for their versions. Nothing is imported before its turn: a part
that does not even load is a line like any other.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.report.table import Table


class Part(NamedTuple):
    """One line."""

    name: str
    state: str
    works: bool = True
    """False: a part without which augshard cannot do its work does not do its own"""


class Extra(NamedTuple):
    """What some can do without."""

    name: str
    module: str
    distribution: str
    install: str
    purpose: str


OPTIONAL = (
    Extra("HEIC", "pillow_heif", "pillow-heif", "make install EXTRAS=heic", "photos of phones as they are"),
    Extra("gs://", "google.cloud.storage", "google-cloud-storage", "make install EXTRAS=gcp", "Google Cloud"),
    Extra("s3://", "boto3", "boto3", "make install EXTRAS=aws", "object stores of S3's kind"),
    Extra("ArrayRecord", "array_record", "array-record", "make install EXTRAS=arrayrecord", "its exports"),
    Extra(
        "TFDS",
        "tensorflow_datasets",
        "tensorflow-datasets",
        "pip install tensorflow-datasets",
        "reading by it",
    ),
    Extra("PyTorch", "torch", "torch", "pip install torch", "datasets.torch"),
)


def doctor() -> tuple[str, bool]:
    """The lines, and whether everything works that augshard needs."""
    parts = [*_machine()]
    for name, look in _NEEDED.items():
        try:
            parts += [part._replace(name=name) for part in look()]
        except Exception as error:  # noqa: BLE001 (whatever it is, it belongs into the line)
            said = str(error).strip().splitlines() or [type(error).__name__]
            state = f"it does not load ({said[-1]}); install it as README.md says"
            parts.append(Part(name, state, works=False))
    parts += [_optional(one) for one in OPTIONAL]
    broken = list(dict.fromkeys(part.name for part in parts if not part.works))
    verdict = f"not all that is needed works: {', '.join(broken)}" if broken else "all that is needed works"
    rows = [("verdict", verdict), *((part.name, part.state) for part in parts)]
    shown = [(name if name != before else "", state) for (name, state), before in _with_before(rows)]
    return Table((), shown).text, not broken


def _with_before(rows: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], str]]:
    yield from zip(rows, ["", *(name for name, _ in rows)], strict=False)


def _machine() -> Iterator[Part]:
    yield Part("augshard", _version("augshard"))
    yield Part("system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Part("cores", str(cores))
    yield Part("memory", _memory())


def _memory() -> str:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # of a container; "max" is no number
        whole = min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    said = f"{whole / 2**30:.1f} GiB"
    with contextlib.suppress(OSError):  # on other systems than Linux
        free = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        said += f", {min(int(free[1]) * 1024, whole) / 2**30:.1f} GiB of it free" if free else ""
    return said


def _host() -> Iterator[Part]:
    from augment.kernels import canary

    versions = _versions("numpy", "opencv-python-headless")
    count, different = len(canary.of_host()), canary.differences()
    if not different:
        yield Part("", f"{count} kernels, all as everywhere ({versions})")
    else:
        instead = importlib.util.find_spec("tensorflow") is not None
        state = f"{', '.join(different)} give other levels here than elsewhere ({versions}); "
        state += "TensorFlow takes their place, which is slower" if instead else "install TensorFlow"
        yield Part("", state, works=instead)


def _device() -> Iterator[Part]:
    if importlib.util.find_spec("tensorflow") is None:
        yield Part("", "TensorFlow is not installed: no AugmentLayer, tf.data, train, or audit by it")
        return
    from pipelines.quiet import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from augment.kernels import canary, device

    with tf.device("CPU"):
        found = canary.outcomes(lambda kernels, image: device.apply(kernels, tf.constant(image)).numpy())
    different = canary.differences(found)
    versions = _versions("tensorflow", "keras")
    gpus = f"{len(tf.config.list_physical_devices('GPU'))} GPUs".replace("0 GPUs", "no GPU")
    if different:
        state = f"{', '.join(different)} give other levels here than elsewhere ({versions}); that is a fault"
        yield Part("", state, works=False)
    else:
        yield Part("", f"{len(found)} kernels, all as everywhere ({versions}; {gpus})")


def _codecs() -> Iterator[Part]:
    from augment.codec import canary

    versions = _versions("simplejpeg", "zlib-ng", "pillow")
    different = canary.differences()
    if different:
        yield Part(
            "",
            f"{', '.join(different)} give other bytes here than elsewhere ({versions}): datasets are of "
            "another parity class; install what constraints.txt says",
        )
    else:
        yield Part("", f"{len(canary.outcomes())} ways to read and write, all as everywhere ({versions})")


def _job() -> Iterator[Part]:
    logging.disable(logging.CRITICAL)  # Beam warns of what is of no use here
    import apache_beam
    import pyarrow.parquet

    yield Part("", f"Beam {apache_beam.__version__}, PyArrow {pyarrow.__version__}")


def _reports() -> Iterator[Part]:
    if importlib.util.find_spec("matplotlib") is None:
        yield Part("", "Matplotlib is not installed: no figures, and so no pages")
    else:
        yield Part("", _versions("matplotlib", "jinja2"))


_NEEDED: dict[str, Callable[[], Iterator[Part]]] = {
    "host": _host,
    "device": _device,
    "codecs": _codecs,
    "job": _job,
    "reports": _reports,
}


def _optional(one: Extra) -> Part:
    with contextlib.suppress(ModuleNotFoundError):  # of the package that it lies in
        if importlib.util.find_spec(one.module) is not None:
            return Part(one.name, f"{one.distribution} {_version(one.distribution)}")
    return Part(one.name, f"not installed; for {one.purpose}: {one.install}")


def _versions(*distributions: str) -> str:
    return ", ".join(f"{name} {_version(name)}" for name in distributions)


def _version(distribution: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return "of an unknown version"
