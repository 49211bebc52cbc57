"""`augshard demo`: draws a small dataset of cars and trucks and runs the whole tour on it."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from augment.errors import RequestError, require
from augment.recipe import Recipe, load_recipe
from augment.targets import UNIT, Annotation, Object
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
CLASSES = ("car", "truck")
"""In a mask their ids are 1 and 2."""
KEYPOINTS = ("front_wheel", "rear_wheel")
"""The outermost wheels. They are no pair: what a mirror turns round drives the other way, and the wheel in
front is still the one in front."""
ANNOTATIONS, MASKS = "annotations", "masks"
_WHEELS = {"car": (0.2, 0.8), "truck": (0.14, 0.32, 0.84)}
"""Where they are along the vehicle, from behind."""


class Drawn(NamedTuple):
    """A picture, and what is known of it because we drew it."""

    picture: Image.Image
    annotation: Annotation
    """the vehicle: its box and outline to half a pixel, as it is drawn at twice the size; and its wheels"""
    mask: np.ndarray
    """uint8 [H, W]: the vehicle's id where it covers half of a pixel or more, else 0"""


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
    annotations, masks = (os.path.join(directory, name) for name in (ANNOTATIONS, MASKS))
    _say(f"drawing {2 * sum(COUNTS.values())} pictures of cars and trucks in {images}")
    draw_dataset(images)
    write_annotations(directory)
    with open(os.path.join(directory, MARK), "w", encoding="ascii"):
        pass
    with open(made, "w", encoding="utf-8") as file:
        file.write(RECIPE)
    recipe = load_recipe(made)
    from pipelines.annotations import annotations_of
    from pipelines.commands.audit import audit_command
    from pipelines.commands.materialize import materialize_command
    from pipelines.preview import preview

    _say(f"augshard preview --input {images} --annotations {annotations} --recipe {made} --output {sheet}")
    beside = annotations_of(annotations)
    preview(images, recipe, output=sheet, seed=SEED, copies=4, images=4, each_op=False, annotations=beside)
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
    sys.stdout.write(
        "\nThe pictures come with masks, and with boxes in COCO's form; to learn those (a minute each):\n"
    )
    for what, beside_them, network in (("masks", masks, "unet"), ("boxes", annotations, "center_grid")):
        for line in _commands(images, made, beside_them, os.path.join(directory, f"of-{what}"), network):
            sys.stdout.write(f"  {line}\n")
    sys.stdout.write(f"\nlook at  {sheet}\n         {report}\n         {training}/report.html\n")


def _commands(images: str, recipe: str, annotations: str, output: str, model: str) -> Iterator[str]:
    """What to type to learn what lies beside the pictures."""
    given = ["--input", images, "--annotations", annotations, "--recipe", recipe]
    yield shlex.join(["augshard", "materialize", *given, "--copies", str(COPIES), "--output", output])
    words = ["augshard", "train", *given, "--shards", output, "--model", model]
    words += ["--epochs", str(COPIES), "--batch-size", str(BATCH), "--output", f"{output}-training"]
    yield shlex.join(words)


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
    for name, drawn in _drawn_dataset():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        drawn.picture.save(path, quality=90)


