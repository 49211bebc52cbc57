"""`augshard audit`: what is in the shards, proven from the source's bytes, the recipe and the seed."""
