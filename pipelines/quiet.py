"""Importing TensorFlow without what it prints before anybody can turn it down."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile


def import_tensorflow(threads_an_op: int | None = None) -> None:
    """Imports TensorFlow; what it writes to stderr is shown only if that fails.

    `threads_an_op` holds in a process that has not started TensorFlow's runtime yet.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            import tensorflow as tf

            if threads_an_op is not None:
                with contextlib.suppress(RuntimeError):  # it has started
                    tf.config.threading.set_intra_op_parallelism_threads(threads_an_op)
            tf.get_logger().setLevel("ERROR")  # its warnings are for those who write graphs
            tf.constant(0)  # starts the runtime, which has its own say
        except BaseException:
            heard.seek(0)
            os.write(stderr, heard.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
