"""What `conflict_rate` knows of HTTP traffic: lines of a log, routes, counts, verdicts."""
