"""Stitching: the first blocks of one model, a map, and the upper blocks of another."""
