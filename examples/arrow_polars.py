"""Aggregate records as columns: flights from New York in 2013 go in as JSON, and come out as a polars data frame.

No Python object is made for a record on the way out: `poll_arrow` hands polars the memory that the records were read into.
"""

from itertools import islice

import polars as pl
from flights.source import FLIGHT_COUNT, read_flights
from run_example import run

import odradek

DELAY = pl.col("value").cast(pl.String).str.json_path_match("$.dep_delay").cast(pl.Float64)


def load(bootstrap_servers: str, topic: str, count: int) -> None:
    """Send flights, the carrier as key."""
    flights = islice(read_flights(lambda _: None), count)
    with odradek.Producer(bootstrap_servers, compression_type="lz4", linger_ms=20) as producer:
        while chunk := list(islice(flights, 10_000)):
            producer.send_many(topic, [value for _, value in chunk], keys=[key for key, _ in chunk])


def main(bootstrap_servers: str, topic: str = "flights", count: int = FLIGHT_COUNT) -> pl.DataFrame:
    load(bootstrap_servers, topic, count)
    parts: list[pl.DataFrame] = []
    left = count
    with odradek.Consumer(bootstrap_servers) as consumer:
        consumer.assign([odradek.TopicPartition(topic, number) for number in consumer.partitions_for(topic)])
        consumer.seek_to_beginning()
        while left:
            batch = pl.DataFrame(consumer.poll_arrow(timeout=10, max_records=50_000))
            left -= batch.height
            parts.append(
                batch.select(pl.col("key").cast(pl.String).alias("carrier"), DELAY.alias("delay"))
                .group_by("carrier")
                .agg(pl.len().alias("flights"), pl.col("delay").sum(), pl.col("delay").count().alias("departed"))
            )
    delays = (
        pl.concat(parts)
        .group_by("carrier")
        .agg(pl.col("flights", "delay", "departed").sum())
        .select("carrier", "flights", (pl.col("delay") / pl.col("departed")).alias("mean_delay"))
        .sort("mean_delay", descending=True, nulls_last=True)
    )
    print(delays)
    return delays


if __name__ == "__main__":
    run(main, partitions=6)
