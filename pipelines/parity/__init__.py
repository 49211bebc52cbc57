"""`augshard parity`: the same samples computed in every way there is, and compared pixel by pixel."""
