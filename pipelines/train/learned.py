"""What is learned of an image: its class, a mask, or boxes. No TensorFlow."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np

from augment import codec
from augment.augmenter import CORES
from augment.errors import RequestError
from augment.targets import Annotation
from pipelines.format.targets import Targets
from pipelines.images import Images
from pipelines.sources import read_source

VOID = 255
"""In a mask, what is of no class, as Pascal VOC has it: it is neither trained on nor judged by."""


class Task(NamedTuple):
    """A kind of learning, and by what it is judged."""

    name: Literal["classes", "masks", "boxes"]
    metric: str
    """the column of the history, and after `val_` that of validation"""
    words: str
    """the metric in a sentence"""


CLASSES = Task("classes", "accuracy", "accuracy")
MASKS = Task("masks", "mean_iou", "mean IoU")
BOXES = Task("boxes", "ap50", "AP at 0.5")
TASKS = {task.name: task for task in (CLASSES, MASKS, BOXES)}

_HAVING = {"classes": "labels", "masks": "masks", "boxes": "boxes"}
_MODELS = {"classes": "small_cnn", "masks": "unet", "boxes": "center_grid"}


@dataclasses.dataclass(frozen=True)
class Learned:
    """What is learned of the images of an input."""

    task: Task
    classes: tuple[str, ...]
    """by the number that a model gives them"""
    ids: tuple[int, ...] = ()
    """of masks: what stands for each class there"""

    @property
    def moves(self) -> bool:
        """Whether it moves with the image's pixels."""
        return self.task is not CLASSES

    @property
    def numbers(self) -> np.ndarray:
        """uint8 [256]: the class of each id of a mask, or VOID."""
        table = np.full(256, VOID, np.uint8)
        table[list(self.ids)] = np.arange(len(self.ids))
        return table


def learned_of(images: Images, *, model: str, task: str | None = None) -> Learned:
    """What `--model` learns of some images.

    Args:
        images: with what they are annotated with, if they are.
        model: its name, for sentences.
        task: what it can learn; None for whatever there is, labels before masks before boxes.

    Raises RequestError if the images have nothing of the kind.
    """
    targets = images.targets or Targets(has=())
    there = [
        *(["classes"] if images.labeled else []),
        *(["masks"] if "mask" in targets.has else []),
        *(["boxes"] if targets.has_objects else []),
    ]
    if not there:
        raise RequestError(
            f"input {images.root}: its images have several labels each, and nothing else; each must have "
            "one, or a mask, or boxes"
        )
    task = task or there[0]
    if task not in there:
        given = "" if images.annotations else ", if no --annotations say more"
        raise RequestError(
            f"--model {model}: it learns {_HAVING[task]}, and the images have {_HAVING[there[0]]}{given}; "
            f"take a model that learns those, such as {_MODELS[there[0]]}"
        )
    if task == "classes":
        return Learned(CLASSES, images.classes)
    if task == "boxes":
        return Learned(BOXES, targets.classes)
    ids = _ids(images)
    names = dict(zip(targets.class_numbers, targets.classes, strict=True))
    classes = tuple(names.get(number, str(number) if number else "background") for number in ids)
    return Learned(MASKS, classes, ids)


def _ids(images: Images) -> tuple[int, ...]:
    """Those of all masks, and 0, which stands where a moved image has no pixels; without VOID.

    Every mask is looked at, for nothing else says which there are.
    """

    folder = images.annotations.path if images.annotations else images.root

    def there(packed: bytes) -> set[int]:
        name = Annotation.unpacked(packed).mask
        try:
            mask = codec.decode_mask(read_source(folder, name)) if name else np.zeros(0, np.uint8)
        except (OSError, codec.DecodeError):  # the image is left out, with the reason, when it is read
            return set()
        return set(np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist())

    with ThreadPoolExecutor(CORES) as pool:
        found = pool.map(there, (source.annotation for source in images.sources))
        return tuple(sorted({0}.union(*found) - {VOID}))
