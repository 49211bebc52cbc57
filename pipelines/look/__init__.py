"""`augshard look`: a page on this machine over a finished dataset, which may be anybody's."""
