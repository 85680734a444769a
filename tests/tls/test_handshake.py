"""Handshakes with real servers on loopback, and with things that are none."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer
from reconciler.tls.handshake import probe_all_tls, probe_tls

HERE = "127.0.0.1"


def at(port: int, protocol: str = "tls", name: str | None = None) -> Endpoint:
    return Endpoint("web", HERE, "apache2", port, protocol, name)


def failure(endpoint: Endpoint, seconds: float = 5) -> tuple[str, bool]:
    with pytest.raises(NoHandshake) as caught:
        probe_tls(endpoint, seconds)
    assert caught.value.reason.isprintable()
    return caught.value.reason, caught.value.listens


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """one.pem and two.pem, each with its key in one.key and two.key; chain.pem is both."""
    folder = tmp_path_factory.mktemp("pairs")
    for name in ("one", "two"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"],
            cwd=folder, check=True, capture_output=True, timeout=30,
        )  # fmt: skip
    (folder / "chain.pem").write_bytes((folder / "one.pem").read_bytes() + (folder / "two.pem").read_bytes())
    return folder


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@contextlib.contextmanager
def s_server(folder: Path, *options: str) -> Iterator[int]:
    """OpenSSL's own server."""
    command = ["openssl", "s_server", "-accept", f"{HERE}:0", *options]
    server = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with server:
        assert server.stdout is not None
        try:
            for line in server.stdout:
                if line.startswith("ACCEPT "):
                    # What it prints from here on has to be read, or it blocks.
                    threading.Thread(target=server.stdout.read, daemon=True).start()
                    yield int(line.rpartition(":")[2])
                    return
            pytest.fail("openssl s_server does not start")
        finally:
            server.kill()
            server.wait()


