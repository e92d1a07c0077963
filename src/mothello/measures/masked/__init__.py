"""Masked evaluation: one move of a game is hidden. What can be known of it, and what does a model know?"""
