"""Decides on topics, configs and producer ids: writes the metadata tree first, then tells the engine."""
