"""Tasks: labels of moves and games that a linear head reads from states, in one language and then in the others."""
