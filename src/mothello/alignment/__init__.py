"""Alignment between languages: symmetry-aware matrices and their null (later: cosine, CKA, retrieval, Procrustes)."""
