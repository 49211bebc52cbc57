"""What stands in docs/balance.md and docs/splits.md, typed as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.in_process import augshard

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Where `photos` are, 24 frames of cars and 9 of trucks, and `scans`, with a table of patients."""
    for label, videos in (("car", 8), ("truck", 3)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for video in range(videos):
            blots = np.random.default_rng([video, len(label)]).integers(0, 256, (8, 10, 3), np.uint8)
            scene = Image.fromarray(blots).resize((150, 120), Image.Resampling.BICUBIC)
            for frame in range(3):
                place = 10 * frame, 0, 10 * frame + 130, 120
                name = f"video{video + 20 * (label == 'truck'):02}_{frame}.jpg"
                scene.crop(place).save(tmp_path / "photos" / label / name)
    (tmp_path / "scans").mkdir()
    rows = ["file_name,label,patient"]
    for number, path in enumerate(sorted((tmp_path / "photos").rglob("*.jpg"))):
        shutil.copy(path, tmp_path / f"scans/{number}.jpg")
        rows.append(f"{number}.jpg,{path.parent.name},{number // 2}")
    (tmp_path / "scans/metadata.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", ["balance", "splits"])
def test_the_page_says_what_happens(photos, page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    said, ran, names = "", 0, dict[str, object]()
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if kind == "python":
            exec(block, names)
            ran += 1
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("augshard "):
                ended = augshard(*shlex.split(line)[1:])
                assert ended.status == 0, ended.err
                said, ran = ended.out, ran + 1
            elif line.startswith(("images ", "copies ", "records ")):
                assert line in said
    assert ran >= 4
