"""How good an aligner's links are: precision, recall and alignment error rate against the true ones."""
