"""Whether the job's memory stays flat: its peak on a few images and on ten times as many.

python -m benchmarks.memory [--images 1200] [--times 10]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import run
from benchmarks.photos import draw_photos, lay_out

COPIES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", type=int, default=1200, metavar="N", help="sources at first [%(default)s]"
    )
    parser.add_argument(
        "--times", type=int, default=10, metavar="N", help="how many times more then [%(default)s]"
    )
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory(prefix="augshard-benchmark-") as scratch:
        photos = draw_photos(Path(scratch, "photos"), side=48)  # 64x48: the number counts, not the size
        for count in (arguments.images, arguments.images * arguments.times):
            root = lay_out(photos, Path(scratch, f"input-{count}"), count)
            output = Path(scratch, f"output-{count}")
            peaks.append(run("job", COPIES, "flowers_jpeg.yaml", root, output, images=count * COPIES).peak)
            sys.stdout.write(f"{count:>8,} images  {peaks[-1] / 1e6:,.0f} MB\n")
    sys.stdout.write(f"   ratio         {peaks[1] / peaks[0]:.3f}\n")


if __name__ == "__main__":
    main()
