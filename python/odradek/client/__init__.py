"""The client: producer, consumer and admin. Read next: `cluster.py` (requests), then the package of what you need."""
