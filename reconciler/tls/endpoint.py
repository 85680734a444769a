"""Where a service is asked, and what it showed or why it showed nothing. Nouns only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """Where the service `service` of the host `host` is asked: at `address` (an IP address or a
    name) and `port`, in one of `questions.tls.PROTOCOLS`. `name`, a DNS name in ASCII, is sent as SNI;
    None sends none. `key` is the one of `questions.tls.KEYS` that the client takes; any if it is empty."""

    host: str
    address: str
    service: str
    port: int
    protocol: str
    name: str | None
    key: str = ""


@dataclass(frozen=True)
class TlsAnswer:
    """What a service showed: its chain (DER, leaf first, exactly as sent), the version of TLS
    (`TLSv1.3`), and the HTTP status of its answer to the ping; None where none was asked for,
    or where none came."""

    chain: tuple[bytes, ...]
    version: str
    ping: int | None


class NoHandshake(Exception):
    """No handshake was completed: `reason` is one line; `listens` is whether something at
    least accepted the connection."""

    def __init__(self, reason: str, listens: bool) -> None:
        self.reason, self.listens = reason, listens
        super().__init__(reason)
