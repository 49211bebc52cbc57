"""What is shown of an audit: on the terminal, as JSON, as a page, and of one sample as a strip."""
