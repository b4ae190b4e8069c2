"""A small service on asyncio: orders come in by HTTP, are priced by a task, and the totals can be asked for.

Everything is one thread: the web side, the producer, and the consumer that reads, prices and sends on.
    POST /orders    {"customer": "ada", "item": "tea"}     answers where the record went
    GET /totals                                            answers the sum for each customer
"""

import asyncio
import json
from collections import Counter
from typing import Any

from run_example import run

import odradek
from odradek import aio

PRICES = {"tea": 3, "coffee": 4, "cake": 5}


class Service:
    """The web side and the pricing task over one producer and one consumer."""

    def __init__(self, producer: aio.Producer, consumer: aio.Consumer, orders: str, priced: str) -> None:
        self._producer = producer
        self._consumer = consumer
        self._orders = orders
        self._priced = priced
        self.totals: Counter[str] = Counter()
        self.priced = asyncio.Condition()

    async def price(self) -> None:
        """Read orders, send them on with a price; commit once the priced record is written."""
        await self._consumer.subscribe(self._orders)
        async for record in self._consumer:
            order = record.value | {"price": PRICES[record.value["item"]]}
            await (await self._producer.send(self._priced, order, key=record.key))
            await self._consumer.commit(record)
            self.totals[order["customer"]] += order["price"]
            async with self.priced:
                self.priced.notify_all()

    async def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Serve one request; return status and what the body says."""
        if (method, path) == ("POST", "/orders"):
            order = json.loads(body)
            if order.get("item") not in PRICES:
                return 422, {"error": f"we have {', '.join(PRICES)}"}
            metadata = await (await self._producer.send(self._orders, order, key=order["customer"]))
            return 201, {"partition": metadata.partition, "offset": metadata.offset}
        if (method, path) == ("GET", "/totals"):
            return 200, dict(self.totals)
        return 404, {"error": f"no {method} {path} here"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one HTTP connection, one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        status, said = await self.answer(method, path, body)
        data = json.dumps(said).encode()
        writer.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(data), data))
        await writer.drain()
        writer.close()


async def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask the service over HTTP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b"" if body is None else json.dumps(body).encode()
    writer.write(b"%b %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (method.encode(), path.encode(), len(data), data))
    answer = await reader.read()
    writer.close()
    head, _, said = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(said)


async def pipeline(
    bootstrap_servers: str, orders: str, priced: str, customers: list[tuple[str, str]]
) -> tuple[list[int], dict[str, int]]:
    """Run the service, let each customer order an item, and ask for the totals once all are priced."""
    async with (
        aio.Producer(bootstrap_servers, key_serializer="str", value_serializer="json") as producer,
        aio.Consumer(
            bootstrap_servers,
            group_id="pricing",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            key_deserializer="str",
            value_deserializer="json",
        ) as consumer,
    ):
        service = Service(producer, consumer, orders, priced)
        server = await asyncio.start_server(service.serve, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        pricing = asyncio.create_task(service.price())
        requests = [ask(port, "POST", "/orders", {"customer": who, "item": what}) for who, what in customers]
        statuses = [status for status, _ in await asyncio.gather(*requests)]
        due = sum(PRICES[what] for _, what in customers if what in PRICES)
        async with service.priced:
            await service.priced.wait_for(lambda: service.totals.total() == due)
        _, totals = await ask(port, "GET", "/totals")
        pricing.cancel()  # nothing is lost by it: a record is committed after it was priced
        server.close()
        await server.wait_closed()
    return statuses, totals


def main(
    bootstrap_servers: str,
    orders: str = "orders",
    priced: str = "priced-orders",
    customers: tuple[tuple[str, str], ...] = (("ada", "tea"), ("bob", "cake"), ("ada", "coffee"), ("eve", "stones")),
) -> tuple[list[int], dict[str, int]]:
    with odradek.Admin(bootstrap_servers) as admin:
        admin.create_topics([odradek.NewTopic(orders, 3), odradek.NewTopic(priced, 3)])
    statuses, totals = asyncio.run(pipeline(bootstrap_servers, orders, priced, list(customers)))
    print(f"answers {statuses}, totals {totals}")
    return statuses, totals


if __name__ == "__main__":
    run(main)
