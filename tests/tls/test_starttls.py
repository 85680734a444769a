"""Services that are asked for TLS within their own protocol; real ones are in tests/hosts/test_consumers.py."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.tls.handshake import probe_tls
from reconciler.tls.starttls import MYSQL_REQUEST
from tests.tls.test_handshake import at, failure, pairs, python_server, serving

__all__ = ["pairs"]

ASKED = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
WILLING = bytes.fromhex("300c020101780 70a010004000400".replace(" ", ""))
LONG = bytes.fromhex("308400000010020101788400000007 0a010004000400".replace(" ", ""))
UNWILLING = WILLING.replace(b"\x0a\x01\x00", b"\x0a\x01\x34")

GREETING = b"\x0a5.5.5-10.11.18-MariaDB\0" + bytes(13) + b"\xff\xff" + bytes(30)
NO_TLS = GREETING.replace(b"\xff\xff", b"\xff\xf7")
NOT_ALLOWED = b"\xff\x6a\x04Host '10.0.0.1' is not allowed to connect to this MariaDB server"

Turns = tuple[tuple[bytes, bytes], ...]
"""What the server is told, and what it answers, in turn."""

SMTP: Turns = (
    (b"", b"220-cn ESMTP\r\n220 hello\r\n"),
    (b"EHLO reconcile.invalid\r\n", b"250-cn\r\n250-STARTTLS\r\n250 8BITMIME\r\n"),
    (b"STARTTLS\r\n", b"220 go ahead\r\n"),
)
IMAP: Turns = ((b"", b"* OK ready\r\n"), (b"a STARTTLS\r\n", b"* CAPABILITY X\r\na OK begin\r\n"))
POP3: Turns = ((b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK begin\r\n"))
FTP: Turns = (
    (b"", b"220-welcome\r\n 220 to us\r\n220 ready\r\n"),
    (b"AUTH TLS\r\n", b"234 Proceed with negotiation.\r\n"),
)


def packet(payload: bytes) -> Turns:
    """A server of MySQL says something, and asks nothing."""
    return ((b"", len(payload).to_bytes(3, "little") + b"\0" + payload),)


def plays(turns: Turns, heard: list[bytes], then: Callable[[socket.socket], object]) -> Callable[..., None]:
    """A server that says its part, a byte at a time where that is a line, and then does something else."""

    def act(connected: socket.socket) -> None:
        for expected, answer in turns:
            heard.append(connected.recv(len(expected)) if expected else b"")
            for byte in answer if answer.endswith(b"\n") else ():
                connected.sendall(bytes([byte]))
            if not answer.endswith(b"\n"):
                connected.sendall(answer)
        then(connected)

    return act


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        pytest.param("smtp", SMTP, id="smtp"),
        pytest.param("imap", IMAP, id="imap"),
        pytest.param("pop3", POP3, id="pop3"),
        pytest.param("ftp", FTP, id="ftp"),
        pytest.param("mysql", (*packet(GREETING), (MYSQL_REQUEST, b"")), id="mysql"),
        pytest.param("ldap", ((ASKED, WILLING),), id="ldap"),
        pytest.param("ldap", ((ASKED, LONG),), id="ldap with long lengths"),
    ],
)
def test_a_service_that_is_asked_shows_its_certificate(pairs: Path, protocol: str, turns: Turns) -> None:
    heard: list[bytes] = []
    with serving(plays(turns, heard, python_server(pairs, lambda line: line.recv(4096)))) as port:
        shown = probe_tls(at(port, protocol), 5, "/")
    assert heard == [expected for expected, _ in turns]
    assert (len(shown.chain), shown.ping) == (2, None)


SAYS = "it answered the request for TLS with"


@pytest.mark.parametrize(
    ("protocol", "turns", "reason"),
    [
        ("smtp", (*SMTP[:2], (b"STARTTLS\r\n", b"454 not now\r\n")), f"{SAYS} b'454 not now'; is that smtp?"),
        ("smtp", ((b"", b"554 go away\r\n"),), f"{SAYS} b'554 go away'; is that smtp?"),
        ("smtp", ((b"", b"SSH-2.0-OpenSSH_9.2\r\n"),), f"{SAYS} b'SSH-2.0-OpenSSH_9.2'; is that smtp?"),
        ("imap", (IMAP[0], (b"a STARTTLS\r\n", b"a BAD what\r\n")), f"{SAYS} b'a BAD what'; is that imap?"),
        ("pop3", (POP3[0], (b"STLS\r\n", b"-ERR no\r\n")), f"{SAYS} b'-ERR no'; is that pop3?"),
        ("pop3", ((b"", b"\x1b[31m"),), f"{SAYS} b'\\x1b[31m'; is that pop3?"),
        ("ftp", (FTP[0], (b"AUTH TLS\r\n", b"530 no\r\n")), f"{SAYS} b'530 no'; is that ftp?"),
        ("ftp", ((b"", b"SSH-2.0-OpenSSH_9.2\r\n"),), f"{SAYS} b'SSH-2.0-OpenSSH_9.2'; is that ftp?"),
        ("mysql", packet(NO_TLS), "it offers no TLS"),
        ("mysql", packet(NOT_ALLOWED), f"{SAYS} {NOT_ALLOWED[3:63]!r}; is that mysql?"),
        ("mysql", ((b"", b"220 ready"),), f"{SAYS} b'220 ready'; is that mysql?"),
        ("mysql", (), "it closed the connection when asked for TLS"),
        ("imap", (), "it closed the connection when asked for TLS"),
        ("ldap", (), "it closed the connection when asked for TLS"),
    ],
)
def test_a_service_that_is_not_willing_is_told_with_what_it_says(
    protocol: str, turns: Turns, reason: str
) -> None:
    with serving(plays(turns, [], lambda connected: connected.shutdown(socket.SHUT_WR))) as port:
        assert failure(at(port, protocol)) == (reason, True)


def test_an_ldap_server_without_tls_is_told() -> None:
    with serving(plays(((ASKED, UNWILLING),), [], lambda connected: connected.recv(1))) as port:
        reason, listens = failure(at(port, "ldap"))
    assert listens
    assert reason.endswith("; is that ldap?")


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "ldap"])
def test_a_service_that_says_nothing_is_not_waited_for(protocol: str) -> None:
    with serving(lambda connected: connected.recv(4096) and connected.recv(4096)) as port:
        assert failure(at(port, protocol), 0.5) == (
            "it listens, but the handshake did not finish within 0.5 s", True
        )  # fmt: skip


def test_a_service_that_never_ends_its_line_is_left() -> None:
    def endless(connected: socket.socket) -> None:
        while True:
            connected.sendall(b"* " * 4096)

    with serving(endless) as port:
        reason, _ = failure(at(port, "imap"), 5)
    assert reason.startswith(SAYS)
