"""Make the golden record batches from clients that others wrote, through a live Apache Kafka.

Usage: make.py BOOTSTRAP LOG_DIR KAFKA_LIBS
    BOOTSTRAP   host:port of a one-node Apache Kafka 4.x with empty topics (a topic a vector is made)
    LOG_DIR     its log directory on this machine
    KAFKA_LIBS  folder of its jars: the Java producer and kafka-dump-log are run from there

Each vector is the topic's whole segment as Kafka stored it, which is as the client sent it except for base offset and
leader epoch. What it should decode to is not read with our codec: for the Python clients it is what was sent, for Java
what kafka-dump-log says. LONG_VALUE in a .json stands for the constant of that name here. Needs kafka-python, confluent-kafka, aiokafka and their compression libraries.
"""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = [
    (
        1_700_000_000_000 + number * 1000 - (5000 if number == 3 else 0),
        None if number % 3 == 0 else f"key-{number}",
        None if number == 5 else "" if number == 4 else f"value {number} " * number,
        [("kind", "test"), ("kind", "again"), ("empty", "")] if number % 4 == 1 else [],
    )
    for number in range(12)
]
LONG_VALUE = "all work and no play makes a dull broker; " * 4000  # several blocks of every framing
LONG_RECORD = (1_700_000_100_000, "long", LONG_VALUE, [])


def encoded(text):
    return None if text is None else text.encode()


def rows(records):
    return [
        {"offset": offset, "timestamp_ms": timestamp, "key": key, "value": value, "headers": headers}
        for offset, (timestamp, key, value, headers) in enumerate(records)
    ]


def kafka_python(bootstrap, topic, codec, records):
    from kafka import KafkaProducer

    compression = None if codec == "none" else codec
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, compression_type=compression, linger_ms=1000, batch_size=250_000
    )
    producer.partitions_for(topic)
    for timestamp, key, value, headers in records:
        producer.send(
            topic,
            key=encoded(key),
            value=encoded(value),
            timestamp_ms=timestamp,
            headers=[(name, encoded(text)) for name, text in headers],
        )
    producer.flush()
    producer.close()
    return rows(records)


def confluent(bootstrap, topic, codec, records):
    from confluent_kafka import Producer

    config = {"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 1000, "enable.idempotence": True}
    producer = Producer(config)
    for timestamp, key, value, headers in records:
        producer.produce(
            topic,
            key=encoded(key),
            value=encoded(value),
            timestamp=timestamp,
            headers=[(name, encoded(text)) for name, text in headers],
        )
    producer.flush()
    return rows(records)


def aiokafka(bootstrap, topic, codec, records):
    from aiokafka import AIOKafkaProducer

    async def send():
        compression = None if codec == "none" else codec
        options = {"compression_type": compression, "linger_ms": 1000, "max_batch_size": 250_000}
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, **options) as producer:
            sent = []
            for timestamp, key, value, headers in records:
                pairs = [(name, encoded(text)) for name, text in headers]
                sent.append(
                    await producer.send(topic, encoded(value), encoded(key), timestamp_ms=timestamp, headers=pairs)
                )
            await asyncio.gather(*sent)

    asyncio.run(send())
    return rows(records)


DUMPED = re.compile(
    r"\| offset: (?P<offset>\d+) CreateTime: (?P<time>-?\d+) keySize: (?P<key_size>-?\d+) valueSize: (?P<value_size>-?\d+)"
    r".*?headerKeys: \[(?P<headers>.*?)\](?: key: (?P<key>.*?))?(?: payload: (?P<value>.*))?$"
)


def java(bootstrap, topic, codec, records, libs, log_dir):
    lines = "\n".join(
        f"{','.join(f'{name}:{text}' for name, text in headers) or 'NULL'}\t{'NULL' if key is None else key}\t{'NULL' if value is None else value}"
        for _, key, value, headers in records
    )
    properties = ["parse.headers=true", "parse.key=true", "null.marker=NULL"]
    command = ["org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", bootstrap, "--topic", topic]
    command += [
        "--compression-codec",
        codec,
        "--command-property",
        "linger.ms=2000",
        "--command-property",
        "batch.size=250000",
    ]
    for line in properties:
        command += ["--reader-property", line]
    subprocess.run(["java", "-cp", f"{libs}/*", *command], input=lines.encode(), check=True)
    dump = ["org.apache.kafka.tools.DumpLogSegments", "--print-data-log", "--files", str(segment(log_dir, topic))]
    text = subprocess.run(["java", "-cp", f"{libs}/*", *dump], capture_output=True, check=True, text=True).stdout
    said = []
    for match in filter(None, map(DUMPED.search, text.splitlines())):
        _, key, value, headers = records[len(said)]
        # The dump gives sizes, times and header names: enough to see that they are the records we asked for.
        assert int(match["key_size"]) == (-1 if key is None else len(key)), match[0]
        assert int(match["value_size"]) == (-1 if value is None else len(value)), match[0]
        assert (match["headers"].split(",") if match["headers"] else []) == [name for name, _ in headers], match[0]
        said.append(
            {
                "offset": int(match["offset"]),
                "timestamp_ms": int(match["time"]),
                "key": key,
                "value": value,
                "headers": headers,
            }
        )
    assert len(said) == len(records), text
    return said


def special_cases(bootstrap, admin, log_dir):
    """A committed and an aborted transaction with their markers, and records stamped by the broker's clock."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import NewTopic

    admin.create_topics([NewTopic("transactions", 1, 1)])["transactions"].result()
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "vectors"})
    producer.init_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce("transactions", b"value", b"key")  # today: an old timestamp would roll the segment
        producer.flush()
        end()
    stamped = NewTopic("log-append-time", 1, 1, config={"message.timestamp.type": "LogAppendTime"})
    admin.create_topics([stamped])["log-append-time"].result()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1000})
    for number in range(3):
        producer.produce("log-append-time", b"value %d" % number, timestamp=1_700_000_000_000)
    producer.flush()
    for topic in ("transactions", "log-append-time"):
        (HERE / f"{topic}.bin").write_bytes(segment(log_dir, topic).read_bytes())


def segment(log_dir, topic):
    return Path(log_dir) / f"{topic}-0" / "00000000000000000000.log"


def main(bootstrap, log_dir, libs):
    from confluent_kafka.admin import AdminClient, NewTopic

    clients = {
        "kafka-python": kafka_python,
        "librdkafka": confluent,
        "aiokafka": aiokafka,
        "java": lambda bootstrap, topic, codec, records: java(bootstrap, topic, codec, records, libs, log_dir),
    }
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for client, produce in clients.items():
        for codec in CODECS:
            topic = f"{client}-{codec}"
            admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
            expected = produce(bootstrap, topic, codec, RECORDS if codec == "none" else [*RECORDS, LONG_RECORD])
            (HERE / f"{topic}.bin").write_bytes(segment(log_dir, topic).read_bytes())
            (HERE / f"{topic}.json").write_text(json.dumps(expected, indent=1).replace(LONG_VALUE, "LONG_VALUE") + "\n")
            print(topic, segment(log_dir, topic).stat().st_size)  # noqa: T201
    special_cases(bootstrap, admin, log_dir)


if __name__ == "__main__":
    main(*sys.argv[1:])