@contextlib.contextmanager
def serving(act: Callable[[socket.socket], object]) -> Iterator[int]:
    """Accepts connections and lets `act` do what it does with each, one after the other."""
    listener = socket.create_server((HERE, 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = listener.accept()
                with connected, contextlib.suppress(OSError):
                    connected.settimeout(20)
                    act(connected)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)
        assert not thread.is_alive()


def python_server(
    folder: Path, act: Callable[[ssl.SSLSocket], object], **settings: object
) -> Callable[..., None]:
    """A server by Python's own ssl."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "one.key")
    for name, value in settings.items():
        setattr(context, name, value)

    def serve(connected: socket.socket) -> None:
        with context.wrap_socket(connected, server_side=True, suppress_ragged_eofs=False) as line:
            act(line)

    return serve


# --- what is shown ---


def test_the_chain_is_told_as_it_was_sent(pairs: Path) -> None:
    with s_server(
        pairs, "-cert", "one.pem", "-key", "one.key", "-cert_chain", "two.pem", "-build_chain"
    ) as port:
        assert probe_tls(at(port), 5).chain == (der(pairs / "one.pem"),)
    with s_server(pairs, "-cert", "one.pem", "-key", "one.key", "-cert_chain", "two.pem") as port:
        shown = probe_tls(at(port), 5)
    assert shown == TlsAnswer((der(pairs / "one.pem"), der(pairs / "two.pem")), "TLSv1.3", None)


def test_an_older_version_is_told(pairs: Path) -> None:
    with s_server(pairs, "-cert", "one.pem", "-key", "one.key", "-tls1_2") as port:
        assert probe_tls(at(port), 5).version == "TLSv1.2"


def test_the_name_is_sent_or_none(pairs: Path) -> None:
    options = ("-servername", "two.test", "-cert2", "two.pem", "-key2", "two.key")
    with s_server(pairs, "-cert", "one.pem", "-key", "one.key", *options) as port:
        assert probe_tls(at(port, name="two.test"), 5).chain == (der(pairs / "two.pem"),)
        assert probe_tls(at(port, name=None), 5).chain == (der(pairs / "one.pem"),)


# --- the ping ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ping_asks_as_a_browser_does(pairs: Path, version: ssl.TLSVersion) -> None:
    asked: list[bytes] = []

    def answer(line: ssl.SSLSocket) -> None:
        asked.append(line.recv(4096))
        for part in (b"HTTP/1.1 5", b"03 Service", b" Unavailable\r\n\r\n"):
            line.sendall(part)
            time.sleep(0.05)

    with serving(python_server(pairs, answer, maximum_version=version)) as port:
        assert probe_tls(at(port, name="two.test"), 5, "/app/ping").ping == 503
        assert probe_tls(at(port), 5, "/").ping == 503
    agent = b"User-Agent: Mozilla/5.0 (reconcile)\r\nConnection: close\r\n\r\n"
    assert asked == [
        b"GET /app/ping HTTP/1.1\r\nHost: two.test\r\n" + agent,
        b"GET / HTTP/1.1\r\nHost: web\r\n" + agent,
    ]


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 20", b"HTTP/1.1 2000 OK\r\n", b"\x00" * 9000],
    ids=["nothing", "ssh", "cut", "no status", "endless"],
)
def test_a_service_without_an_answer_has_shown_its_chain_all_the_same(pairs: Path, answer: bytes) -> None:
    def say(line: ssl.SSLSocket) -> None:
        line.recv(4096)
        line.sendall(answer)
        if len(answer) > 4096:
            line.recv(1)

    begin = time.monotonic()
    with serving(python_server(pairs, say)) as port:
        shown = probe_tls(at(port), 5, "/")
    assert time.monotonic() - begin < 4
    assert shown.ping is None
    assert len(shown.chain) == 2


def test_a_service_that_hangs_has_shown_its_chain_all_the_same(pairs: Path) -> None:
    with serving(python_server(pairs, lambda line: line.recv(4096) and line.recv(4096))) as port:
        begin = time.monotonic()
        shown = probe_tls(at(port), 0.5, "/")
        assert 0.4 < time.monotonic() - begin < 9
    assert shown.ping is None
    assert len(shown.chain) == 2


def test_postgresql_is_not_pinged(pairs: Path) -> None:
    received: list[bytes] = []
    encrypted = python_server(pairs, lambda line: received.append(line.recv(4096)))

    def postgresql(connected: socket.socket) -> None:
        received.append(connected.recv(8))
        connected.sendall(b"S")
        encrypted(connected)

    with serving(postgresql) as port:
        shown = probe_tls(at(port, "postgresql"), 5, "/")
    assert received == [bytes.fromhex("00000008 04d2162f"), b""]
    assert (len(shown.chain), shown.ping) == (2, None)


# --- why there is none ---


def test_nothing_listens() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(at(port)) == ("connection refused", False)


def test_no_host_answers() -> None:
    with socket.create_server((HERE, 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        begin = time.monotonic()
        assert failure(at(full.getsockname()[1]), 0.5) == ("no answer within 0.5 s", False)
        assert time.monotonic() - begin < 2


def test_an_address_that_leads_nowhere() -> None:
    for address in ("name.invalid", "two..dots"):
        assert failure(Endpoint("web", address, "apache2", 443, "tls", None)) == (
            "its name does not resolve",
            False,
        )
    broadcast = Endpoint("web", "255.255.255.255", "apache2", 443, "tls", None)
    assert failure(broadcast) == ("it cannot be reached (Network is unreachable)", False)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_key_that_is_not_the_certificates(pairs: Path, tmp_path: Path, version: str) -> None:
    """Servers compare the public halves when they start. This key has the public half of
    one.pem, but the private half of another: OpenSSL does not look so closely."""
    key = serialization.load_pem_private_key((pairs / "one.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    ours, other = (
        each.private_numbers().private_value.to_bytes(32, "big")
        for each in (key, ec.generate_private_key(ec.SECP256R1()))
    )
    form = serialization.PrivateFormat.TraditionalOpenSSL
    whole = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    assert whole.count(ours) == 1
    (tmp_path / "wrong.der").write_bytes(whole.replace(ours, other))
    shutil.copy(pairs / "one.pem", tmp_path)
    with s_server(tmp_path, "-cert", "one.pem", "-key", "wrong.der", "-keyform", "DER", version) as port:
        assert failure(at(port)) == (
            "the handshake failed: wrong signature (its key does not belong to its certificate)", True
        )  # fmt: skip


def trickle(connected: socket.socket) -> None:
    """A ServerHello as long as can be, a byte at a time."""
    for byte in b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + bytes(40):
        connected.sendall(bytes([byte]))
        time.sleep(0.1)


def reset(connected: socket.socket) -> None:
    connected.recv(4096)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


SLOW = "it listens, but the handshake did not finish within 0.5 s"
CLOSED = "it closed the connection during the handshake"
NO_TLS = "the handshake failed: it does not speak TLS"
SERVERS: list[tuple[str, str, Callable[[socket.socket], object], str]] = [
    ("silent", "tls", lambda connected: connected.recv(4096) and connected.recv(4096), SLOW),
    ("trickling", "tls", trickle, SLOW),
    ("resetting", "tls", reset, CLOSED),
    ("closing", "tls", lambda connected: connected.recv(4096), CLOSED),
    ("saying goodbye", "tls", lambda connected: connected.sendall(b"\x15\x03\x03\x00\x02\x01\x00"), CLOSED),
    ("closing at once", "tls", lambda _: None, CLOSED),
    ("plain HTTP", "tls", lambda connected: connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9), NO_TLS),
    ("sshd", "tls", lambda connected: connected.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 9), NO_TLS),
    ("noughts", "tls", lambda connected: connected.sendall(bytes(64)), NO_TLS),
    ("a huge record", "tls", lambda connected: connected.sendall(b"\x16\x03\x03\xff\xff" + bytes(64)), NO_TLS),
    ("alert", "tls", lambda connected: connected.sendall(b"\x15\x03\x03\x00\x02\x02\x28"),
     "it refused the handshake: handshake failure"),
    ("unknown name", "tls", lambda connected: connected.sendall(b"\x15\x03\x03\x00\x02\x02\x70"),
     "it refused the handshake: unrecognized name"),
    ("no TLS", "postgresql", lambda connected: connected.recv(8) and connected.sendall(b"N"), "it offers no TLS"),
    ("error", "postgresql", lambda connected: connected.recv(8) and connected.sendall(b"E\x00\x00\x00\x08SFATAL\x00"),
     "it answered the request for TLS with an error"),
    ("garbage", "postgresql", lambda connected: connected.sendall(b"\x1b[31m"),
     r"it answered the request for TLS with b'\x1b'; is that PostgreSQL?"),
    ("closing", "postgresql", lambda connected: connected.recv(8), "it closed the connection when asked for TLS"),
    ("resetting", "postgresql", reset, CLOSED),
    ("silent", "postgresql", lambda connected: connected.recv(8) and connected.recv(8), SLOW),
    ("silent after S", "postgresql",
     lambda connected: connected.sendall(b"S") or (connected.recv(8) and connected.recv(4096) and connected.recv(1)),
     SLOW),
]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "act", "reason"),
    [row[1:] for row in SERVERS],
    ids=[f"{row[1]}: {row[0]}" for row in SERVERS],
)
def test_servers_that_shake_no_hands(
    protocol: str, act: Callable[[socket.socket], object], reason: str
) -> None:
    begin = time.monotonic()
    with serving(act) as port:
        assert failure(at(port, protocol), 0.5) == (reason, True)
        assert time.monotonic() - begin < 2


def test_a_server_that_only_speaks_what_is_no_longer_spoken(pairs: Path) -> None:
    options = ("-tls1", "-cipher", "ALL:@SECLEVEL=0")
    with s_server(pairs, "-cert", "one.pem", "-key", "one.key", *options) as port:
        reason, listens = failure(at(port))
    assert reason in {
        "it refused the handshake: protocol version",
        "the handshake failed: unsupported protocol",
    }
    assert listens


# --- all of them ---


def test_all_are_asked_side_by_side(pairs: Path) -> None:
    with contextlib.ExitStack() as servers:
        silent = [
            at(
                servers.enter_context(
                    serving(lambda connected: connected.recv(4096) and connected.recv(4096))
                )
            )
            for _ in range(4)
        ]
        good = at(servers.enter_context(serving(python_server(pairs, lambda line: line.recv(1)))))
        begin = time.monotonic()
        found = probe_all_tls([*silent, good, good], 0.5, 5)
        assert time.monotonic() - begin < 1.5
    assert list(found) == [*silent, good]
    assert isinstance(found[good], TlsAnswer)
    assert {getattr(found[each], "reason", None) for each in silent} == {SLOW}


def test_no_more_than_asked_for_at_a_time() -> None:
    with serving(lambda connected: connected.recv(4096) and connected.recv(4096)) as port:
        begin = time.monotonic()
        probe_all_tls([at(port, name=name) for name in ("a", "b", "c")], 0.3, 1)
        assert time.monotonic() - begin > 0.8
    assert probe_all_tls([], 1, 1) == {}
