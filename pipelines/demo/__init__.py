"""`augshard demo`: draws a small dataset of cars, trucks and a few buses and runs the whole tour on it."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from PIL import Image

from augment.errors import RequestError, require
from augment.recipe import Recipe, load_recipe
from augment.targets import UNIT, Object
from pipelines.demo.vehicles import KEYPOINTS, VEHICLES, Drawn, draw_with_truth
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
CLASSES, RARE = VEHICLES[:2], VEHICLES[2]
COUNTS = {"train": 120, "validation": 30}
"""Images of each of the classes."""
FEW = {"train": 12, "validation": 30}
"""Images of the rare one, which stands beside the others in a directory of its own: with it, half of the
answers would no longer be what a coin gives, and an epoch in which classes have copies of their own shows all
of them, so that what is live is what is stored for one epoch alone."""
RARE_COPIES, RARE_EPOCHS = 2, 2
FACES = {
    ("train", "car"): "left",
    ("train", "truck"): "right",
    ("train", "bus"): "left",
    ("validation", "car"): "right",
    ("validation", "truck"): "right",
    ("validation", "bus"): "right",
}
"""A model that sees no mirrored copies learns the way they face, and calls all that validates a truck."""
MARK = ".augshard-demo"
"""Lies in a directory that the demo made, and may make anew."""
ANNOTATIONS, MASKS = "annotations", "masks"


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
    rare, balanced = (os.path.join(directory, name) for name in ("rare", "balanced"))
    _say(f"a rare class: the same pictures in {rare}, and {FEW['train']} of buses to learn from")
    draw_rare(rare, beside=images)
    copies = str(RARE_COPIES)
    given = f"--input {rare} --recipe {made} --copies {copies} --balance max"
    _say(f"augshard materialize {given} --output {balanced}")
    materialize_command(root=rare, output=balanced, recipe=made, seed=SEED, copies=copies, balance="max")
    sys.stdout.write(
        "\nThe pictures come with masks, and with boxes in COCO's form; to learn those (a minute each):\n"
    )
    for what, beside_them, network in (("masks", masks, "unet"), ("boxes", annotations, "center_grid")):
        for line in _commands(images, made, beside_them, os.path.join(directory, f"of-{what}"), network):
            sys.stdout.write(f"  {line}\n")
    sys.stdout.write(
        "\nTo learn the buses by the images as they are, and by the balanced copies (15 seconds each):\n"
    )
    for line in _rare_commands(rare, made, balanced):
        sys.stdout.write(f"  {line}\n")
    sys.stdout.write(f"\nlook at  {sheet}\n         {report}\n         {training}/report.html\n")


def _commands(images: str, recipe: str, annotations: str, output: str, model: str) -> Iterator[str]:
    """What to type to learn what lies beside the pictures."""
    given = ["--input", images, "--annotations", annotations, "--recipe", recipe]
    yield shlex.join(["augshard", "materialize", *given, "--copies", str(COPIES), "--output", output])
    words = ["augshard", "train", *given, "--shards", output, "--model", model]
    words += ["--epochs", str(COPIES), "--batch-size", str(BATCH), "--output", f"{output}-training"]
    yield shlex.join(words)


def _rare_commands(images: str, recipe: str, balanced: str) -> Iterator[str]:
    """What to type to see what balanced copies are good for: about as many steps without them and with."""
    train = ["augshard", "train", "--input", images, "--recipe", recipe]
    train += ["--model", MODEL, "--batch-size", str(BATCH)]
    as_they_are = ["--arms", "live", "--epochs", str(3 * RARE_EPOCHS)]  # balanced, an epoch is thrice as long
    yield shlex.join([*train, *as_they_are, "--output", f"{images}-training"])
    stored = ["--shards", balanced, "--arms", "shards", "--epochs", str(RARE_EPOCHS)]
    yield shlex.join([*train, *stored, "--output", f"{balanced}-training"])


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
        _save(drawn, os.path.join(directory, name))


def draw_rare(directory: str, beside: str) -> None:
    """Writes DIR/<split>/bus/*.jpg, and the pictures of another directory."""
    shutil.copytree(beside, directory)
    for split, count in FEW.items():
        for name, drawn in _drawn_class(split, RARE, count):
            _save(drawn, os.path.join(directory, name))


def _save(drawn: Drawn, path: str) -> None:
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
            yield from _drawn_class(split, label, count)


def _drawn_class(split: str, label: str, count: int) -> Iterator[tuple[str, Drawn]]:
    for number in range(count):
        chance = random.Random(f"{split} {label} {number}")  # noqa: S311
        drawn = draw_with_truth(label, chance, faces=FACES[split, label])
        yield f"{split}/{label}/{label}_{number:03}.jpg", drawn
