"""python -m tests.torture [kills] [rivals] [settings] [--times N] [--seed N]

Exit status: 0 all held, 1 something broke; the scratch directory then stays, and its path is said.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import kills, rivals, runs, settings

PARTS = {
    "kills": (kills.kills, kills.TIMES),
    "rivals": (rivals.rivals, rivals.TIMES),
    "settings": (settings.settings, settings.TIMES),
}


def main() -> None:
    """Tries the chosen parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none is named")
    parser.add_argument("--times", type=int, help="how often, in place of each part's own number")
    parser.add_argument("--seed", type=int, help="of what is random; the one that was used is printed")
    chosen = parser.parse_args()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
    runs.load()
    broken = False
    for name in chosen.parts or PARTS:
        part, times = PARTS[name]
        scratch = Path(tempfile.mkdtemp(prefix=f"augshard-{name}-", dir="/var/tmp"))
        began = time.monotonic()
        try:
            outcome = part(scratch, random.Random(seed), chosen.times or times)
            shutil.rmtree(scratch)
        except runs.Broken as error:
            outcome, broken = f"BROKEN: {error}; look at {scratch}", True
        print(f"{name:10} seed {seed}, {time.monotonic() - began:.0f} s: {outcome}", flush=True)
    sys.exit(broken)


if __name__ == "__main__":
    main()
