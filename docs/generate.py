"""Writes what the documentation says of the ops from the ops themselves: `make docs`.

The reference in recipes.md stands between two marks, and images/ has a picture of
each op; differences.json has how far its levels are from those of other libraries,
copies.webp, at the top of the README, an image with its copies, and targets.webp
two with all that is known of them.
An op without an entry in EXAMPLES is shown with its defaults.
"""

from __future__ import annotations

import inspect
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from augment.augmenter import NOT_AUGMENTED, Augmenter, augment_image
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops import Op, op_types
from augment.ops.settings import descriptions, requirement
from augment.recipe import Recipe, load_recipe, parse_recipe
from augment.targets import moved
from docs import differences
from docs.references import ALONE, REFERENCES
from pipelines.demo import CLASSES
from pipelines.demo.vehicles import draw_vehicle, draw_with_truth
from pipelines.format.targets import Targets
from pipelines.report.drawing import Overlay
from pipelines.report.sheet import Picture, draw_sheet

DOCS = Path(__file__).parent
PICTURES = DOCS / "images"
PAGE = DOCS / "recipes.md"
TARGETS_PICTURE = DOCS / "targets.webp"
COPIES_PICTURE, COPIES_RECIPE = DOCS / "copies.webp", "car_or_truck_convnet"
BEGIN, END = "<!-- ops: written by make docs -->", "<!-- end of ops -->"

FAMILIES = {
    "sizes": "Size",
    "geometry": "Geometry",
    "affine": "Affine",
    "warp": "Elastic",
    "color": "Color",
    "jitter": "Color in a drawn order",
    "quality": "Pillow's operations",
    "degrade": "Blur, noise, JPEG",
    "erase": "Hiding",
    "compose": "Ops made of ops",
    "policy": "Policies",
    "mixture": "Policies",
}
"""The modules of augment.ops, in the order of the page."""

EXAMPLES = {
    "resize": "{height: 54, width: 100, method: area}",
    "crop_or_pad": "{height: 90, width: 110}",
    "central_crop": "{fraction: 0.6}",
    "random_crop": "{height: 72, width: 96}",
    "pad_and_crop": "{padding: 20}",
    "random_resized_crop": "{height: 96, width: 96, area: [0.2, 1]}",
    "flip": "{horizontal: 0.5, vertical: 0.5}",
    "rot90": "{quarter_turns: [0, 2]}",
    "perspective": "{strength: 0.5}",
    "rotation": "{factor: 0.1}",
    "translation": "{height: 0.2, width: 0.2, fill_mode: constant}",
    "zoom": "{scale: [0.6, 1.6]}",
    "width": "{scale: [0.6, 1.6]}",
    "height": "{scale: [0.6, 1.6]}",
    "shear": "{x: 0.4, y: 0.2, fill_mode: nearest}",
    "elastic": "{strength: [0.3, 0.48]}",
    "brightness": "{delta: 0.4}",
    "contrast": "{factor: 0.8}",
    "saturation": "{factor: [0, 3]}",
    "hue": "{delta: [-0.5, 0.5]}",
    "gamma": "{gamma: [0.4, 2.5]}",
    "color_jitter": "{brightness: 0.4, contrast: 0.4, saturation: 0.8, hue: 0.1}",
    "posterize": "{bits: [1, 2, 3]}",
    "solarize": "{threshold: [60, 200]}",
    "sharpness": "{factor: [0, 10]}",
    "blur": "{sigma: [0, 3]}",
    "noise": "{sigma: [0.02, 0.2]}",
    "jpeg_quality": "{quality: [3, 30]}",
    "random_erasing": "{area: [0.05, 0.3]}",
    "cutout": "{side: 32, holes: 2}",
    "one_of": "{ops: [invert, rotation: {factor: 0.1}, hue: {delta: [0.2, 0.4]}]}",
    "some_of": "{count: [0, 2], ops: [grayscale, rotation: {factor: 0.1}, noise: {sigma: [0.1, 0.1]}]}",
    "sometimes": "{p: 0.5, ops: [grayscale, rotation: {factor: 0.1}]}",
    "rand_augment": "{layers: 2, magnitude: 15}",
    "auto_augment": "{policy: imagenet}",
    "aug_mix": "{severity: 8}",
}

