"""Notebooks: tutorials done with augshard, beside the way that they came with."""
