"""A CA that is at its limit: a fake, because Pebble has no limits. Started by `lab.ca`.

It speaks enough ACME for a client with an account to ask for an order, and refuses that one
as RFC 8555, section 6.6, says.
"""

from __future__ import annotations

import json
import secrets
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESOURCES = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")


class Refusing(BaseHTTPRequestHandler):
    """Answers the directory and nonces, and everything else with 429."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The directory, whatever the path."""
        self._answer(200, {name: f"https://acme:14000/{name}" for name in RESOURCES})

    def do_HEAD(self) -> None:
        """A nonce."""
        self._answer(200, None)

    def do_POST(self) -> None:
        """The refusal."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        detail = "too many certificates (5) already issued for this exact set of identifiers"
        problem = {"type": "urn:ietf:params:acme:error:rateLimited", "status": 429, "detail": detail}
        self._answer(429, problem, "application/problem+json")

    def _answer(self, status: int, body: object, kind: str = "application/json") -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Replay-Nonce", secrets.token_urlsafe(16))
        if status == 429:
            self.send_header("Retry-After", "3600")
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """ADDRESS PORT CERTIFICATE KEY."""
    address, port, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((address, int(port)), Refusing)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
