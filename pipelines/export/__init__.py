"""A finished dataset in other formats: image folders, WebDataset, Parquet and ArrayRecord."""
