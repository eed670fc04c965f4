"""How people are told: log events, and alerts that the worker sends itself."""
