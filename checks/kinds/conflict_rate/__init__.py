"""`conflict_rate` and what counts for it."""
