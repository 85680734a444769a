"""The only socket: SSH connections, with pinned host keys and errors that say what to do."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from functools import cached_property

# paramiko loads invoke, a fifth of our start, for `Match exec` in ssh_config, which is not read
# here; it does without where invoke is not there.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]

import paramiko  # noqa: E402

from reconciler.declared import Ssh  # noqa: E402
from reconciler.replies import HostError, NoAnswer, Refused, Silent  # noqa: E402

LONG = 2048
"""Bytes of a broken answer that are still short enough to be shown."""


class Shell:
    """One shell on a host, over one connection."""

    def __init__(self, host: str, client: paramiko.SSHClient, command: str, seconds: float) -> None:
        self._host, self._client = host, client
        transport = client.get_transport()
        try:
            if transport is None:
                raise EOFError
            self._channel = transport.open_session(timeout=seconds)
            self._channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise NoAnswer(host, f"it opened no session ({error or 'connection lost'})") from None

    def close(self) -> None:
        self._client.close()

    def ask(self, text: str, end: str, seconds: float, limit: int) -> tuple[bytes, str]:
        """Sends text, and returns what came before the line that begins with `end`, and the
        rest of that line. Closes the connection and raises `HostError` if it does not come
        within `seconds` and `limit` bytes."""
        deadline = time.monotonic() + seconds
        received = bytearray()
        try:
            self._channel.settimeout(seconds)
            self._channel.sendall(text.encode("utf-8", "surrogateescape"))
            return self._receive(received, f"\n{end} ".encode(), deadline, limit)
        except TimeoutError:
            reason = f"no answer within {seconds:.0f} s; a command hangs there, or the line is dead"
            error: HostError = Silent(self._host, reason, bytes(received))
        except (OSError, EOFError, paramiko.SSHException) as lost:
            error = NoAnswer(self._host, f"the connection was lost ({lost})", bytes(received))
        except HostError as known:
            error = known
        self.close()
        raise error

    def _receive(self, received: bytearray, end: bytes, deadline: float, limit: int) -> tuple[bytes, str]:
        while True:
            self._channel.settimeout(max(deadline - time.monotonic(), 0.01))
            part = self._channel.recv(1 << 16)
            if not part:
                raise NoAnswer(self._host, _cut(received), bytes(received))
            searched = max(len(received) - len(end), 0)
            received += part
            at = received.find(end, searched)
            if at >= 0 and (stop := received.find(b"\n", at + len(end))) >= 0:
                return bytes(received[:at]), received[at + len(end) : stop].decode("ascii", "replace")
            if len(received) > limit:
                reason = f"it answered more than {limit >> 20} MB; look at its login scripts"
                raise Refused(self._host, reason)


def _cut(received: bytearray) -> str:
    said = bytes(received).decode("utf-8", "replace").strip()
    hint = f"; it said: {said}" if said and len(received) < LONG else ""
    return f"the connection ended before the answer was whole{hint}"


class _UnknownKey(paramiko.SSHException):
    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key
        super().__init__("host key unknown")


class _Unknown(paramiko.MissingHostKeyPolicy):
    """Refuses a host key that is not pinned, and says which one was offered."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownKey(key)


