"""Models that other tools open, and theirs as runs of the house. transformers is imported only where it is used."""
