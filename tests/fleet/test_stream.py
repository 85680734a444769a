"""The stream between those who ask and workers: what is packed, what is refused, and what is told."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import tasks
from reconciler.cli.exit import CommandError
from reconciler.environment.settings import Nats
from tests.support.nats_server import NatsServer, needs_nats, version

stream = pytest.importorskip("reconciler.fleet.stream", reason="there is no nats-py")


def test_what_is_packed_is_unpacked() -> None:
    assert stream.unpacked(stream.packed({"a": ["ü"]})) == {"a": ["ü"]}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "cut off"),
        (b"{}", "no JSON in gzip"),
        (stream.packed({"a": 1})[:-3], "cut off"),
        (gzip.compress(b"{", mtime=0), "Expecting"),
        (gzip.compress(b"[" * 100_000, mtime=0), "no JSON in gzip"),
        (gzip.compress(b" " * (65 << 20), mtime=0), "larger than 64 MB"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        stream.unpacked(data)


def test_an_answer_that_cannot_be_sent_is_sent_again_until_it_is() -> None:
    said: list[str] = []
    left = [OSError("it is down")]

    async def send() -> None:
        if left:
            raise left.pop()

    asyncio.run(stream._until_done(send, said.append))
    assert said == ["the answer could not be sent: it is down; trying again"]


def test_where_no_server_is_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nats = Nats(servers=(f"nats://127.0.0.1:{port}",))
    monkeypatch.setattr(stream, "CONNECT", 1.0)
    with pytest.raises(
        stream.StreamError, match=rf"^nats://127.0.0.1:{port}: no connection \(.*\); see `nats:`"
    ):
        stream.ask(nats, "e.s", {"1": b""}, 1)


@pytest.mark.parametrize("field", ["password", "ca", "certificate"])
def test_a_file_that_is_not_there_is_named(field: str, tmp_path: Path) -> None:
    nats = Nats(servers=("tls://127.0.0.1:1",), **{field: str(tmp_path / "none")})
    with pytest.raises(stream.StreamError, match=rf"No such file or directory: .*{tmp_path}/none"):
        stream.ask(nats, "e.s", {"1": b""}, 1)


def test_without_the_extra_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "nats" or name.startswith("nats.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "nats", None)
    monkeypatch.delitem(sys.modules, "reconciler.fleet.stream")
    monkeypatch.delattr("reconciler.fleet.stream")
    with pytest.raises(CommandError) as raised:
        tasks.stream()
    assert "pip install 'reconcile-certificates[nats]'" in raised.value.lines[0]


@needs_nats
@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"storage": "memory"}, "`storage` has to be file"),
        ({"retention": "workqueue"}, "`retention` has to be limits"),
        ({"no_ack": True}, "`no_ack` has to be off"),
    ],
)
def test_a_stream_that_could_lose_what_it_has_taken_is_refused(
    config: dict[str, Any], told: str, server: NatsServer
) -> None:
    import nats as client

    async def make() -> None:
        connection = await client.connect(server.url)
        # Its subjects are others where nothing is acknowledged: `reconcile.>` has to be.
        await connection.jetstream().add_stream(name="reconcile", subjects=["x.>"], **config)
        await connection.close()

    asyncio.run(make())
    with pytest.raises(stream.StreamError, match=told):
        stream.ask(Nats(servers=(server.url,)), "e.s", {"1": b""}, 1)


class _Server:
    """What `_remarks` asks of a connection: the version of its server."""

    def __init__(self, text: str) -> None:
        from nats.aio.client import ServerVersion

        self.connected_server_version = ServerVersion(text)


@contextmanager
def monitoring(found: Any) -> Iterator[str]:
    """A server of HTTP that tells this under /varz."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/varz" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_: object) -> None:
            pass

    made = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("running", "found", "told"),
    [
        ("2.9.10", None, "the server is nats-server 2.9, and 2.10 is the first that knows"),
        ("2.14.0", None, ""),
        ("2.14.0", {"jetstream": {"config": {"sync_interval": 120, "sync_always": True}}}, ""),
        (
            "2.14.0",
            {"jetstream": {"config": {"sync_interval": 120}}},
            "the server has no `sync_interval: always`",
        ),
        ("2.14.0", {"jetstream": []}, "/varz does not tell of `sync_interval`"),
        ("2.14.0", ["?"], "/varz does not tell of `sync_interval`"),
    ],
)
def test_it_is_told_where_the_server_may_lose_what_it_has_acknowledged(
    running: str, found: Any, told: str
) -> None:
    with monitoring(found) as url:
        nats = Nats(servers=("nats://127.0.0.1:1",), monitor=None if found is None else url)
        remarks = stream._remarks(nats, _Server(running))
    assert len(remarks) == bool(told)
    assert told in "".join(remarks)


def certificates(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=nats",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip


@needs_nats
def test_tls_is_spoken_with_the_ca_and_the_password_of_files_and_never_gone_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CONNECT", 2.0)
    certificates(tmp_path)
    users = "authorization { user: reconcile, password: secret-of-the-stream }"
    tls = f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}'
    (tmp_path / "password").write_text("secret-of-the-stream\n")
    given = {"user": "reconcile", "password": str(tmp_path / "password"), "ca": str(tmp_path / "cert.pem")}
    server = NatsServer(tmp_path, f"{users}\n{tls}", scheme="tls")
    server.start()
    try:
        assert stream.ask(Nats(servers=(server.url,), **given), "e.s", {"1": b"x"}, 0.1) == {}
        with pytest.raises(stream.StreamError, match="CERTIFICATE_VERIFY_FAILED"):
            stream.ask(Nats(servers=(server.url,), **given | {"ca": None}), "e.s", {"1": b"x"}, 0.1)
    finally:
        server.kill()
    # Somebody in between, or a server that has lost its certificate, offers none.
    server = NatsServer(tmp_path, users, scheme="tls")
    server.start()
    try:
        with pytest.raises(
            stream.StreamError, match="the server offers no TLS, and `nats: servers` says tls://"
        ):
            stream.ask(Nats(servers=(server.url,), **given), "e.s", {"1": b"x"}, 0.1)
    finally:
        server.kill()


@needs_nats
def test_the_version_of_the_server_is_told() -> None:
    assert version() >= (2, 9)
