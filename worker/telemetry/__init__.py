"""What the worker tells of itself: log and metrics."""
