"""What is in a stream, and what somebody else puts there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats as client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from reconciler.environment.settings import Nats


def _with(nats: Nats, do: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
    async def done() -> Any:
        connection = await client.connect(list(nats.servers))
        try:
            return await do(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(done())


def messages(nats: Nats, subject: str) -> list[bytes]:
    """All messages of a subject, oldest first."""

    async def read(stream: JetStreamContext) -> list[bytes]:
        last = (await stream.stream_info(nats.stream)).state.last_seq
        found = []
        for number in range(1, last + 1):
            try:
                message = await stream.get_msg(nats.stream, number)
            except NotFoundError:
                continue
            if message.subject == subject:
                found.append(message.data or b"")
        return found

    found: list[bytes] = _with(nats, read)
    return found


def publish(nats: Nats, subject: str, data: bytes) -> None:
    """Puts a message into the stream."""
    _with(nats, lambda stream: stream.publish(subject, data))


def unacknowledged(nats: Nats, durable: str) -> int:
    """How many messages are waiting for a worker, or for what it makes of them."""

    async def count(stream: JetStreamContext) -> int:
        info = await stream.consumer_info(nats.stream, durable)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    found: int = _with(nats, count)
    return found
