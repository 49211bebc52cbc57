"""What is shown of a comparison of training runs: on the terminal, as JSON, as a page, and in a README."""