HEIGHT, WIDTH = 108, 144
FRAME = f"resize: {{id: frame, height: {HEIGHT}, width: {WIDTH}, method: area}}"
COPIES, GAP, SOURCE = 3, 6, "car.jpg"
FIRST_COPY = {"flip": 9, "zoom": 6, "one_of": 5, "some_of": 4}
"""From where the copies differ; else from the first one on."""
MOST_COLUMNS = 9
NUMBERS = {"float32": "number", "int32": "whole number", "uint32": "whole number", "bool": "true or false"}


def example(op: type[Op]) -> str:
    """The entry of a recipe that the picture shows."""
    settings = EXAMPLES.get(op.name)
    return f"{op.name}: {settings}" if settings else op.name


def shown(op: type[Op]) -> Recipe:
    """That entry behind a resize to the size of the pictures."""
    return parse_recipe(f"ops:\n  - {FRAME}\n  - {example(op)}\n", name=op.name)


def reference() -> str:
    """The text between the marks."""
    families = _families()
    overview = [
        f"| {title} | {', '.join(f'[`{op.name}`](#{op.name})' for op in ops)} |"
        for title, ops in families.items()
    ]
    parts = ["| family | ops |\n| --- | --- |\n" + "\n".join(overview)]
    for title, ops in families.items():
        parts.append(f"### {title}")
        parts += [_section(op) for op in ops]
    return "\n\n".join(parts)


def _families() -> dict[str, list[type[Op]]]:
    """The ops of this package by the title of their module."""
    found: dict[str, list[type[Op]]] = {title: [] for title in FAMILIES.values()}
    for op in op_types().values():
        package, _, module = op.__module__.rpartition(".")
        if package == "augment.ops":
            found.setdefault(FAMILIES.get(module, module), []).append(op)
    return {title: ops for title, ops in found.items() if ops}


def _section(op: type[Op]) -> str:
    text = "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(op) or "").split("\n\n"))
    parts = [
        f"#### {op.name}",
        text,
        f"![{op.name}: before and after](images/{op.name}.webp)",
        f"`- {example(op)}`",
    ]
    settings = [name for name in op.in_order() if name not in ("id", "p") or _is_its_own(op, name)]
    if settings:
        rows = "\n".join(_setting(op, name) for name in settings)
        parts.append("| setting | default | takes | meaning |\n| --- | --- | --- | --- |\n" + rows)
    parts.append(f"Reference: {_held_to(op)}.")
    parts.append(f"Recorded: {_recorded(op)}.{_plain(op)}{_labels(op)}")
    return "\n\n".join(parts)


def _held_to(op: type[Op]) -> str:
    """The functions of other libraries that it is held to, and the largest difference from each."""
    if op.name in ALONE:
        return ALONE[op.name]
    found = differences.stored()[op.name]
    each = zip(REFERENCES[op.name], found, strict=True)
    return ". ".join(f"{reference.name}: {difference}" for reference, difference in each)


def _is_its_own(op: type[Op], field: str) -> bool:
    """Whether an op defines one of the settings of all ops anew."""
    return op.model_fields[field].is_required()


def _setting(op: type[Op], name: str) -> str:
    field = op.model_fields[name]
    default = "" if field.is_required() else f"`{_yaml(field.default)}`"
    about = " ".join(descriptions(op).get(name, "").split())
    return f"| `{name}` | {default} | {requirement(field)} | {about} |"


def _yaml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _recorded(op: type[Op]) -> str:
    """The op's columns in the samples table, behind `<id>.`, with the settings of the picture."""
    augmenter = Augmenter(shown(op), seed=0)
    drawn = augmenter.recorded(augmenter.draw_copies(source_words([SOURCE]), 0))
    columns = {n: v.dtype.name for n, v in drawn.items() if n.startswith((f"{op.name}.", f"{op.name}/"))}
    recipe = augmenter.recipe
    declared = recipe.ops[-1].parameters(recipe.steps[-1].size) if op.draw is Op.draw else {}
    names = []
    for column, kind in columns.items():
        name = column.removeprefix(f"{op.name}.")
        names.append(f"`{name}` ({declared.get(name, NUMBERS.get(kind, kind))})")
    more = f" and {len(names) - MOST_COLUMNS} more of the kind" if len(names) > MOST_COLUMNS else ""
    return ", ".join(names[:MOST_COLUMNS]) + more or "nothing"


def _plain(op: type[Op]) -> str:
    """What stands for the op where images are not augmented."""
    instead = op.plain_kernels.__doc__ if op.plain_kernels is not Op.plain_kernels else None
    return f" Not augmented: {instead[0].lower()}{instead[1:]}" if instead else ""


