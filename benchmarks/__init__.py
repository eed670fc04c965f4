"""Measures the checks on a large ledger, beside the usual SQL: `make bench`."""
