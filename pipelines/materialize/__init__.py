"""The Beam job that writes a dataset."""
