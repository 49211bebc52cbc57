"""A finished dataset in other formats: image folders, WebDataset, Parquet, ArrayRecord, COCO, YOLO and VOC."""
