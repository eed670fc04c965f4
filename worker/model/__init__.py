"""What the parts of the worker tell each other: runs, findings, servers, pauses."""
