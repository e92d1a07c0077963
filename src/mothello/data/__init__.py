"""Corpora, their splits, and batches as functions of a seed and a step."""