def _labels(op: type[Op]) -> str:
    """What the op can do to labels with the settings of the picture."""
    changes = dict.fromkeys(f"`{hazard.change}`" for hazard in shown(op).hazards().values())
    return f" To [labels](labels.md#what-is-checked): {', '.join(changes)}." if changes else ""


def sprite(op: type[Op]) -> Image.Image:
    """The picture before, then some copies; one where all are the same."""
    recipe = shown(op)
    photo = np.asarray(draw_vehicle("car", random.Random("docs 18")))  # noqa: S311
    before = parse_recipe(f"ops:\n  - {FRAME}\n", name="before")
    copies = 1 if all(step.deterministic for step in recipe.steps) else COPIES
    tiles = [augment_image(photo, before, seed=0, source=SOURCE, copy=0)]
    first = FIRST_COPY.get(op.name, 0)
    tiles += [augment_image(photo, recipe, seed=0, source=SOURCE, copy=first + k) for k in range(copies)]
    sheet = Image.new("RGB", ((WIDTH + GAP) * len(tiles) + GAP, HEIGHT), "white")
    for column, tile in enumerate(tiles):
        height, width = tile.shape[:2]
        left = column * (WIDTH + GAP) + (2 * GAP if column else 0)
        sheet.paste(Image.fromarray(tile), (left + (WIDTH - width) // 2, (HEIGHT - height) // 2))
    return sheet


def copies() -> Image.Image:
    """A row for a car and one for a truck: the picture, then copies 0 to 5 by the preset of COPIES_RECIPE."""
    recipe, rows, columns, gap = load_recipe(COPIES_RECIPE), ("car", "truck"), 6, 4
    side, *_ = recipe.image_size
    sheet = Image.new("RGBA", (7 * side + 8 * gap, 2 * side + gap))
    for row, label in enumerate(rows):
        photo = np.asarray(draw_vehicle(label, random.Random(f"README {label} 6")))  # noqa: S311
        top = row * (side + gap)
        for copy in (NOT_AUGMENTED, *range(columns)):
            tile = augment_image(photo, recipe, seed=0, source=f"{label}/001.jpg", copy=copy)
            left = (copy + 1) * (side + gap) + (2 * gap if copy != NOT_AUGMENTED else 0)
            sheet.paste(Image.fromarray(tile), (left, top))
    return sheet


def targets() -> Image.Image:
    """A car and a truck with box, outline and wheels, as they are and in copies 0 to 3."""
    recipe = parse_recipe(MOVING, name="moving")
    augmenter, names = Augmenter(recipe, 0), Targets(has=("boxes", "polygons"), classes=CLASSES)
    rows = []
    for label in ("car", "truck"):
        drawn = draw_with_truth(label, random.Random(f"docs {label} 3"), "left")  # noqa: S311
        photo, source = np.asarray(drawn.picture), f"{label}/001.jpg"
        pictures = []
        for copy in (NOT_AUGMENTED, 0, 1, 2, 3):
            tile = augment_image(photo, recipe, seed=0, source=source, copy=copy)
            *_, last = augmenter.stage_geometries(photo.shape[:2], source, copy)
            shown = Overlay(moved(drawn.annotation.objects, None, last), names)
            pictures.append(Picture(tile, "not augmented" if copy < 0 else f"copy {copy}", overlay=shown))
        rows.append((source, pictures))
    return draw_sheet(rows, "what was drawn, and where it is in four copies")


MOVING = """
ops:
  - resize: {height: 160, width: 160}
  - flip: {horizontal: 0.5}
  - rotation: {factor: 0.06}
  - zoom: {scale: [0.8, 1.4]}
  - contrast: {factor: 0.4}
"""


def main() -> None:
    differences.write()
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise RequestError(f"{PAGE}: it has no {BEGIN} ... {END}, between which the ops are described")
    PAGE.write_text(f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}", encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    ops = [op for family in _families().values() for op in family]
    for old in PICTURES.glob("*.webp"):
        if old.stem not in {op.name for op in ops}:
            old.unlink()
    for op in ops:
        sprite(op).save(PICTURES / f"{op.name}.webp", quality=85, method=6)
    copies().save(COPIES_PICTURE, quality=88, method=6)
    targets().save(TARGETS_PICTURE, quality=88, method=6)
    total = sum(path.stat().st_size for path in PICTURES.glob("*.webp"))
    sys.stdout.write(f"{len(ops)} ops in {PAGE}, {total / 1e3:,.0f} kB of pictures in {PICTURES}\n")


if __name__ == "__main__":
    main()
