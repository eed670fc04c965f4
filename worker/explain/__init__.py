"""`reconciler explain`: what a check asks, when, of what, and how the server goes about it."""

from worker.explain.description import Description, describe
from worker.explain.recording import Recording, Statement, record
from worker.explain.show import as_json, as_text

__all__ = [
    "Description",
    "Recording",
    "Statement",
    "as_json",
    "as_text",
    "describe",
    "record",
]
