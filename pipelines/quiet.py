"""Importing TensorFlow without what it prints before anybody can turn it down."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from pipelines.process import unheard


def import_tensorflow(threads_an_op: int | None = None, *, with_keras: bool = True) -> None:
    """Imports TensorFlow; what it writes to stderr is shown only if that fails.

    `threads_an_op` holds in a process that has not started TensorFlow's runtime yet. Without Keras, which
    imports Matplotlib, it takes a fifth less; Keras is then imported when it is first used.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if with_keras else _keras_later():
        _import_tensorflow(threads_an_op)


@contextlib.contextmanager
def _keras_later() -> Iterator[None]:
    """Has TensorFlow look for the Keras of old, which is not there, in place of loading that of today."""
    before = os.environ.get(_LEGACY)
    os.environ[_LEGACY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_LEGACY]
        else:
            os.environ[_LEGACY] = before


_LEGACY = "TF_USE_LEGACY_KERAS"


def _import_tensorflow(threads_an_op: int | None) -> None:
    with tempfile.TemporaryFile() as heard:
        try:
            with unheard(heard.fileno()):
                import tensorflow as tf

                if threads_an_op is not None:
                    with contextlib.suppress(RuntimeError):  # it has started
                        tf.config.threading.set_intra_op_parallelism_threads(threads_an_op)
                tf.get_logger().setLevel("ERROR")  # its warnings are for those who write graphs
                tf.constant(0)  # starts the runtime, which has its own say
        except Exception:
            heard.seek(0)
            sys.stderr.write(heard.read().decode(errors="replace"))
            raise
