"""Alignment without probes: pure functions of the same positions' states in two languages."""
