"""Importing TensorFlow without what it prints before anybody can turn it down."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile

from pipelines.process import unheard


def import_tensorflow(threads_an_op: int | None = None) -> None:
    """Imports TensorFlow; what it writes to stderr is shown only if that fails.

    `threads_an_op` holds in a process that has not started TensorFlow's runtime yet.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
