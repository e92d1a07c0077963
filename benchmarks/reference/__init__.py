"""Slow and obvious code that benchmarks and tests compare the real code with."""
