"""Tasks and answers by way of a stream of NATS JetStream: how a site is asked that only dials out. The door
to nats-py, which is an extra.

A stream may lose nothing, but it delivers late and twice. What makes that harmless is not here: the journal
at the site knows which task was carried out, and the hosts know the number of the newest (`fleet.fence`).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import ssl
import urllib.request
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NothingThere
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from reconciler.environment.settings import Nats

# It warns of what nats-py does at the end of a connection with TLS.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)

ACK_WAIT = 30.0
"""Seconds without a sign of life of a worker after which its task is given to the next one."""
AGAIN = 5.0
"""Seconds until a task is tried again whose hosts another run has locked."""
KEPT = 7 * 24 * 3600
"""Seconds for which a stream that we make keeps its messages."""
CONNECT = 15.0
"""Seconds within which a server has to be reached; a worker then begins anew."""
UNPACKED = 64 << 20
"""Bytes of an answer at most."""
SYNCS = (2, 10)
"""The first version of nats-server that knows `sync_interval: always`
(docs.nats.io/reference/2.14/config/jetstream/sync_interval)."""
LOST = "what it has acknowledged may be lost with the power"
TROUBLE = (NatsError, OSError, ValueError)
"""What nats-py raises where a server or a file stands in the way."""


class StreamError(Exception):
    """The stream cannot be used; the message says why, and what to do."""


class NoServer(StreamError):
    """No server is reached; one may be later."""


@dataclass(frozen=True)
class Delivered:
    """A message as it was delivered to a worker. `epoch` is when its stream was made, in seconds since 1970,
    and `number` the message's in it; `limit` is how many bytes an answer may have."""

    data: bytes
    epoch: int
    number: int
    limit: int


Handle = Callable[[Delivered], tuple[str, bytes] | None]
"""Does a task, and returns its id and the answer; None where it is to be tried again. Raises ValueError for
what is no task."""


class _Client(Client):
    """nats-py's own goes on without TLS where the server, or whoever stands before it, offers none."""

    needs_tls = False

    def _connect_command(self) -> bytes:
        if self.needs_tls and not self._server_info.get("tls_required"):
            raise NatsError("the server offers no TLS, and `nats: servers` says tls://")
        found: bytes = super()._connect_command()
        return found


def packed(document: Any) -> bytes:
    """A JSON document as a message."""
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def unpacked(data: bytes) -> Any:
    """The JSON in a message, parsed. Raises ValueError."""
    try:
        unzip = zlib.decompressobj(wbits=31)  # gzip's format
        text = unzip.decompress(data, UNPACKED)
        if unzip.unconsumed_tail or not unzip.eof:
            raise ValueError("it is cut off, or larger than 64 MB")
        return json.loads(text)
    except (zlib.error, RecursionError) as error:
        raise ValueError(f"it is no JSON in gzip ({error})") from None


def ask(nats: Nats, site: str, tasks: Mapping[str, bytes], seconds: float) -> dict[str, bytes]:
    """Gives tasks (by their ids) to the workers of a site, which is named ENVIRONMENT.SITE, and returns the
    answers that came within `seconds`. Raises `StreamError` where no task was given."""

    async def all_of_them() -> dict[str, bytes]:
        async with _connected(nats, lambda _: None) as client:
            stream = client.jetstream()
            await _stream_of(nats, stream)
            for task, data in tasks.items():
                await stream.publish(f"{nats.stream}.{site}.task", data, headers={"Nats-Msg-Id": task})
            waiting = [_answer(nats, stream, site, task, seconds) for task in tasks]
            return {task: data for task, data in await asyncio.gather(*waiting) if data is not None}

    return _run(all_of_them())


async def _answer(
    nats: Nats, stream: JetStreamContext, site: str, task: str, seconds: float
) -> tuple[str, bytes | None]:
    """Looks for an answer again and again: so it is found whatever connection was lost meanwhile."""
    pause, end = 0.1, asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        with suppress(*TROUBLE):
            found = await stream.get_last_msg(nats.stream, f"{nats.stream}.{site}.answer.{task}")
            return task, found.data or b""
        await asyncio.sleep(pause)
        pause = min(2.0, pause * 1.5)
    return task, None


def serve(nats: Nats, site: str, handle: Handle, say: Callable[[str], None]) -> None:
    """Takes the tasks for a site, which is named ENVIRONMENT.SITE, one after another, until the process ends.
    `say` is told of trouble. Raises `StreamError`, and whatever `handle` does."""

    async def forever() -> None:
        while True:
            try:
                async with _connected(nats, say) as client:
                    await _take(nats, client, site, handle, say)
            except NoServer as error:
                say(f"{error}; trying again")
                await asyncio.sleep(1)

    _run(forever())


async def _take(nats: Nats, client: Client, site: str, handle: Handle, say: Callable[[str], None]) -> None:
    """Takes tasks while there is a connection. Raises `NoServer` where it stays away."""
    stream = client.jetstream()
    info = await _stream_of(nats, stream)
    for remark in _remarks(nats, client):
        say(remark)
    subject = f"{nats.stream}.{site}.task"
    config = ConsumerConfig(
        ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT, max_deliver=-1, filter_subject=subject
    )
    source = await stream.pull_subscribe(subject, site.replace(".", "_"), stream=nats.stream, config=config)
    epoch = int(info.created.timestamp()) if info.created else 0
    while True:
        for message in await _next(source, say):
            await _do(nats, client, message, epoch, site, handle, say)
        if not client.is_connected:
            # nats-py may wait for ever for the end of a connection whose TLS has failed.
            await asyncio.sleep(CONNECT)
            if not client.is_connected:
                raise NoServer("the server is away")


