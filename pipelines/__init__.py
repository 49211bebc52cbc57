"""Programs over datasets: materialize shards, read them, run the same live."""
