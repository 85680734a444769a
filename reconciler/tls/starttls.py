"""How a client asks a service for TLS within the service's own protocol."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Final

from reconciler.tls.endpoint import NoHandshake

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""How a client of PostgreSQL asks for TLS; the answer is one byte, `S` or `N`, or `E` for an
error (https://www.postgresql.org/docs/15/protocol-message-formats.html)."""

EXTENDED_REQUEST = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
"""How a client of LDAP asks for it, in BER (RFC 4511, section 4.14.1)."""
SUCCESS = re.compile(rb"\x30.{1,5}\x02\x01\x01\x78.{1,5}?\x0a\x01\x00", re.DOTALL)
"""How its answer begins where the server is willing: lengths may be written in one byte or in five."""

LINES: Final[Mapping[str, tuple[tuple[bytes, bytes], ...]]] = {
    "smtp": ((b"", rb"220 "), (b"EHLO reconcile.invalid\r\n", rb"250 "), (b"STARTTLS\r\n", rb"220 ")),
    "imap": ((b"", rb"\* OK"), (b"a STARTTLS\r\n", rb"a OK")),
    "pop3": ((b"", rb"\+OK"), (b"STLS\r\n", rb"\+OK")),
    "ftp": ((b"", rb"220 "), (b"AUTH TLS\r\n", rb"234 ")),
}
"""What is said in turn, and how the last line of the answer begins (RFC 3207; RFC 9051, section 6.2.1;
RFC 2595, section 4; RFC 4217, section 4)."""
GOES_ON: Final[Mapping[str, bytes]] = {"smtp": rb"[0-9]{3}-", "imap": rb"\* ", "ftp": rb"[0-9]{3}-|\s"}
"""How a line begins after which the answer goes on; one of FTP's may be indented (RFC 959, section 4.2)."""

MYSQL_CAN_TLS = 0x0800
MYSQL_REQUEST = bytes((32, 0, 0, 1)) + (0x8A00).to_bytes(4, "little") + bytes(28)
"""How a client of MySQL or MariaDB asks for TLS (CLIENT_SSL) in the protocol since 4.1: a packet of 32 bytes,
the second of the connection, after which the handshake begins (dev.mysql.com/doc/dev/mysql-server,
"Protocol::SSLRequest", "Protocol::HandshakeV10")."""

LONGEST = 16 * 1024
"""Bytes of an answer in which its last line has to end."""


def ask_for_tls(connected: socket.socket, protocol: str) -> None:
    """Asks, and returns once the handshake may begin. Raises `NoHandshake`, and what a socket raises."""
    if protocol == "postgresql":
        _ask_postgresql(connected)
    elif protocol == "ldap":
        connected.sendall(EXTENDED_REQUEST)
        answer = connected.recv(LONGEST)
        if not SUCCESS.match(answer):
            raise _refused(answer, protocol)
    elif protocol == "mysql":
        _ask_mysql(connected)
    for say, expect in LINES.get(protocol, ()):
        connected.sendall(say)
        answer = _answer(connected, protocol, expect)
        if not re.match(expect, answer):
            raise _refused(answer, protocol)


def _answer(connected: socket.socket, protocol: str, expect: bytes) -> bytes:
    """The last line of an answer, as far as it was sent."""
    said, more = b"", GOES_ON.get(protocol)
    while len(said) < LONGEST:
        part = connected.recv(LONGEST)
        said += part
        lines = said.split(b"\n")
        for line in lines[:-1]:
            if re.match(expect, line) or not more or not re.match(more, line):
                return line
        if not part:
            break
    return said


def _ask_postgresql(connected: socket.socket) -> None:
    connected.sendall(SSL_REQUEST)
    answer = connected.recv(1)
    if answer == b"N":
        raise NoHandshake("it offers no TLS", listens=True)
    if answer == b"E":
        raise NoHandshake("it answered the request for TLS with an error", listens=True)
    if answer != b"S":
        raise _refused(answer, "PostgreSQL")


def _ask_mysql(connected: socket.socket) -> None:
    """The server begins: a packet with 10, its version, and 13 bytes further on what it can."""
    said = b""
    while len(said) < 4 or len(said) < 4 + int.from_bytes(said[:3], "little") <= LONGEST:
        part = connected.recv(LONGEST)
        if not part:
            break
        said += part
    greeting = re.match(rb"\x0a[^\0]*\0.{13}(..)", said[4:], re.DOTALL)
    if not greeting:
        # The text of an error, such as that this client may not connect, comes after its number.
        raise _refused(said[7:] if said[4:5] == b"\xff" else said, "mysql")
    if not int.from_bytes(greeting[1], "little") & MYSQL_CAN_TLS:
        raise NoHandshake("it offers no TLS", listens=True)
    connected.sendall(MYSQL_REQUEST)


def _refused(answer: bytes, protocol: str) -> NoHandshake:
    if not answer:
        return NoHandshake("it closed the connection when asked for TLS", listens=True)
    return NoHandshake(
        f"it answered the request for TLS with {answer.strip()[:60]!r}; is that {protocol}?", listens=True
    )
