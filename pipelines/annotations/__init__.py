"""What lies beside the images of an input, or around them: COCO, YOLO, Pascal VOC, masks, tables, containers.

    asked.py    which annotations are meant, and in which format
    reader.py   what every format can do; coco.py, yolo.py, voc.py, masks.py, table.py
    pieces.py   what the input and the annotations say of one image, and what that comes to
    steps.py    a listing's steps, which whole.py takes in memory, and transform.py within a pipeline
    contained.py  images in containers: tfds.py, tfrecord.py, webdataset.py
    numbers.py  to 65,536ths of a pixel

A listing with annotations finds what one without does (`pipelines.sources`): sources, rejects, what is passed
over. `transform` imports Beam, and nothing else does.
"""

from pipelines.annotations.asked import (
    CONTAINERS,
    Annotations,
    annotations_for,
    annotations_of,
    features_named,
)
from pipelines.annotations.whole import everything_annotated, source_annotated

__all__ = [
    "CONTAINERS",
    "Annotations",
    "annotations_for",
    "annotations_of",
    "everything_annotated",
    "features_named",
    "source_annotated",
]
