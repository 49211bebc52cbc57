"""A finished dataset in other formats: folders, WebDataset, Parquet, ArrayRecord, COCO, YOLO and VOC."""
