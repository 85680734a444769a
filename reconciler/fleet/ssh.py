"""The only socket: SSH connections, with pinned host keys and errors that say what to do."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from reconciler.environment.settings import Host, Ssh
from reconciler.fleet import known_hosts
from reconciler.fleet.reply import HostError, NoAnswer, Refused, Unresponsive
from reconciler.fleet.routes import Route, Routes
from reconciler.fleet.shell import end, is_alive
from reconciler.fleet.ssh_errors import OnlyAuthority, RevokedKey, UnknownKey, host_error

# It logs what it also raises, whole tracebacks of it, and without a handler that is stderr.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


_WEAK = re.compile("cbc|3des|arcfour|md5|sha1")
WEAK = {
    # paramiko keeps the lists nowhere else.
    kind: [name for name in getattr(paramiko.Transport, f"_preferred_{kind}") if _WEAK.search(name)]
    for kind in ("ciphers", "macs", "kex")
}
"""What is not offered to hosts, of ciphers, MACs and key exchanges."""


class _Transport(paramiko.Transport):
    """paramiko's, which costs less for each host: what it offers is the same, in another order.

    AES-GCM comes first, since paramiko compares the MAC of any other cipher in Python, byte by byte. And a
    connection that nothing is heard of is woken once a second and not ten times; what ends it wakes it at
    once (`shell.end`).
    """

    _preferred_ciphers = tuple(
        sorted(getattr(paramiko.Transport, "_preferred_ciphers"), key=lambda name: "-gcm@" not in name)  # noqa: B009
    )
    _active_check_timeout = 1.0


class _RefuseUnknownKeys(paramiko.MissingHostKeyPolicy):
    """Refuses a host key that is not pinned, and says which one was offered."""

    def __init__(self, known: known_hosts.KnownHost) -> None:
        self._known = known

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if f"{key.get_name()} {key.get_base64()}" in self._known.revoked:
            raise RevokedKey(key)
        raise OnlyAuthority(key) if self._known.authorities else UnknownKey(key)


class ConnectionFactory:
    """Opens connections, from several threads at once, as an environment and ssh's own configuration say;
    they share one connection to each jump host."""

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh
        self.routes = Routes(ssh)
        self._guard = threading.Lock()
        self._keys: dict[tuple[tuple[str, ...], str | None], paramiko.PKey | None] = {}
        self._locks: dict[Route, threading.Lock] = {}
        self._jumps: dict[Route, paramiko.SSHClient | HostError] = {}

    def connect(self, host: Host) -> paramiko.SSHClient:
        """A connected and authenticated client. Raises `HostError`.

        Only "no answer" is tried again, twice, after a random wait.
        """
        route = self.routes.of(host)
        try:
            return self._connect(route)
        except (Refused, Unresponsive):
            raise
        except NoAnswer:
            import tenacity  # noqa: PLC0415 - costs a tenth of the start, and most runs never retry

            wait = tenacity.wait_random(0.2, 1.0)
            time.sleep(wait(None))  # type: ignore[arg-type]
            again = tenacity.Retrying(
                retry=tenacity.retry_if_exception(
                    lambda error: isinstance(error, NoAnswer) and not isinstance(error, Unresponsive)
                ),
                stop=tenacity.stop_after_attempt(2) | tenacity.stop_after_delay(10),
                wait=wait,
                reraise=True,
            )
            return again(lambda: self._connect(route))

    def close(self) -> None:
        """Ends the connections to the jump hosts."""
        # What is reached through another was made after it.
        for jump in reversed(self._jumps.values()):
            if isinstance(jump, paramiko.SSHClient):
                end(jump)

    def _connect(self, route: Route, first: str | None = None) -> paramiko.SSHClient:
        """`first` is the pinned key that is expected, where several of its type are."""
        client = paramiko.SSHClient()
        seconds = self.ssh.timeout
        began = time.monotonic()
        try:
            known = self._pin(client, route, first)
            client.connect(
                route.name,
                route.port,
                route.user,
                pkey=self.key(route),
                sock=self._socket(route),
                allow_agent=route.agent,
                look_for_keys=False,
                disabled_algorithms=WEAK,
                transport_factory=_Transport,  # type: ignore[arg-type]  # the stubs are of an older one
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
            )
        except HostError:
            end(client)
            raise
        except paramiko.BadHostKeyException as error:
            end(client)
            offered = f"{error.key.get_name()} {error.key.get_base64()}"
            if offered in known.pinned and first is None:
                return self._connect(route, offered)
            reason = RevokedKey(error.key) if offered in known.revoked else error
            raise host_error(self.ssh, route, reason, "", False) from None
        except Exception as error:  # noqa: BLE001 - paramiko lets many through; each becomes a reason
            said, late = _banner(client), time.monotonic() - began >= seconds
            end(client)
            raise host_error(self.ssh, route, error, said, late) from None
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(15)  # seconds; for firewalls that forget idle connections
        return client

    def _socket(self, route: Route) -> socket.socket | paramiko.Channel:
        where = (route.address, route.port)
        if route.via is None:
            sock = socket.create_connection(where, timeout=self.ssh.timeout)
            # Scripts and replies are small; Nagle's algorithm would hold their last part back.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _detect_a_dead_peer(sock, self.ssh.timeout)
            return sock
        try:
            return self._jump_transport(route.name, route.via).open_channel(
                "direct-tcpip", where, ("127.0.0.1", 0), timeout=self.ssh.timeout
            )
        except (paramiko.SSHException, EOFError) as error:
            lost = f"cannot reach {where[0]}:{where[1]} ({error or 'connection lost'})"
            raise NoAnswer(route.name, f"the jump host {route.via.name} {lost}") from None

    def _jump_transport(self, name: str, hop: Route) -> paramiko.Transport:
        """The way to a jump host: made once, and again when it was lost. That it cannot be
        made is remembered, so that not every host waits for it in turn."""
        with self._guard:
            lock = self._locks.setdefault(hop, threading.Lock())
        with lock:
            made = self._jumps.get(hop)
            if made is None or (isinstance(made, paramiko.SSHClient) and not is_alive(made)):
                try:
                    made = self._connect(hop)
                except HostError as error:
                    made = error
                self._jumps[hop] = made
        if isinstance(made, HostError):
            # Of several hops, the first that fails is at fault, and has been named.
            named = made.reason.startswith("the jump host ")
            raise Refused(name, made.reason if named else f"the jump host {hop.name}: {made.reason}")
        transport = made.get_transport()
        if transport is None:
            raise EOFError
        return transport

    def key(self, route: Route) -> paramiko.PKey | None:
        """The private key to log in to a host with: the first that can be used; None for the agent's.
        Raises `Refused` where there is none, and the agent is not to be asked."""
        given = (route.identities, route.certificate)
        if given in self._keys:
            return self._keys[given]
        key, fault = None, ""
        for identity in route.identities:
            try:
                key = paramiko.PKey.from_path(identity)
                if route.certificate:
                    key.load_certificate(route.certificate)
                break
            except Exception as error:  # noqa: BLE001 - whatever a parser makes of a file that is no key
                key, fault = None, fault or _identity_fault(identity, error)
        if key is None and fault and not route.agent:
            raise Refused(route.name, fault)
        self._keys[given] = key
        return key

    @cached_property
    def _known(self) -> known_hosts.PinnedKeys:
        text = Path(self.ssh.known_hosts).expanduser().read_bytes().decode("utf-8", "replace")
        return known_hosts.PinnedKeys(text.splitlines())

    def _pin(self, client: paramiko.SSHClient, route: Route, first: str | None) -> known_hosts.KnownHost:
        mine = known_hosts.host_label(route.name, route.port)
        try:
            known = self._known.find_host(route.labels)
        except OSError as error:
            reason = f"the pinned host keys in {self.ssh.known_hosts} cannot be read ({error.strerror})"
            raise Refused(route.name, f"{reason}; see `ssh.known_hosts`") from None
        # Of several keys of one type, paramiko keeps the one that was added last.
        for line in [*known.pinned, *([first] if first else [])]:
            with suppress(ValueError, paramiko.SSHException, InvalidHostKey):
                entry = HostKeyEntry.from_line(f"{mine} {line}")
                if entry and entry.key:
                    client.get_host_keys().add(mine, entry.key.get_name(), entry.key)
        client.set_missing_host_key_policy(_RefuseUnknownKeys(known))
        return known


def _identity_fault(identity: str, error: Exception) -> str:
    if isinstance(error, OSError):
        reason = f"cannot be read ({error.strerror}); see `ssh.identity`"
    elif "password" in str(error).lower():
        reason = "has a passphrase: add it to an agent and leave `ssh.identity` out"
    else:
        reason = "is no private key; name the file without `.pub` that ssh-keygen has made"
    return f"the identity {identity} {reason}"


def _detect_a_dead_peer(sock: socket.socket, seconds: int) -> None:
    """Has the kernel give up a peer that is gone before a long step's time is up: it probes after
    5 idle seconds, and fails where sent data is not acknowledged for `seconds` (tcp(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_USER_TIMEOUT", seconds * 1000)):
        if hasattr(socket, name):  # Linux has them all
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _banner(client: paramiko.SSHClient) -> str:
    """What sshd said before it refused the login: an expired account, a shutdown (RFC 4252,
    section 5.4)."""
    handler = getattr(client.get_transport(), "auth_handler", None)
    text: bytes = getattr(handler, "banner", None) or b""
    return text.decode("utf-8", "replace").strip()[-200:]


def login_keys(ssh: Ssh, routes: Iterable[Route]) -> dict[Route, str | None]:
    """Why nobody can log in with the keys of a route; None where a file has one, "" where the agent must."""
    factory, found = ConnectionFactory(ssh), {}
    for route in routes:
        try:
            found[route] = None if factory.key(route) else ""
        except Refused as error:
            found[route] = error.reason
    return found
