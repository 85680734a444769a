"""The only socket: SSH connections, with pinned host keys and errors that say what to do."""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import threading
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from reconciler.environment.settings import Ssh
from reconciler.fleet import known_hosts
from reconciler.fleet.reply import HostError, NoAnswer, Refused, Unresponsive
from reconciler.fleet.shell import is_alive
from reconciler.messages import Message

# It logs what it also raises, whole tracebacks of it, and without a handler that is stderr.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class _UnknownKey(paramiko.SSHException):
    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key
        super().__init__("host key unknown")


class _RevokedKey(_UnknownKey):
    """The key that was offered is marked as `@revoked`."""


class _OnlyAuthority(_UnknownKey):
    """No key is pinned, but an authority for host certificates is, which paramiko cannot ask for."""


_WEAK = re.compile("cbc|3des|arcfour|md5|sha1")
WEAK = {
    # paramiko keeps the lists nowhere else.
    kind: [name for name in getattr(paramiko.Transport, f"_preferred_{kind}") if _WEAK.search(name)]
    for kind in ("ciphers", "macs", "kex")
}
"""What is not offered to hosts, of ciphers, MACs and key exchanges."""


class _RefuseUnknownKeys(paramiko.MissingHostKeyPolicy):
    """Refuses a host key that is not pinned, and says which one was offered."""

    def __init__(self, known: known_hosts.KnownHost) -> None:
        self._known = known

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if f"{key.get_name()} {key.get_base64()}" in self._known.revoked:
            raise _RevokedKey(key)
        raise _OnlyAuthority(key) if self._known.authorities else _UnknownKey(key)


