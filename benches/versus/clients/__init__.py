"""Workloads with the Python clients, each run as a process that prints one JSON line."""
