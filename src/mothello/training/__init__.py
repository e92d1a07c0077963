"""Optimizer, schedule, loop, checkpoint, precision and device."""
