"""`augshard demo`: draws a small dataset of cars and trucks and runs the whole tour on it."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys

from PIL import Image, ImageDraw, ImageFilter

from augment.errors import RequestError, require
from augment.recipe import Recipe, load_recipe
from pipelines.quiet import import_tensorflow

RECIPE = """\
description: a mirror and contrast, for pictures of cars and trucks
ops:
  - resize: {height: 64, width: 64}
  - contrast: {factor: 0.2}
  - flip: {horizontal: 0.5}
"""
COPIES, SEED, MODEL, BATCH = 10, 0, "small_cnn", 16
"""A copy for each epoch, so that shards and live see the same to the end."""
COUNTS = {"train": 120, "validation": 30}
"""Images a class."""
FACES = {
    ("train", "car"): "left",
    ("train", "truck"): "right",
    ("validation", "car"): "right",
    ("validation", "truck"): "right",
}
"""A model that sees no mirrored copies learns the way they face, and calls all that validates a truck."""
MARK = ".augshard-demo"
"""Lies in a directory that the demo made, and may make anew."""


def demo(directory: str) -> None:
    """Fills `directory`. Raises RequestError if it holds something else."""
    require("TensorFlow", "augshard demo")
    if os.path.exists(directory):
        if not os.path.exists(os.path.join(directory, MARK)) and (
            not os.path.isdir(directory) or os.listdir(directory)
        ):
            raise RequestError(f"{directory}: it is not a demo's; give a new directory by --output")
        shutil.rmtree(directory)
    images, made, sheet, dataset, report = (
        os.path.join(directory, name)
        for name in ("images", "cars.yaml", "sheet.png", "dataset", "audit.html")
    )
    _say(f"drawing {2 * sum(COUNTS.values())} pictures of cars and trucks in {images}")
    draw_dataset(images)
    with open(os.path.join(directory, MARK), "w", encoding="ascii"):
        pass
    with open(made, "w", encoding="utf-8") as file:
        file.write(RECIPE)
    recipe = load_recipe(made)
    from pipelines.commands.audit import audit_command
    from pipelines.commands.materialize import materialize_command
    from pipelines.preview import preview

    _say(f"augshard preview --input {images} --recipe {made} --output {sheet}")
    preview(images, recipe, output=sheet, seed=SEED, copies=4, images=4, each_op=False)
    _say(f"augshard materialize --input {images} --recipe {made} --copies {COPIES} --output {dataset}")
    materialize_command(root=images, output=dataset, recipe=made, seed=SEED, copies=str(COPIES))
    _say("the same samples live, compared with the shards pixel by pixel")
    equal, total = _compare(images, recipe, dataset)
    sys.stdout.write(f"equal    {equal} of {total} samples\n")
    if equal != total:
        sys.exit(1)
    _say(f"augshard audit {dataset} --input {images} --samples all --report {report}")
    audit_command(dataset, root=images, samples="all", report=report)
    training = os.path.join(directory, "training")
    words = ["train", "--input", images, "--recipe", made, "--shards", dataset, "--model", MODEL]
    words += ["--epochs", str(COPIES), "--batch-size", str(BATCH), "--output", training]
    _say(shlex.join(["augshard", *words]))
    # In a process of its own: in this one, TensorFlow has been told to use one core an op.
    command = [sys.executable, "-m", "pipelines.cli", *words]
    trained = subprocess.run(command, check=False, stderr=sys.stderr)  # noqa: S603
    if trained.returncode:
        sys.exit(trained.returncode)
    sys.stdout.write(
        "\nIn training all cars face left and all trucks right; in validation all face right. What sees no\n"
        "mirrored copies (none) has learned the way they face, and is right about half of them; shards and\n"
        "live see mirrored copies, the same ones.\n"
    )
    sys.stdout.write(f"\nlook at  {sheet}\n         {report}\n         {training}/report.html\n")


def _say(step: str) -> None:
    sys.stdout.write(f"\n==> {step}\n")
    sys.stdout.flush()


def _compare(images: str, recipe: Recipe, dataset: str) -> tuple[int, int]:
    """How many samples of the shards live training gives equally, and how many there are."""
    import_tensorflow()
    from pipelines import datasets

    equal = total = 0
    for copy in range(COPIES):
        live = datasets.from_images(images, recipe, seed=SEED, split="train", copy=copy)
        shards = datasets.from_shards(dataset, split="train", copies=[copy])
        for a, b in zip(live.as_numpy_iterator(), shards.as_numpy_iterator(), strict=True):
            total += 1
            equal += a["source"] == b["source"] and bool((a["image"] == b["image"]).all())
    return equal, total


def draw_dataset(directory: str) -> None:
    """Writes DIR/<split>/{car,truck}/*.jpg, the same bytes every time."""
    for split, count in COUNTS.items():
        for label in ("car", "truck"):
            folder = os.path.join(directory, split, label)
            os.makedirs(folder)
            for number in range(count):
                chance = random.Random(f"{split} {label} {number}")  # noqa: S311
                picture = draw_vehicle(label, chance, faces=FACES[split, label])
                picture.save(os.path.join(folder, f"{label}_{number:03}.jpg"), quality=90)


def draw_vehicle(label: str, chance: random.Random, faces: str | None = None) -> Image.Image:
    """A car or a truck on a road, 192x144, drawn at twice the size and then reduced.

    One that faces `left` or `right` has its headlights on; else it may face either way.
    """
    width, height = 384, 288
    sky = tuple(chance.randint(130, 235) for _ in range(3))
    image = Image.new("RGB", (width, height), sky)
    ink = ImageDraw.Draw(image)
    for _ in range(chance.randint(2, 6)):  # hills and houses
        x, w, h = chance.randint(-60, width), chance.randint(40, 160), chance.randint(20, 90)
        shade = tuple(chance.randint(70, 190) for _ in range(3))
        shape = ink.rectangle if chance.random() < 0.5 else ink.ellipse
        shape((x, 200 - h, x + w, 200 + h), fill=shade)
    road = chance.randint(190, 205)
    gray = chance.randint(60, 110)
    ink.rectangle((0, road, width, height), fill=(gray, gray, gray + 5))
    for x in range(chance.randint(-60, 0), width, 90):
        ink.rectangle((x, road + 62, x + 45, road + 68), fill=(220, 220, 200))

    scale = chance.uniform(0.85, 1.0) if faces else chance.uniform(0.8, 1.15)
    length, body = int((190 if label == "car" else 240) * scale), int(46 * scale)
    left = chance.randint(10, 50 if faces else max(11, width - length - 10))
    floor = road + chance.randint(18, 34)
    paint = tuple(chance.randint(20, 245) for _ in range(3))
    glass = (190, 215, 230)
    if faces:
        front, lamp = left + length, floor - body // 2
        beam = [(front - 8, lamp), (width, lamp - 36), (width, floor + 24), (front - 8, lamp + 10)]
        ink.polygon(beam, fill=(255, 246, 180))
    if label == "car":
        cabin = [(0.18, 0), (0.32, -0.85), (0.68, -0.85), (0.86, 0)]
        points = [(left + fx * length, floor - body + fy * body) for fx, fy in cabin]
        ink.polygon(points, fill=paint)
        window = [(0.26, -0.05), (0.36, -0.72), (0.64, -0.72), (0.76, -0.05)]
        ink.polygon([(left + fx * length, floor - body + fy * body) for fx, fy in window], fill=glass)
        ink.rounded_rectangle((left, floor - body, left + length, floor), 14, fill=paint)
    else:
        cargo = tuple(chance.randint(150, 250) for _ in range(3))
        ink.rectangle((left, floor - int(2.6 * body), left + int(0.68 * length), floor), fill=cargo)
        cab = left + int(0.71 * length)
        ink.rounded_rectangle((cab, floor - int(1.9 * body), left + length, floor), 10, fill=paint)
        ink.rectangle((cab + 14, floor - int(1.7 * body), left + length - 8, floor - body), fill=glass)
    radius = int((20 if label == "car" else 24) * scale)
    for center in (0.2, 0.8) if label == "car" else (0.14, 0.32, 0.84):
        x = left + int(center * length)
        ink.ellipse((x - radius, floor - radius, x + radius, floor + radius), fill=(25, 25, 25))
        ink.ellipse(
            (x - radius // 2, floor - radius // 2, x + radius // 2, floor + radius // 2), fill=(170, 170, 170)
        )
    if faces == "left" or (faces is None and chance.random() < 0.5):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.reduce(2).filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.6)))