def write_annotations(directory: str) -> None:
    """Writes what is known of the pictures of `draw_dataset`, as COCO and as masks.

    DIR/annotations/instances_<split>.json, and DIR/masks/<split>/{car,truck}/*.png, gray with class ids.
    """
    documents: dict[str, dict[str, list[Any]]] = {}
    for name, drawn in _drawn_dataset():
        path = os.path.join(directory, MASKS, os.path.splitext(name)[0] + ".png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.fromarray(drawn.mask).save(path)
        document = documents.setdefault(name.partition("/")[0], {"images": [], "annotations": []})
        number, size = (
            len(document["images"]) + 1,
            {"width": drawn.picture.width, "height": drawn.picture.height},
        )
        document["images"].append({"id": number, "file_name": name, **size})
        thing = _as_coco(drawn.annotation.objects[0])
        document["annotations"].append({"id": number, "image_id": number, **thing})
    categories = [
        {"id": number, "name": label, "keypoints": KEYPOINTS, "skeleton": []}
        for number, label in enumerate(CLASSES, start=1)
    ]
    os.makedirs(os.path.join(directory, ANNOTATIONS), exist_ok=True)
    for split, document in documents.items():
        path = os.path.join(directory, ANNOTATIONS, f"instances_{split}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**document, "categories": categories}, file)


def _as_coco(thing: Object) -> dict[str, Any]:
    """Keypoints count from the middle of the first pixel, all else from its edge, there as here."""
    x0, y0, x1, y1 = (value / UNIT for value in thing.box)
    outlines = [np.array(polygon).reshape(-1, 2) / UNIT for polygon in thing.polygons]
    area = sum(cv2.contourArea(one.astype(np.float32)) for one in outlines)  # of halves, so it is exact
    return {
        "category_id": CLASSES.index(thing.name) + 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "segmentation": [one.ravel().tolist() for one in outlines],
        "area": area,
        "keypoints": [value for x, y, seen in thing.keypoints for value in (x / UNIT, y / UNIT, seen)],
        "num_keypoints": len(thing.keypoints),
        "iscrowd": 0,
    }


def _drawn_dataset() -> Iterator[tuple[str, Drawn]]:
    """Each picture with the path that it has."""
    for split, count in COUNTS.items():
        for label in CLASSES:
            for number in range(count):
                chance = random.Random(f"{split} {label} {number}")  # noqa: S311
                drawn = draw_with_truth(label, chance, faces=FACES[split, label])
                yield f"{split}/{label}/{label}_{number:03}.jpg", drawn


def draw_vehicle(label: str, chance: random.Random, faces: str | None = None) -> Image.Image:
    """The picture of `draw_with_truth`."""
    return draw_with_truth(label, chance, faces).picture


def draw_with_truth(label: str, chance: random.Random, faces: str | None = None) -> Drawn:
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
    cover = Image.new("L", (width, height))
    shadow = ImageDraw.Draw(cover)

    def part(shape: str, place: Any, *more: Any, fill: tuple[int, ...]) -> None:
        getattr(ink, shape)(place, *more, fill=fill)
        getattr(shadow, shape)(place, *more, fill=1)

    if label == "car":
        cabin = [(0.18, 0), (0.32, -0.85), (0.68, -0.85), (0.86, 0)]
        part("polygon", [(left + fx * length, floor - body + fy * body) for fx, fy in cabin], fill=paint)
        window = [(0.26, -0.05), (0.36, -0.72), (0.64, -0.72), (0.76, -0.05)]
        part("polygon", [(left + fx * length, floor - body + fy * body) for fx, fy in window], fill=glass)
        part("rounded_rectangle", (left, floor - body, left + length, floor), 14, fill=paint)
    else:
        cargo = tuple(chance.randint(150, 250) for _ in range(3))
        part("rectangle", (left, floor - int(2.6 * body), left + int(0.68 * length), floor), fill=cargo)
        cab = left + int(0.71 * length)
        part("rounded_rectangle", (cab, floor - int(1.9 * body), left + length, floor), 10, fill=paint)
        part("rectangle", (cab + 14, floor - int(1.7 * body), left + length - 8, floor - body), fill=glass)
    radius = int((20 if label == "car" else 24) * scale)
    wheels = [left + int(center * length) for center in _WHEELS[label]]
    for x in wheels:
        for r, level in ((radius, 25), (radius // 2, 170)):
            part("ellipse", (x - r, floor - r, x + r, floor + r), fill=(level, level, level))
    if faces == "left" or (faces is None and chance.random() < 0.5):
        image, cover = (one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in (image, cover))
        wheels = [width - 1 - x for x in wheels]
    picture = image.reduce(2).filter(ImageFilter.GaussianBlur(chance.uniform(0, 0.6)))
    return Drawn(picture, *_truth(label, np.asarray(cover), wheels, floor))


def _truth(label: str, cover: np.ndarray, wheels: list[int], floor: int) -> tuple[Annotation, np.ndarray]:
    """Of what covers a picture at twice the size, and of its wheels' places there, the rear one first."""
    half = UNIT // 2
    x, y, w, h = cv2.boundingRect(cover)
    box = (x * half, y * half, (x + w) * half, (y + h) * half)
    points = tuple((x * half - half // 2, floor * half - half // 2, 2) for x in (wheels[-1], wheels[0]))
    thing = Object(
        label,
        box,
        tuple(tuple((corners * half).ravel().tolist()) for corners in _outlines(cover)),
        points,
    )
    parts = cover.reshape(cover.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3))
    return Annotation((thing,)), np.where(parts >= 2, CLASSES.index(label) + 1, 0).astype(np.uint8)


def _outlines(cover: np.ndarray) -> list[np.ndarray]:
    """Along the edges of pixels. OpenCV's contours run through the middles of the outermost pixels: of three
    for each, those beside an edge are nearer to it than to any other."""
    thrice = cover.repeat(3, axis=0).repeat(3, axis=1)
    contours, _ = cv2.findContours(thrice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = []
    for contour in contours:
        edges = np.round((contour.reshape(-1, 2) + 0.5) / 3).astype(int)
        edges = edges[(edges != np.roll(edges, 1, axis=0)).any(axis=1)]
        turns = np.roll(edges, -1, axis=0) - edges != edges - np.roll(edges, 1, axis=0)
        outlines.append(edges[turns.any(axis=1)])
    return outlines
