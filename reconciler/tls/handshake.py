"""Services as their clients see them: a real TLS handshake, and what was shown in it.

The one door to pyOpenSSL, which, unlike Python's own `ssl` up to 3.12, tells the chain as it
was sent. Whether that is to be trusted is not judged here (see verify.py), but a
handshake is only over when the server has proved that it has the certificate's key
(RFC 8446, section 4.4.3; RFC 5246, section 7.4.3).
"""

from __future__ import annotations

import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from OpenSSL import SSL, crypto

from reconciler.questions.tls import KEYS
from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer
from reconciler.tls.starttls import ask_for_tls

T = TypeVar("T")

AGENT = "Mozilla/5.0 (reconcile)"

# RFC 9112, section 4.
STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})\b")
# OpenSSL names an alert of the server by the oldest protocol that has it: "tlsv1 alert protocol
# version", "sslv3 alert handshake failure", "tlsv13 alert certificate required" (ssl/ssl_err.c).
ALERT = re.compile(r"(?:sslv3|tlsv1\d?|tls(?= alert))(?: alert)? (.+)")
LONGEST = 4096
"""Bytes of an answer in which its first line has to end."""


def probe_all_tls(
    endpoints: Iterable[Endpoint], seconds: float, parallel: int, ping: str | None = None
) -> dict[Endpoint, TlsAnswer | NoHandshake]:
    """`probe_tls` for all of them, `parallel` at a time."""

    def one(endpoint: Endpoint) -> TlsAnswer | NoHandshake:
        try:
            return probe_tls(endpoint, seconds, ping)
        except NoHandshake as why_not:
            return why_not

    each = tuple(endpoints)
    with ThreadPoolExecutor(parallel) as threads:
        return dict(zip(each, threads.map(one, each), strict=True))


def probe_tls(endpoint: Endpoint, seconds: float, ping: str | None = None) -> TlsAnswer:
    """What the service shows to a client, within `seconds` for everything (a name with several
    addresses: for each connection that is tried). `ping` is a path to `GET` where the protocol
    is `tls`. Raises `NoHandshake`."""
    deadline = time.monotonic() + seconds
    try:
        connected = socket.create_connection((endpoint.address, endpoint.port), seconds)
    except (OSError, UnicodeError) as error:
        raise NoHandshake(_why_not_reached(error, seconds), listens=False) from None
    with connected:
        try:
            return _handshake(connected, endpoint, deadline, ping)
        except TimeoutError:
            reason = f"it listens, but the handshake did not finish within {seconds:g} s"
        except (SSL.SysCallError, SSL.ZeroReturnError, OSError):
            reason = "it closed the connection during the handshake"
        except SSL.Error as error:
            reason = _why_refused(error)
        raise NoHandshake(reason, listens=True)


def _handshake(connected: socket.socket, endpoint: Endpoint, deadline: float, ping: str | None) -> TlsAnswer:
    connected.settimeout(max(deadline - time.monotonic(), 0.001))
    ask_for_tls(connected, endpoint.protocol)
    connected.setblocking(False)
    settings = SSL.Context(SSL.TLS_CLIENT_METHOD)
    # Whatever is shown is wanted, trusted or not; OpenSSL still checks that the key signs.
    settings.set_verify(SSL.VERIFY_NONE)
    if endpoint.key:
        _take_only(settings, KEYS[endpoint.key])
    connection = SSL.Connection(settings, connected)
    if endpoint.name is not None:
        connection.set_tlsext_host_name(endpoint.name.encode("ascii"))
    connection.set_connect_state()
    _complete(connection, connection.do_handshake, deadline)
    sent = connection.get_peer_cert_chain() or []
    chain = tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in sent)
    status = None
    if ping is not None and endpoint.protocol == "tls":
        with suppress(SSL.Error, OSError):
            status = _status(connection, endpoint.name or endpoint.host, ping, deadline)
    with suppress(SSL.Error, OSError):
        connection.shutdown()
    return TlsAnswer(chain, connection.get_protocol_version_name(), status)


def _take_only(settings: SSL.Context, signatures: str) -> None:
    """The public part of pyOpenSSL has no word for this, only for ciphers, which in TLS 1.3 say nothing of
    the key; what it is made of has had the function for years (cryptography, `_cffi_src/openssl/ssl.py`)."""
    openssl: Any = SSL._lib  # type: ignore[attr-defined]  # noqa: SLF001
    if not openssl.SSL_CTX_set1_sigalgs_list(settings._context, signatures.encode("ascii")):  # noqa: SLF001
        raise NoHandshake(f"OpenSSL here does not know {signatures}", listens=True)


def _complete(connection: SSL.Connection, act: Callable[[], T], deadline: float) -> T:
    """What `act` returns, as soon as it need not wait; raises `TimeoutError`."""
    while True:
        try:
            return act()
        except SSL.WantReadError:
            event = select.POLLIN
        except SSL.WantWriteError:
            event = select.POLLOUT
        ready = select.poll()
        ready.register(connection.fileno(), event)
        if not ready.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise TimeoutError


def _status(connection: SSL.Connection, host: str, path: str, deadline: float) -> int | None:
    head = (f"GET {path} HTTP/1.1", f"Host: {host}", f"User-Agent: {AGENT}", "Connection: close", "", "")
    request = "\r\n".join(head).encode()
    _complete(connection, lambda: connection.send(request), deadline)
    answer = b""
    while b"\r\n" not in answer and len(answer) < LONGEST:
        answer += _complete(connection, lambda: connection.recv(LONGEST), deadline)
    found = STATUS_LINE.match(answer)
    return int(found[1]) if found else None


def _why_not_reached(error: OSError | UnicodeError, seconds: float) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case socket.gaierror() | UnicodeError():
            return "its name does not resolve"
        case _:
            return f"it cannot be reached ({os.strerror(error.errno or 0)})"


def _why_refused(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong, without what leads up to them (ssl/ssl_err.c; what
    begins with a version of the protocol is an alert of the server's)."""
    said = error.args[0][-1][2] if error.args and error.args[0] else ""
    if alert := ALERT.match(said):
        return f"it refused the handshake: {alert[1]}"
    if said == "bad signature":
        return "the handshake failed: wrong signature (its key does not belong to its certificate)"
    if said in ("wrong version number", "record layer failure"):
        return "the handshake failed: it does not speak TLS"
    return f"the handshake failed: {said or 'no reason given'}"
