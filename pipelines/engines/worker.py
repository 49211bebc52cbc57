"""A worker of the embedded runner in a process of its own: Beam's, which ends with its launcher.

`python -m pipelines.engines.worker LAUNCHER`, with the launcher's process number.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from pipelines import process

_LOOKS = 0.2
"""Seconds between two looks whether the launcher is there: for so long it may be outlived."""


def main() -> None:
    """Works until the launcher lets go, or is no more."""
    threading.Thread(target=end_with, args=(int(sys.argv.pop()),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal; the launcher tells us
    with process.starting():
        from apache_beam.runners.worker import sdk_worker_main

        process.started()
    sdk_worker_main.main(sys.argv)


def end_with(launcher: int) -> None:
    """Ends this process once its parent is another one. What it has not finished has no name yet."""
    while os.getppid() == launcher:
        time.sleep(_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    main()