class Doors:
    """Opens connections: the pinned keys, the identity and the jump host, once for all."""

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh
        self._jumping = threading.Lock()
        self._jump: paramiko.SSHClient | None = None

    def connect(self, name: str, address: str) -> paramiko.SSHClient:
        """A connected and authenticated client. Raises `HostError`.

        Only "no answer" is tried again, twice, after a random wait.
        """

        def once() -> paramiko.SSHClient:
            return self._connect(name, address, self.ssh.port, self.ssh.user, self.ssh.jump)

        try:
            return once()
        except (Refused, Silent):
            raise
        except NoAnswer:
            import tenacity  # noqa: PLC0415 - costs a tenth of the start, and most runs never retry

            wait = tenacity.wait_random(0.2, 1.0)
            time.sleep(wait(None))  # type: ignore[arg-type]
            again = tenacity.Retrying(
                retry=tenacity.retry_if_exception(
                    lambda error: isinstance(error, NoAnswer) and not isinstance(error, Silent)
                ),
                stop=tenacity.stop_after_attempt(2) | tenacity.stop_after_delay(10),
                wait=wait,
                reraise=True,
            )
            return again(once)

    def close(self) -> None:
        """Ends the connection to the jump host."""
        if self._jump is not None:
            self._jump.close()

    def _connect(self, name: str, address: str, port: int, user: str, jump: str | None) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_Unknown())
        seconds = self.ssh.timeout
        try:
            self._pin(client, name, address, port)
            client.connect(
                name,
                port,
                user,
                pkey=self._key(name),
                sock=self._socket(name, address, port, jump),
                allow_agent=self.ssh.identity is None,
                look_for_keys=False,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
            )
        except HostError:
            client.close()
            raise
        except Exception as error:  # noqa: BLE001 - paramiko lets many through; each becomes a reason
            client.close()
            raise _explained(self.ssh, name, f"{address}:{port}", user, error) from None
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(15)
        return client

    def _socket(
        self, name: str, address: str, port: int, jump: str | None
    ) -> socket.socket | paramiko.Channel:
        if jump is None:
            sock = socket.create_connection((address, port), timeout=self.ssh.timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        user, host, jump_port = jump_parts(jump, self.ssh.user)
        with self._jumping:
            if self._jump is None:
                try:
                    self._jump = self._connect(host, host, jump_port, user, None)
                except HostError as error:
                    raise Refused(name, f"the jump host {host}: {error.reason}") from None
            transport = self._jump.get_transport()
        try:
            if transport is None:
                raise EOFError
            return transport.open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=self.ssh.timeout
            )
        except (paramiko.SSHException, EOFError) as error:
            reason = f"the jump host {host} cannot reach {address}:{port} ({error or 'connection lost'})"
            raise NoAnswer(name, reason) from None

    @cached_property
    def _identity(self) -> paramiko.PKey | None:
        return paramiko.PKey.from_path(self.ssh.identity) if self.ssh.identity else None

    def _key(self, name: str) -> paramiko.PKey | None:
        identity = self.ssh.identity
        try:
            return self._identity
        except paramiko.PasswordRequiredException:
            reason = "has a passphrase: add it to an agent and leave `ssh.identity` out"
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except Exception as error:  # noqa: BLE001 - whatever a parser makes of a file that is no key
            reason = f"is no private key that can be used ({error})"
        raise Refused(name, f"the identity {identity} {reason}")

    @cached_property
    def _known(self) -> paramiko.HostKeys:
        return paramiko.HostKeys(self.ssh.known_hosts)

    def _pin(self, client: paramiko.SSHClient, name: str, address: str, port: int) -> None:
        mine, theirs = _label(name, port), _label(address, port)
        try:
            found = self._known.lookup(mine) or self._known.lookup(theirs)
        except OSError as error:
            file = self.ssh.known_hosts
            reason = f"the pinned host keys in {file} cannot be read ({error.strerror})"
            raise Refused(name, reason) from None
        for kind, key in (found or {}).items():
            client.get_host_keys().add(mine, kind, key)


def _label(name: str, port: int) -> str:
    return name if port == 22 else f"[{name}]:{port}"


def jump_parts(jump: str, user: str) -> tuple[str, str, int]:
    """[USER@]HOST[:PORT] as user, host and port."""
    who, at, where = jump.rpartition("@")
    host, _, port = where.partition(":")
    return (who if at else user), host, int(port) if port.isdigit() else 22


def _explained(ssh: Ssh, name: str, where: str, user: str, error: Exception) -> HostError:
    """What went wrong with a connection, in words that say what to do."""
    file, identity = ssh.known_hosts, ssh.identity or "the agent's keys"
    match error:
        case _UnknownKey(key=key):
            line = f"{_label(name, int(where.rpartition(':')[2]))} {key.get_name()} {key.get_base64()}"
            reason = (
                f"its host key is not pinned: {key.get_name()} {key.fingerprint} is offered."
                f" Compare it on the host's console, then add to {file} the line {line}"
            )
        case paramiko.BadHostKeyException(key=key, expected_key=pinned):
            reason = (
                f"its host key has changed: {key.fingerprint} is offered, {pinned.fingerprint} is"
                f" pinned. If the host was rebuilt, replace its line in {file}; if not, somebody"
                f" else answers at {where}"
            )
        case paramiko.PasswordRequiredException():
            reason = (
                f"the identity {identity} has a passphrase: add it to an agent and leave `ssh.identity` out"
            )
        case paramiko.AuthenticationException():
            reason = f"authentication refused for {user} with {identity}; is the public key authorised there?"
        case socket.gaierror():
            reason = "its name does not resolve; set `address:` for it, or mend the DNS"
        case _:
            return _no_answer(ssh, name, where, error)
    return Refused(name, reason)


def _no_answer(ssh: Ssh, name: str, where: str, error: Exception) -> NoAnswer:
    match error:
        case ConnectionRefusedError():
            return NoAnswer(name, f"{where} refuses connections; does sshd run, is the port right?")
        case TimeoutError():
            return Silent(name, f"no answer from {where} within {ssh.timeout} s; is it up?")
        case OSError() if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return Silent(name, f"{where} is unreachable ({os.strerror(error.errno)}); is it up?")
        case _:
            said = str(error) or type(error).__name__
            return NoAnswer(name, f"{where} gave no usable SSH answer ({said})")
