"""What the job costs, beside other ways to do the same; benchmarks/README.md says how to run them."""
