"""Options of other Kafka clients that odradek's clients lack, and what to do instead: text for error messages.

Names are Java's and librdkafka's dotted ones; keywords of kafka-python and aiokafka are found by turning underscores
into dots. An option that exists under its own name never stands here (a test sees to it).
"""

from typing import Final

__all__ = ["advice"]

_NO_SECURITY: Final = "not supported yet: odradek's clients speak PLAINTEXT so far; connect to a PLAINTEXT listener"
_NO_TRANSACTIONS: Final = "not supported yet: transactions come later; idempotence is on by default"
_METRICS: Final = "there is no reporter to plug in; call metrics() where you need the figures"
_LOGGING: Final = "set the level of logging.getLogger('odradek') instead"
_ALWAYS: Final = "odradek always does this; leave it out"

_PREFIXES: Final = {
    "sasl.": _NO_SECURITY,
    "ssl.": _NO_SECURITY,
    "security.": _NO_SECURITY,
    "enable.ssl.": _NO_SECURITY,
    "oauthbearer.": _NO_SECURITY,
    "enable.sasl.": _NO_SECURITY,
    "transactional.": _NO_TRANSACTIONS,
    "transaction.": _NO_TRANSACTIONS,
    "share.": "not supported yet: share groups come later; use group.id and subscribe",
    "metrics.": _METRICS,
    "metric.": _METRICS,
    "schema.registry.": "odradek has no schema registry client; call yours in key.serializer and value.serializer",
    "config.providers": "odradek doesn't expand placeholders in values; put the values in",
}

_NAMES: Final = {
    # Java's.
    "partitioner.class": "use partitioner: `default`, `round-robin` or a callable",
    "partitioner.ignore.keys": "use a callable as partitioner, or send without a key",
    "partitioner.adaptive.partitioning.enable": "odradek picks a partition a batch at random; use partitioner for more",
    "partitioner.availability.timeout.ms": "use a callable as partitioner",
    "interceptor.classes": "wrap send() and poll() in functions of your own, or give send() an on_delivery callback",
    "client.dns.lookup": "odradek tries every address that a name has; leave it out",
    "metadata.max.idle.ms": "odradek has no such limit; leave it out",
    "metadata.recovery.strategy": "odradek has no such choice; leave it out",
    "metadata.recovery.rebootstrap.trigger.ms": "odradek has no such choice; leave it out",
    "enable.metrics.push": "odradek's clients push no telemetry; leave it out",
    "auto.include.jmx.reporter": _METRICS,
    "bootstrap.controllers": "use bootstrap.servers; odradek's clients talk to brokers",
    # librdkafka's.
    "metadata.broker.list": "use bootstrap.servers",
    "compression.codec": "use compression.type",
    "compression.level": "use compression.gzip.level, compression.lz4.level or compression.zstd.level",
    "queue.buffering.max.ms": "use linger.ms",
    "queue.buffering.max.kbytes": "use buffer.memory (bytes)",
    "queue.buffering.max.messages": "use buffer.memory (bytes)",
    "batch.num.messages": "use batch.size (bytes)",
    "message.max.bytes": "use max.request.size",
    "message.timeout.ms": "use delivery.timeout.ms",
    "message.send.max.retries": "use retries, or better delivery.timeout.ms",
    "request.required.acks": "use acks",
    "max.in.flight": "use max.in.flight.requests.per.connection",
    "enable.gapless.guarantee": "enable.idempotence keeps order; what to do after an error is yours to say",
    "sticky.partitioning.linger.ms": "the sticky partition changes with the batch; use batch.size and linger.ms",
    "fetch.wait.max.ms": "use fetch.max.wait.ms",
    "fetch.message.max.bytes": "use max.partition.fetch.bytes",
    "fetch.error.backoff.ms": "use retry.backoff.ms",
    "fetch.queue.backoff.ms": "use buffer.max.bytes",
    "queued.min.messages": "use buffer.max.bytes (bytes)",
    "queued.max.messages.kbytes": "use buffer.max.bytes (bytes)",
    "enable.auto.offset.store": "set enable.auto.commit=false and commit the offsets you mean: commit({partition: offset})",
    "enable.partition.eof": "compare position() with end_offsets(), or ask lag()",
    "auto.commit.enable": "use enable.auto.commit",
    "consume.callback.max.messages": "use max.poll.records",
    "socket.timeout.ms": "use request.timeout.ms",
    "socket.keepalive.enable": _ALWAYS,
    "socket.nagle.disable": _ALWAYS,
    "socket.send.buffer.bytes": "use send.buffer.bytes",
    "socket.receive.buffer.bytes": "use receive.buffer.bytes",
    "socket.max.fails": "a connection is given up with its first request that times out; leave it out",
    "broker.address.family": "give an address of that family in bootstrap.servers, and advertise one",
    "broker.address.ttl": "odradek looks names up at each connect; leave it out",
    "topic.metadata.refresh.interval.ms": "use metadata.max.age.ms",
    "topic.metadata.refresh.sparse": _ALWAYS,
    "statistics.interval.ms": "call metrics() where you need the figures",
    "stats.cb": "call metrics() where you need the figures",
    "error.cb": "errors are raised where they matter, and logged by logging.getLogger('odradek')",
    "throttle.cb": "call metrics() where you need the figures",
    "log.cb": _LOGGING,
    "logger": _LOGGING,
    "log.level": _LOGGING,
    "debug": _LOGGING,
    "on.delivery": "give on_delivery to send(), or use the future that send() returns",
    "delivery.report.only.error": "give send() an on_delivery callback that looks at the error",
    "dr.cb": "give on_delivery to send()",
    "dr.msg.cb": "give on_delivery to send()",
    "rebalance.cb": "give on_assigned, on_revoked and on_lost to subscribe()",
    "on.commit": "give the callback to commit_async()",
    "default.topic.config": "give the options directly",
    "api.version.request": "odradek asks each broker for its versions; leave it out",
    "api.version.fallback.ms": "odradek asks each broker for its versions; leave it out",
    "broker.version.fallback": "odradek asks each broker for its versions; leave it out",
    "reconnect.backoff.jitter.ms": "reconnect.backoff.ms has jitter by itself; leave it out",
    "plugin.library.paths": "odradek loads no plugins",
    # kafka-python's and aiokafka's.
    "api.version": "odradek asks each broker for its versions; leave it out",
    "api.version.auto.timeout.ms": "odradek asks each broker for its versions; leave it out",
    "consumer.timeout.ms": "give poll() a timeout",
    "max.batch.size": "use batch.size",
    "rebalance.timeout.ms": "use max.poll.interval.ms",
    "consumer.coordination.backoff.ms": "use retry.backoff.ms",
    "legacy.iterator": "there is one iterator; leave it out",
    "default.offset.commit.callback": "give the callback to commit_async()",
    "send.backoff.ms": "use retry.backoff.ms",
    "loop": "odradek.aio uses the running loop; leave it out",
    "kafka.client": "odradek makes its own connections; leave it out",
    "selector": "odradek makes its own connections; leave it out",
    "socket.options": "use send.buffer.bytes and receive.buffer.bytes",
}


def advice(dotted: str) -> str | None:
    """Say what to do instead of an option that another client has, or None where nothing is known of it."""
    if dotted in _NAMES:
        return _NAMES[dotted]
    return next((text for prefix, text in _PREFIXES.items() if dotted.startswith(prefix)), None)
