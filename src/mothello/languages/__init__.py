"""Artificial languages: tables from moves to token ids, on one vocabulary."""
