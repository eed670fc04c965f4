"""The worker as a client of web servers: Prometheus and Alertmanager."""
