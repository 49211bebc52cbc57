"""Output directories of `augshard train` without the training: what runs leave, with numbers of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from augment.recipe import load_recipe
from pipelines.format.layout import FEATURES, LABELS, REJECTS, samples_file, shard_file
from pipelines.format.manifest import File, Manifest, SplitCounts
from pipelines.format.request import Request
from pipelines.train.arms import Arm

_DATASET = Request(
    name="tiny",
    recipe_name="cifar10",
    recipe=load_recipe("cifar10").canonical(),
    seed=0,
    copies=1,
    originals=True,
)
FINGERPRINT = _DATASET.fingerprint({"train": 2, "test": 1})
IMAGES = 100
"""Of the test split, where nothing else is said."""

REQUEST: dict[str, Any] = {
    "recipe": load_recipe("cifar10").canonical(),
    "seed": 0,
    "plugins": {},
    "images": "0" * 64,
    "layout": "auto",
    "split_fractions": None,
    "validation_fraction": "0.1",
    "shards": FINGERPRINT,
    "model": "small_cnn",
    "weights": None,
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": None,
    "early_stopping": False,
    "mixed_precision": False,
    "deterministic": True,
    "tensorflow": "2.21.0",
    "machine": "x86_64",
    "devices": ["CPU"],
    "threads": 2,
}


def write_request(output: Path, **changes: Any) -> None:
    """An output directory without runs."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "request.json").write_text(json.dumps({**REQUEST, **changes}), encoding="utf-8")


def write_run(
    output: Path,
    arm: Arm,
    train_seed: int = 0,
    *,
    right: int | Iterable[int] | None = 60,
    epochs: int = 4,
    seconds: float | Iterable[float] = 2.0,
    wait: float = 0.25,
    weights: str = "",
    finished: bool = True,
    shards: Path | None = None,
    **changes: Any,
) -> None:
    """A run, with weights that follow from its copies so far, its train seed, and `weights`.

    `right`: how many of IMAGES it tells right, or 0 or 1 for each image; None: there is no test.
    """
    directory = output / arm.label / f"seed-{train_seed}"
    directory.mkdir(parents=True)
    each = [seconds] * epochs if isinstance(seconds, float) else list(seconds)
    rows = [
        {
            "epoch": epoch,
            "copy": arm.copy(epoch),
            "loss": 2 / (epoch + 2) + 0.01 * train_seed,
            "accuracy": 1 - 1 / (epoch + 2),
            "val_loss": 2.2 / (epoch + 2) + 0.03 * train_seed,
            "val_accuracy": 0.9 - 1 / (epoch + 2) + 0.01 * train_seed,
            "images": 1000,
            "seconds": each[epoch],
            "images_per_second": 1000 / each[epoch],
            "input_wait_seconds": wait * each[epoch],
            "input_wait_share": wait,
            "weights_sha256": f"{weights} {train_seed} {[arm.copy(e) for e in range(epoch + 1)]}",
        }
        for epoch in range(epochs)
    ]
    document: dict[str, Any] = {
        "arm": arm.name,
        "copies": arm.copies,
        "originals": arm.originals,
        "label": arm.label,
        "train_seed": train_seed,
        "model": "small_cnn",
        "parameters": 1234,
        "classes": ["cat", "dog"],
        "validation": "validation",
        "epochs": rows,
        "finished": finished,
        "environment": {
            "began": "2026-01-02T03:04:05+00:00",
            "platform": "Linux-x86_64",
            "python": "3.11.7",
            "shards": shards and str(shards),
        },
    }
    if finished:
        test = None
        if right is not None:
            answers = (
                [i < right for i in range(IMAGES)] if isinstance(right, int) else [bool(r) for r in right]
            )
            lines = [f"1,{int(answer)}\n" for answer in answers]
            (directory / "test.csv").write_text("label,predicted\n" + "".join(lines), encoding="utf-8")
            test = {
                "split": "test",
                "images": len(answers),
                "loss": 0.7,
                "accuracy": float(np.mean(answers)),
            }
        document |= {"kept_epoch": epochs - 1, "test": test}
    (directory / "run.json").write_text(json.dumps(document | changes), encoding="utf-8")


def write_dataset(directory: Path, *, copies: int, seconds: float = 30.0) -> Path:
    """The manifest of shards that are not there: 2 a copy, of 1,000 bytes each, and one of tests."""
    directory.mkdir(parents=True)
    files = {name: File(bytes=0, sha256="0" * 64) for name in (FEATURES, LABELS, REJECTS)}
    train = [("train", copy, shard, 2) for copy in range(-1, copies) for shard in range(2)]
    for place in [*train, ("test", -1, 0, 1)]:
        size, records = (1000, 10) if place in train else (5000, 20)
        files[shard_file("tiny", *place)] = File(bytes=size, sha256="0" * 64, records=records)
        files[samples_file(*place)] = File(bytes=0, sha256="0" * 64)
    manifest = Manifest(
        schema_version=1,
        fingerprint=FINGERPRINT,
        request=_DATASET.model_copy(update={"copies": copies}),
        image_size=(32, 32),
        classes=("cat", "dog"),
        splits={
            "train": SplitCounts(sources=20, written=20, groups=2, augmented=True),
            "test": SplitCounts(sources=20, written=20, groups=1, augmented=False),
        },
        records=20 * (copies + 2),
        rejects=0,
        ignored={},
        listing_digest="0" * 64,
        parity_class={},
        files=files,
    )
    (directory / "manifest.json").write_bytes(manifest.sealed().content())
    about = {"seconds": seconds, "platform": "Linux-x86_64"}
    (directory / "run.json").write_text(json.dumps(about), encoding="utf-8")
    return directory


def many(output: Path, shards: Path, *, train_seeds: int = 3, seed: int = 0) -> Path:
    """An output of eight arms, whose accuracy grows with copies, and in which shards-k4 has all epochs."""
    write_request(output, seed=seed)
    random = np.random.default_rng(seed)
    arms = {
        Arm("none"): 50,
        Arm("shards", 1): 55,
        Arm("shards", 2): 62,
        Arm("shards", 4): 66,
        Arm("shards", 1, originals=True): 57,
        Arm("shards", 2, originals=True): 63,
        Arm("live"): 66,
        Arm("live-layer"): 66,
    }
    for arm, right in arms.items():
        live = arm.name.startswith("live")
        for train_seed in range(train_seeds):
            luck = 0 if live or arm.copies == 4 else int(random.integers(0, 2))
            write_run(
                output,
                arm,
                train_seed,
                right=right + 2 * train_seed + luck,
                seconds=[5.0, *random.normal(3.0 if live else 2.0, 0.1, 3).tolist()],
                wait=0.4 if live else 0.1,
                shards=shards,
            )
    return output
