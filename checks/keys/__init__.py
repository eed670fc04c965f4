"""Idempotency keys: templates, patterns, and the interfaces that ask for them."""
