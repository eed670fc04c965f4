"""The checks: questions about the data. Knows nothing of scheduling, metrics or logging."""
