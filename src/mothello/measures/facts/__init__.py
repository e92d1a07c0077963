"""Facts taught in one language, asked in all."""
