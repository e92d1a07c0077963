"""Slow and obvious references that the tests hold the real code against."""
