"""odradek's client beside confluent-kafka, aiokafka and kafka-python, on one broker: `make versus-clients`.

`__main__` is the session, `cases` what is measured and with whose client each is compared, `drivers/` the loops as users
write them, one module a library, each run in a process of its own by `drive`. Brokers, accounting and tables are those of
`benches.versus`.
"""
