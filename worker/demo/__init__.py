"""The demo: a made-up ledger, the faults it gets, and the traffic of its application."""
