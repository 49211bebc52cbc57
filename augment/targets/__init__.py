"""What belongs to an image and moves with it: masks, keypoints, boxes, polygons.

    geometry.py  what kernels come to for each kind of target
    places.py    where one kernel takes a place of the image
    outlines.py  closed lines in number: moved, and cut where the frame ends
    annotations.py  what is known of an image, as it travels with its source
    moving.py    what becomes of it in one sample

Runs on processors, in integers and in float64 one operation at a time, which every machine
rounds alike; nothing here imports TensorFlow.
"""

from augment.targets.annotations import Annotation, Object, Vocabulary
from augment.targets.geometry import LEAST_PART, Geometry, MovedBoxes, MovedPoints, MovedPolygons, why_not
from augment.targets.moving import Moved, moved, moved_each
from augment.targets.places import UNIT

__all__ = [
    "LEAST_PART",
    "UNIT",
    "Annotation",
    "Geometry",
    "Moved",
    "MovedBoxes",
    "MovedPoints",
    "MovedPolygons",
    "Object",
    "Vocabulary",
    "moved",
    "moved_each",
    "why_not",
]
