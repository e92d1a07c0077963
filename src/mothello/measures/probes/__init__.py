"""Probes: reading the board from a model's activations, within a language and across."""
