"""Keep the order of what belongs together: records of one key go to one partition, and come back in the order sent.

Several threads share one producer; each tells the story of its own orders.
"""

from concurrent.futures import ThreadPoolExecutor

from run_example import run

import odradek

STEPS = ("ordered", "paid", "packed", "shipped", "delivered")


def main(bootstrap_servers: str, topic: str = "orders", orders: int = 20) -> dict[str, list[str]]:
    with odradek.Producer(bootstrap_servers, key_serializer="str", value_serializer="str") as producer:

        def tell(order: str) -> None:
            for step in STEPS:
                producer.send(topic, step, key=order)

        with ThreadPoolExecutor(max_workers=4) as threads:
            list(threads.map(tell, [f"order-{number}" for number in range(orders)]))

    stories: dict[str, list[str]] = {}
    left = orders * len(STEPS)
    with odradek.Consumer(bootstrap_servers, key_deserializer="str", value_deserializer="str") as consumer:
        partitions = [odradek.TopicPartition(topic, number) for number in consumer.partitions_for(topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        while left:
            for record in consumer.poll(timeout=10):
                stories.setdefault(record.key, []).append(record.value)
                left -= 1
    print(f"{len(stories)} orders over {len(partitions)} partitions; order-0: {' > '.join(stories['order-0'])}")
    return stories


if __name__ == "__main__":
    run(main, partitions=3)
