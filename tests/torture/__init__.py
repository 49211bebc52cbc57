"""Trying to break the promises, over and over: `make torture`; docs/reliability.md says what came of it."""
