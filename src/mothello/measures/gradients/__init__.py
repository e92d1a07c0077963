"""Whether what a model is trained on pulls it the way that realignment does."""
