"""Is what a probe reads what the model uses? Interventions on the residual stream, within a language and across."""