class ConnectionFactory:
    """Opens connections, from several threads at once, with the pinned keys, the identity and the
    jump host of an environment; they share one connection to the jump host."""

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh
        self._jumping = threading.Lock()
        self._jump: paramiko.SSHClient | HostError | None = None

    def connect(self, name: str, address: str) -> paramiko.SSHClient:
        """A connected and authenticated client. Raises `HostError`.

        Only "no answer" is tried again, twice, after a random wait.
        """

        def once() -> paramiko.SSHClient:
            return self._connect(name, address, self.ssh.port, self.ssh.user, self.ssh.jump)

        try:
            return once()
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
            return again(once)

    def close(self) -> None:
        """Ends the connection to the jump host."""
        if isinstance(self._jump, paramiko.SSHClient):
            self._jump.close()

    def _connect(
        self, name: str, address: str, port: int, user: str, jump: str | None, first: str | None = None
    ) -> paramiko.SSHClient:
        """`first` is the pinned key that is expected, where several of its type are."""
        client = paramiko.SSHClient()
        seconds = self.ssh.timeout
        began = time.monotonic()
        try:
            known = self._pin(client, name, address, port, first)
            client.connect(
                name,
                port,
                user,
                pkey=self.key(name),
                sock=self._socket(name, address, port, jump),
                allow_agent=self.ssh.identity is None,
                look_for_keys=False,
                disabled_algorithms=WEAK,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
            )
        except HostError:
            client.close()
            raise
        except paramiko.BadHostKeyException as error:
            client.close()
            offered = f"{error.key.get_name()} {error.key.get_base64()}"
            if offered in known.pinned and first is None:
                return self._connect(name, address, port, user, jump, offered)
            reason = _RevokedKey(error.key) if offered in known.revoked else error
            raise _host_error(self.ssh, name, f"{address}:{port}", user, reason, "", False) from None
        except Exception as error:  # noqa: BLE001 - paramiko lets many through; each becomes a reason
            said, late = _banner(client), time.monotonic() - began >= seconds
            client.close()
            raise _host_error(self.ssh, name, f"{address}:{port}", user, error, said, late) from None
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(15)  # seconds; for firewalls that forget idle connections
        return client

    def _socket(
        self, name: str, address: str, port: int, jump: str | None
    ) -> socket.socket | paramiko.Channel:
        if jump is None:
            sock = socket.create_connection((address, port), timeout=self.ssh.timeout)
            # Scripts and replies are small; Nagle's algorithm would hold their last part back.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _detect_a_dead_peer(sock, self.ssh.timeout)
            return sock
        host = jump_parts(jump, self.ssh.user)[1]
        try:
            return self._jump_transport(name, jump).open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=self.ssh.timeout
            )
        except (paramiko.SSHException, EOFError) as error:
            reason = f"the jump host {host} cannot reach {address}:{port} ({error or 'connection lost'})"
            raise NoAnswer(name, reason) from None

    def _jump_transport(self, name: str, jump: str) -> paramiko.Transport:
        """The way to the jump host: made once, and again when it was lost. That it cannot be
        made is remembered, so that not every host waits for it in turn."""
        user, host, port = jump_parts(jump, self.ssh.user)
        with self._jumping:
            lost = isinstance(self._jump, paramiko.SSHClient) and not is_alive(self._jump)
            if self._jump is None or lost:
                try:
                    self._jump = self._connect(host, host, port, user, None)
                except HostError as error:
                    self._jump = error
            if isinstance(self._jump, HostError):
                raise Refused(name, f"the jump host {host}: {self._jump.reason}")
            transport = self._jump.get_transport()
        if transport is None:
            raise EOFError
        return transport

    @cached_property
    def _identity(self) -> paramiko.PKey | None:
        return paramiko.PKey.from_path(self.ssh.identity) if self.ssh.identity else None

    def key(self, name: str) -> paramiko.PKey | None:
        """The private key to log in to a host with; None for the agent's. Raises `Refused`."""
        identity = self.ssh.identity
        try:
            return self._identity
        except OSError as error:
            reason = f"cannot be read ({error.strerror}); see `ssh.identity`"
        except Exception as error:  # noqa: BLE001 - whatever a parser makes of a file that is no key
            if "password" in str(error).lower():
                reason = "has a passphrase: add it to an agent and leave `ssh.identity` out"
            else:
                reason = "is no private key; name the file without `.pub` that ssh-keygen has made"
        raise Refused(name, f"the identity {identity} {reason}")

    @cached_property
    def _known(self) -> list[str]:
        return Path(self.ssh.known_hosts).read_bytes().decode("utf-8", "replace").splitlines()

    def _pin(
        self, client: paramiko.SSHClient, name: str, address: str, port: int, first: str | None
    ) -> known_hosts.KnownHost:
        mine = known_hosts.host_label(name, port)
        try:
            known = known_hosts.find_host(self._known, name, address, port)
        except OSError as error:
            reason = f"the pinned host keys in {self.ssh.known_hosts} cannot be read ({error.strerror})"
            raise Refused(name, f"{reason}; see `ssh.known_hosts`") from None
        # Of several keys of one type, paramiko keeps the one that was added last.
        for line in [*known.pinned, *([first] if first else [])]:
            with suppress(ValueError, paramiko.SSHException, InvalidHostKey):
                entry = HostKeyEntry.from_line(f"{mine} {line}")
                if entry and entry.key:
                    client.get_host_keys().add(mine, entry.key.get_name(), entry.key)
        client.set_missing_host_key_policy(_RefuseUnknownKeys(known))
        return known


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


def identity_fault(ssh: Ssh) -> str | None:
    """Why nobody can log in with `ssh.identity`; None where it can be read, or none is named."""
    try:
        ConnectionFactory(ssh).key("")
    except Refused as error:
        return error.reason
    return None


def jump_parts(jump: str, user: str) -> tuple[str, str, int]:
    """`[USER@]HOST[:PORT]` as user (`user` where it names none), host and port (22).

    Raises `ValueError`, whose message names the setting.
    """
    who, at, where = jump.rpartition("@")
    parts = re.fullmatch(r"(?:\[([^]]+)\]|([^][:]+))(?::([0-9]+))?", where)
    if parts is None:
        raise ValueError(f"`ssh.jump: {jump}` is not [USER@]HOST[:PORT]; an IPv6 address goes in brackets")
    return (who if at else user), parts[1] or parts[2], int(parts[3] or 22)


