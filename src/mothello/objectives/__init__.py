"""Main losses."""
