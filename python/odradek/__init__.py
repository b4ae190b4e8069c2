"""odradek: an event broker that speaks Kafka's wire protocol, inside a Python package."""
