"""A room on its way out."""
