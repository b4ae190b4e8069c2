"""Fixtures of the consumer's tests against a broker: topics with records in them, consumers closed at the end."""

import pytest
from confluent_kafka import Producer
from consuming import quick


def pytest_generate_tests(metafunc):
    """Run each test under the group protocols that its mark names."""
    marker = metafunc.definition.get_closest_marker("protocols")
    if marker and marker.args and "protocol" in metafunc.fixturenames:
        metafunc.parametrize("protocol", marker.args, indirect=True)


@pytest.fixture
def protocol(request):
    """The group protocol of the test's consumers: `classic` unless the mark `protocols` says otherwise."""
    return getattr(request, "param", "classic")


@pytest.fixture
def produce(bootstrap):
    """Return a function that writes `count` values `PREFIX-N` round the partitions and returns them by partition."""

    def write(topic, count, *, partitions=1, prefix="v", first=0, to=bootstrap):
        producer = Producer({"bootstrap.servers": to, "linger.ms": 0})
        values = {number: [] for number in range(partitions)}
        for number in range(first, first + count):
            value = f"{prefix}-{number}".encode()
            producer.produce(topic, value, key=f"k{number}".encode(), partition=number % partitions)
            values[number % partitions].append(value)
        assert producer.flush(30) == 0
        return values

    return write


@pytest.fixture
def consumer(bootstrap, protocol):
    """Return a function that makes consumers; all are closed in the end."""
    import odradek

    made = []

    def make(group_id=None, **options):
        made.append(odradek.Consumer(bootstrap, group_id=group_id, **quick(protocol, **options)))
        return made[-1]

    yield make
    for one in made:
        one.close()
