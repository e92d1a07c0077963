"""Alignment after the fact: maps between languages of a model, and between models that were trained apart."""
