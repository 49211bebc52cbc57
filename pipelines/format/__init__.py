"""What is on disk: records and their shards, the samples table, the manifest, and what TFDS reads."""
