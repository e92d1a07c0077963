"""One offline page with the live model of a run: its games, next moves, interventions, languages, and its training."""
