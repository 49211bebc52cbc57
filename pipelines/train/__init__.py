"""Training on shards beside live augmentation: the same model, fed in several ways, and compared."""
