"""Transfer: fine-tune on one language, score all."""