async def _next(source: JetStreamContext.PullSubscription, say: Callable[[str], None]) -> list[Msg]:
    try:
        return await source.fetch(1, timeout=CONNECT)
    except NothingThere:
        return []
    except TROUBLE as error:
        say(f"no task can be taken now: {error}; trying again")
        await asyncio.sleep(1)
        return []


async def _do(
    nats: Nats,
    client: Client,
    message: Msg,
    epoch: int,
    site: str,
    handle: Handle,
    say: Callable[[str], None],
) -> None:
    """Does one task, tells the server meanwhile that somebody is at it, and acknowledges it only once its
    answer is in the stream."""
    place = message.metadata
    delivery = Delivered(message.data, epoch, place.sequence.stream, client.max_payload)
    work = asyncio.ensure_future(asyncio.to_thread(handle, delivery))
    while not (await asyncio.wait({work}, timeout=ACK_WAIT / 3))[0]:
        with suppress(*TROUBLE):
            await message.in_progress()
    try:
        done = work.result()
    except ValueError as error:
        say(f"message {place.sequence.stream} is no task for this site, and is left out: {error}")
        await message.term()
        return
    if done is None:
        await message.nak(delay=AGAIN)
        return
    task, answer = done
    stream = client.jetstream()
    subject = f"{nats.stream}.{site}.answer.{task}"
    await _until_done(lambda: stream.publish(subject, answer, headers={"Nats-Msg-Id": f"{task}.answer"}), say)
    # Where this is lost, the task comes again, and is answered from the journal.
    with suppress(*TROUBLE):
        await message.ack_sync(timeout=5)


async def _until_done(what: Callable[[], Awaitable[Any]], say: Callable[[str], None]) -> None:
    while True:
        try:
            await what()
            return
        except TROUBLE as error:
            say(f"the answer could not be sent: {error}; trying again")
            await asyncio.sleep(1)


@asynccontextmanager
async def _connected(nats: Nats, say: Callable[[str], None]) -> AsyncIterator[Client]:
    client, last = _Client(), [""]
    client.needs_tls = any(each.startswith("tls://") for each in nats.servers)

    async def hear(error: Exception) -> None:
        if (text := str(error) or type(error).__name__) != last[0]:
            last[0] = text
            say(f"NATS: {text}")

    connecting = client.connect(
        list(nats.servers),
        name="reconcile",
        error_cb=hear,
        tls=_tls(nats) if client.needs_tls else None,
        user=nats.user,
        password=_password(nats),
        connect_timeout=5,
        reconnect_time_wait=1,
        max_reconnect_attempts=-1,
    )
    try:
        await asyncio.wait_for(connecting, CONNECT)
    except TROUBLE as error:
        where = ", ".join(nats.servers)
        raise NoServer(f"{where}: no connection ({last[0] or error}); see `nats:`") from None
    try:
        yield client
    finally:
        with suppress(*TROUBLE):
            await asyncio.wait_for(client.close(), 5)


def _readable(name: str) -> Path:
    """The path of a file that can be read. Raises OSError, which names it, as `ssl` does not."""
    path = Path(name).expanduser()
    path.open("rb").close()
    return path


def _password(nats: Nats) -> str | None:
    return _readable(nats.password).read_text(encoding="utf-8").strip() if nats.password else None


def _tls(nats: Nats) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=_readable(nats.ca) if nats.ca else None)
    if nats.certificate:
        context.load_cert_chain(_readable(nats.certificate), _readable(nats.key) if nats.key else None)
    return context


async def _stream_of(nats: Nats, stream: JetStreamContext) -> StreamInfo:
    """The stream, made where there is none; raises `StreamError` where it could lose what it has taken."""
    try:
        info = await stream.stream_info(nats.stream)
    except NotFoundError:
        info = await stream.add_stream(
            StreamConfig(name=nats.stream, subjects=[f"{nats.stream}.>"], max_age=KEPT)
        )
    config = info.config
    wrong = [
        *(["`storage` has to be file"] if config.storage != StorageType.FILE else []),
        *(["`retention` has to be limits"] if config.retention != RetentionPolicy.LIMITS else []),
        *(["`no_ack` has to be off"] if config.no_ack else []),
    ]
    if wrong:
        raise StreamError(f"the stream {nats.stream} is not as it has to be: {', '.join(wrong)}")
    return info


def _remarks(nats: Nats, client: Client) -> list[str]:
    """What is known of whether the server has a message on disk before it acknowledges it. Without that,
    acknowledged messages are lost with the power (jepsen.io/analyses/nats-2.12.1)."""
    version = client.connected_server_version
    if (version.major, version.minor) < SYNCS:
        name = f"nats-server {version.major}.{version.minor}"
        return [f"the server is {name}, and 2.10 is the first that knows `sync_interval: always`: {LOST}"]
    if not nats.monitor:
        return []
    try:
        with urllib.request.urlopen(f"{nats.monitor.rstrip('/')}/varz", timeout=5) as reply:  # noqa: S310 - the schema has checked it
            found = json.loads(reply.read(1 << 20))
        always = found["jetstream"]["config"].get("sync_always") is True
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{nats.monitor}/varz does not tell of `sync_interval` ({error})"]
    return [] if always else [f"the server has no `sync_interval: always` under `jetstream`: {LOST}"]


_T = TypeVar("_T")


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    try:
        return asyncio.run(work)
    except TROUBLE as error:
        raise StreamError(f"NATS: {error or type(error).__name__}") from None