def _host_error(
    ssh: Ssh, name: str, where: str, user: str, error: Exception, said: str, late: bool
) -> HostError:
    """What went wrong with a connection, in words that say what to do."""
    file, identity = ssh.known_hosts, ssh.identity or "the agent's keys"
    words = str(error)
    match error:
        case paramiko.SSHException() if late and re.search("banner|No existing session|timeout", words):
            hint = f"does its sshd hang? {Message.NO_ANSWER}"
            return Unresponsive(name, f"no SSH answer from {where} within {ssh.timeout} s; {hint}")
        case _UnknownKey() | paramiko.BadHostKeyException():
            reason = _host_key_error(file, name, where, error)
        case paramiko.AuthenticationException():
            usual = "is the public key in its authorized_keys, may the account log in?"
            hint = f"it said: {said}" if said else usual
            reason = f"authentication refused for {user} with {identity}; {hint} {Message.LOGIN_REFUSED}"
        case paramiko.SSHException() if "No authentication methods" in words:
            unset = "`ssh.identity` is not set, and no agent holds one"
            reason = f"there is no key to log in with: {unset} {Message.NO_KEY}"
        case paramiko.SSHException() if ssh.identity is None and "No existing session" in words:
            hint = f"name the right one in `ssh.identity` {Message.LOGIN_REFUSED}"
            reason = f"it closed the connection while the agent's keys were tried for {user}; {hint}"
        case socket.gaierror() | UnicodeError():
            hint = f"set `address:` for it, or fix the DNS {Message.NO_ADDRESS}"
            reason = f"its name does not resolve ({where}); {hint}"
        case ValueError():
            reason = words
        case _:
            return _no_answer(ssh, name, where, error)
    return Refused(name, reason)


def _host_key_error(
    file: str, name: str, where: str, error: _UnknownKey | paramiko.BadHostKeyException
) -> str:
    key = error.key
    line = (
        f"{known_hosts.host_label(name, int(where.rpartition(':')[2]))} {key.get_name()} {key.get_base64()}"
    )
    match error:
        case _RevokedKey():
            return (
                f"it offers a host key that {file} marks as @revoked {Message.HOST_KEY_REVOKED}:"
                f" {key.get_name()} {key.fingerprint}. Whoever has that key can pose as the host; give it"
                " another one"
            )
        case _OnlyAuthority():
            return (
                f"its host key is not pinned, only an authority for it (@cert-authority in {file})"
                f" {Message.HOST_KEY_UNKNOWN}: certificates of hosts cannot be checked here. Compare"
                f" {key.get_name()} {key.fingerprint} on the host's console, then add to {file} the line"
                f" {line}"
            )
        case _UnknownKey():
            return (
                f"its host key is not pinned {Message.HOST_KEY_UNKNOWN}: {key.get_name()} {key.fingerprint}"
                f" is offered. Compare it on the host's console, then add to {file} the line {line}"
            )
        case paramiko.BadHostKeyException(expected_key=pinned):
            return (
                f"its host key has changed {Message.HOST_KEY_CHANGED}: {key.fingerprint} is offered,"
                f" {pinned.fingerprint} is pinned. If the host was rebuilt, replace its line in"
                f" {file}; if not, another machine is answering at {where}"
            )


def _no_answer(ssh: Ssh, name: str, where: str, error: Exception) -> NoAnswer:
    match error:
        case ConnectionRefusedError():
            hint = f"is sshd running, is the port right? {Message.NO_ANSWER}"
            return NoAnswer(name, f"{where} refuses connections; {hint}")
        case TimeoutError():
            hint = f"is it up? {Message.NO_ANSWER}"
            return Unresponsive(name, f"no answer from {where} within {ssh.timeout} s; {hint}")
        case OSError() if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            hint = f"is it up? {Message.NO_ANSWER}"
            return Unresponsive(name, f"{where} is unreachable ({os.strerror(error.errno)}); {hint}")
        case _:
            said = str(error) or type(error).__name__
            hint = f"is that sshd, is the port right? {Message.NO_ANSWER}"
            return NoAnswer(name, f"{where} gave no usable SSH answer ({said}); {hint}")
