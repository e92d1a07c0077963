"""States of the residual stream at the moves of games, in one language or in parallel."""
