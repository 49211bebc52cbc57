"""The formats that there are, by name."""

from __future__ import annotations

from augment.errors import RequestError, did_you_mean
from pipelines.export.arrayrecord import ArrayRecord
from pipelines.export.coco import Coco
from pipelines.export.folders import Folders
from pipelines.export.formats import Format
from pipelines.export.parquet import Parquet
from pipelines.export.request import ExportRequest
from pipelines.export.voc import Voc
from pipelines.export.webdataset import WebDataset
from pipelines.export.yolo import Yolo
from pipelines.format.manifest import Manifest

FORMATS: dict[str, type[Format]] = {
    form.name: form for form in (Folders, WebDataset, Parquet, ArrayRecord, Coco, Yolo, Voc)
}


def format_named(name: str) -> type[Format]:
    """Raises RequestError if there is none."""
    if name not in FORMATS:
        raise RequestError(f"--to is {name!r}; {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def form_of(request: ExportRequest, manifest: Manifest) -> Format:
    """The format of a request, for a dataset."""
    return format_named(request.to)(manifest, keeps_extensions=request.keeps_extensions)
