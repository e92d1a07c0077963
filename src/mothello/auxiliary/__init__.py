"""Losses added to the main one; none yet (later: dictionary, embedding alignment, contrastive)."""
