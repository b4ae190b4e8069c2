"""Apache Kafka and odradek side by side on one machine, in one session: `make versus`.

`__main__` is the session, `cases/` what is measured (one family a file), `report` the table. The brokers are started by
`brokers`, load comes from `rust/odradek-loadgen` (through `loadgen`), from Kafka's own tools (`java`) and from the Python
clients (`clients/`, each in a process of its own). Nothing here imports odradek: the broker under test is a command.
"""
