"""What stands in docs/labels.md of recipes by class, typed as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
from PIL import Image

from tests.in_process import augshard

PAGE = Path(__file__).parents[1] / "docs" / "labels.md"


def test_the_page_says_what_happens(tmp_path, monkeypatch):
    for number, label in enumerate(("turn_left", "turn_right", "stop", "yield")):
        (tmp_path / "signs" / label).mkdir(parents=True)
        for image in range(2):
            blots = np.random.default_rng([number, image]).integers(0, 256, (8, 10, 3), np.uint8)
            sign = Image.fromarray(blots).resize((200, 190), Image.Resampling.BICUBIC)
            sign.save(tmp_path / "signs" / label / f"{image}.png")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("\n## Recipes by class\n")[2].partition("\n## ")[0]
    ran = []
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
        if kind == "python":
            exec(block, {})
        elif kind == "yaml":
            assert Path("signs.yaml").read_text() == block
            head, _, own = block.partition("    ops:\n")
            Path("upright.yaml").write_text("ops:\n" + own)
            assert "classes: [turn_left, turn_right]" in head
        else:
            ended = augshard(*shlex.split(block.replace("\\\n", " "))[1:])
            assert ended.status == 0, ended.err
            if "--fix" in block:
                assert ended.out.endswith("mended  signs.yaml: other recipes for turn_left, turn_right\n")
        ran.append(kind)
    assert ran == ["", "yaml", "", "", "python"]
    files = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
    for name in files.keys() - {"run.json"}:
        assert Path("same", name).read_bytes() == files[name]
