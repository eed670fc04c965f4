"""`idempotency_requests`."""
