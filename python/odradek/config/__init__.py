"""Every option under Kafka's name, one row each: `topic.py` and `broker.py` hold the rows, `definition.py` what a row is."""
