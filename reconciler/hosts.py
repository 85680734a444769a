"""The only socket: one SSH connection per host, on it one shell, and `run`.

The shell stays open between rounds. A script reaches it whole, as a here-document, before
its first line runs, and runs under `timeout`, so that a command that hangs on the host
ends there too. The lock of a run is held by that same shell: it frees itself when the
last process of a broken run has ended.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from functools import cached_property

import paramiko

from reconciler.declared import Host as HostEntry
from reconciler.declared import Ssh
from reconciler.model import quote

REPLY_LIMIT = 16 * 1024 * 1024
"""Bytes a host may answer in one exchange."""

LOCK = "/run/reconciler.lock"
GRACE = 10
"""Seconds that the host's own time limit is ahead of ours, so that it can report."""


class HostError(Exception):
    """A host did not do its part. `reason` says what happened and what to do about it."""

    def __init__(self, host: str, reason: str, output: bytes = b"") -> None:
        self.host, self.reason, self.output = host, reason, output
        super().__init__(f"{host}: {reason}")


class NoAnswer(HostError):
    """Nobody answered, or the answer stopped. Worth another try before anything was done."""


class Refused(HostError):
    """An answer, and it is no: host key, account, privilege. Trying again will not help."""


class Locked(HostError):
    """Another run holds the host's lock; `reason` says who, from where and since when."""


@dataclass(frozen=True)
class Reply:
    """What a script printed, and whether it ran as root. `sudo` is sudo's complaint."""

    output: bytes
    root: bool
    sudo: str = ""
    timed_out: bool = False


class Host:
    """One host. Connects at the first `run`. Not for use by two threads at once."""

    def __init__(self, entry: HostEntry, ssh: Ssh, doors: Doors) -> None:
        self.name = entry.name
        self._address = entry.address or entry.name
        self._ssh = ssh
        self._doors = doors
        self._client: paramiko.SSHClient | None = None
        self._shell: paramiko.Channel | None = None
        self._sudo = ""

    def run(self, script: str, seconds: float) -> Reply:
        """Runs a script to its end, for at most `seconds`. Raises `HostError`."""
        end = secrets.token_hex(16)
        text = (
            f"timeout -k 5 {seconds:.0f} sh -s <<'{end}'\n{{\n{script}\nexit 0\n}} </dev/null\n{end}\n"
            f'printf \'\\n{end} %d %d\\n\' "$?" "$(id -u)"\n'
        )
        output, status, uid = self._exchange(text, end, seconds + GRACE)
        return Reply(output, uid == 0, self._sudo, timed_out=status in (124, 137))

    def lock(self, who: str) -> None:
        """Takes the host's lock for as long as the connection lives.

        Raises `Locked` where another run has it, `Refused` where we are not root.
        """
        end = secrets.token_hex(16)
        text = (
            f"if exec 9>>{LOCK}; then if flock -n 9; then echo {quote(who)} >{LOCK}; s=0; "
            f"else cat {LOCK}; s=7; fi; else s=8; fi\n"
            f'printf \'\\n{end} %d %d\\n\' "$s" "$(id -u)"\n'
        )
        # A failed `exec` ends a shell that is not interactive; the subshell tells first.
        text = f"if ! (: >>{LOCK}) 2>/dev/null; then printf '\\n{end} 8 %d\\n' \"$(id -u)\"\nelse\n{text}fi\n"
        output, status, uid = self._exchange(text, end, self._ssh.timeout)
        if uid != 0:
            raise Refused(self.name, self._not_root())
        if status == 7:
            held = output.decode("utf-8", "replace").strip().splitlines()
            raise Locked(self.name, held[-1] if held else "somebody")
        if status != 0:
            raise Refused(self.name, f"the lock {LOCK} cannot be opened; is /run writable?")

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        if self._client is not None:
            self._client.close()
        self._client = self._shell = None

    def _not_root(self) -> str:
        who = self._ssh.user
        if not self._ssh.sudo:
            return f"{who} is not root and `ssh.sudo` is false; only looking is possible"
        said = self._sudo or "sudo gave no reason"
        return f"{who} may not become root ({said}); allow `{who} ALL=(ALL) NOPASSWD: ALL` in sudoers"

    def _exchange(self, text: str, end: str, seconds: float) -> tuple[bytes, int, int]:
        shell = self._shell or self._open()
        deadline = time.monotonic() + seconds
        try:
            shell.settimeout(seconds)
            shell.sendall(text.encode("utf-8", "surrogateescape"))
            output, tail = self._receive(shell, f"\n{end} ".encode(), deadline)
        except TimeoutError:
            self.close()
            reason = f"no answer within {seconds:.0f} s; a command hangs there, or the line is dead"
            raise NoAnswer(self.name, reason) from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise NoAnswer(self.name, f"the connection was lost ({error})") from None
        status, uid = (int(word) for word in tail.split())
        return self._without_complaint(output), status, uid

    def _without_complaint(self, output: bytes) -> bytes:
        if self._shell is not None and self._sudo == "?":
            first = output.decode("utf-8", "replace").splitlines()
            said = [line for line in first if line.startswith(("sudo: ", "sh: ")) and "sudo" in line]
            self._sudo = said[0] if said else ""
        return output

    def _receive(self, shell: paramiko.Channel, end: bytes, deadline: float) -> tuple[bytes, bytes]:
        received = bytearray()
        while True:
            shell.settimeout(max(deadline - time.monotonic(), 0.01))
            part = shell.recv(1 << 16)
            if not part:
                raise self._cut(bytes(received))
            searched = max(len(received) - len(end), 0)
            received += part
            at = received.find(end, searched)
            if at >= 0 and (stop := received.find(b"\n", at + len(end))) >= 0:
                return bytes(received[:at]), bytes(received[at + len(end) : stop])
            if len(received) > REPLY_LIMIT:
                self.close()
                limit = REPLY_LIMIT >> 20
                raise Refused(self.name, f"it answered more than {limit} MB; look at its login scripts")

    def _cut(self, received: bytes) -> HostError:
        self.close()
        said = received[-300:].decode("utf-8", "replace").strip()
        hint = f"; it last said: {said!r}" if said and len(received) < 2000 else ""
        return NoAnswer(self.name, f"the connection ended before the answer was whole{hint}", received)

    def _open(self) -> paramiko.Channel:
        self._client = self._doors.connect(self.name, self._address)
        transport = self._client.get_transport()
        assert transport is not None
        try:
            shell = transport.open_session(timeout=self._ssh.timeout)
            if self._ssh.user == "root" or not self._ssh.sudo:
                shell.exec_command("exec sh 2>&1")
            else:
                self._sudo = "?"
                shell.exec_command("exec sh -c 'exec 2>&1; sudo -n sh || exec sh'")
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise NoAnswer(self.name, f"it opened no session ({error})") from None
        self._shell = shell
        return shell


class _Unknown(paramiko.MissingHostKeyPolicy):
    """Refuses a host key that is not pinned, and says which one was offered."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownKey(key)


class _UnknownKey(paramiko.SSHException):
    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key
        super().__init__("host key unknown")


class Doors:
    """Opens connections: the pinned keys, the identity and the jump host, once for all."""

    def __init__(self, ssh: Ssh) -> None:
        self._ssh = ssh
        self._jumping = threading.Lock()
        self._jump: paramiko.SSHClient | None = None

    def connect(self, name: str, address: str) -> paramiko.SSHClient:
        """A connected and authenticated client. Raises `HostError`.

        Only "no answer" is tried again, twice, after a random wait.
        """
        try:
            return self._connect(name, address, self._ssh.port, self._ssh.user, self._ssh.jump)
        except NoAnswer as error:
            if "within" in error.reason:
                raise
        import tenacity  # noqa: PLC0415 - it costs a tenth of the start, and most runs never retry

        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NoAnswer),
            stop=tenacity.stop_after_attempt(2) | tenacity.stop_after_delay(10),
            wait=tenacity.wait_random(0.2, 1.0),
            reraise=True,
        )
        time.sleep(0.3)
        return again(self._connect, name, address, self._ssh.port, self._ssh.user, self._ssh.jump)

    def close(self) -> None:
        """Ends the connection to the jump host."""
        if self._jump is not None:
            self._jump.close()

    def _connect(self, name: str, address: str, port: int, user: str, jump: str | None) -> paramiko.SSHClient:
        where = f"{address}:{port}"
        client = paramiko.SSHClient()
        self._pin(client, name, address, port)
        client.set_missing_host_key_policy(_Unknown())
        seconds = self._ssh.timeout
        try:
            client.connect(
                name,
                port,
                user,
                pkey=self._identity,
                sock=self._socket(name, address, port, jump),
                allow_agent=self._ssh.identity is None,
                look_for_keys=False,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
            )
        except HostError:
            raise
        except Exception as error:
            client.close()
            raise self._explained(name, where, user, port, error) from None
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(15)
        return client

    def _socket(
        self, name: str, address: str, port: int, jump: str | None
    ) -> socket.socket | paramiko.Channel:
        if jump is None:
            sock = socket.create_connection((address, port), timeout=self._ssh.timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        user, host, jump_port = _jump_parts(jump, self._ssh.user)
        with self._jumping:
            if self._jump is None:
                try:
                    self._jump = self._connect(host, host, jump_port, user, None)
                except HostError as error:
                    raise Refused(name, f"the jump host {host}: {error.reason}") from None
            transport = self._jump.get_transport()
        assert transport is not None
        try:
            return transport.open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=self._ssh.timeout
            )
        except paramiko.ChannelException as error:
            reason = f"the jump host {host} cannot reach {address}:{port} ({error.text})"
            raise NoAnswer(name, reason) from None

    @cached_property
    def _identity(self) -> paramiko.PKey | None:
        if self._ssh.identity is None:
            return None
        return paramiko.PKey.from_path(self._ssh.identity)

    @cached_property
    def _known(self) -> paramiko.HostKeys:
        return paramiko.HostKeys(self._ssh.known_hosts)

    def _pin(self, client: paramiko.SSHClient, name: str, address: str, port: int) -> None:
        mine = name if port == 22 else f"[{name}]:{port}"
        theirs = address if port == 22 else f"[{address}]:{port}"
        try:
            found = self._known.lookup(mine) or self._known.lookup(theirs)
        except OSError as error:
            file = self._ssh.known_hosts
            raise Refused(name, f"the pinned host keys in {file} cannot be read ({error.strerror})") from None
        for kind, key in (found or {}).items():
            client.get_host_keys().add(mine, kind, key)

    def _explained(self, name: str, where: str, user: str, port: int, error: Exception) -> HostError:
        file = self._ssh.known_hosts
        match error:
            case paramiko.BadHostKeyException():
                return Refused(
                    name,
                    f"its host key has changed: {error.key.fingerprint} is offered,"
                    f" {error.expected_key.fingerprint} is pinned. If the host was rebuilt, replace"
                    f" its line in {file}; if not, somebody else answers at {where}",
                )
            case _UnknownKey(key=key):
                label = name if port == 22 else f"[{name}]:{port}"
                return Refused(
                    name,
                    f"its host key is not pinned: {key.get_name()} {key.fingerprint} is offered."
                    f" Compare it on the host's console, then add the line"
                    f" `{label} {key.get_name()} {key.get_base64()}` to {file}",
                )
            case paramiko.PasswordRequiredException():
                return Refused(
                    name,
                    f"the identity {self._ssh.identity} has a passphrase: add it to an agent and leave"
                    " `ssh.identity` out",
                )
            case paramiko.AuthenticationException():
                what = self._ssh.identity or "the agent's keys"
                return Refused(
                    name,
                    f"authentication refused for {user} with {what}; is the public key authorised there?",
                )
            case FileNotFoundError() | PermissionError() | ValueError():
                return Refused(name, f"the identity {self._ssh.identity} cannot be used ({error})")
            case socket.gaierror():
                return Refused(name, "its name does not resolve; set `address:` for it, or mend the DNS")
            case ConnectionRefusedError():
                return NoAnswer(name, f"{where} refuses connections; does sshd run, is the port right?")
            case TimeoutError():
                return NoAnswer(name, f"no answer from {where} within {self._ssh.timeout} s; is it up?")
            case OSError() if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                return NoAnswer(name, f"{where} is unreachable ({os.strerror(error.errno)}); is it up?")
            case _:
                return NoAnswer(name, f"{where} gave no usable SSH answer ({error or type(error).__name__})")


def _jump_parts(jump: str, user: str) -> tuple[str, str, int]:
    who, at, where = jump.rpartition("@")
    host, _, port = where.partition(":")
    return (who if at else user), host, int(port) if port.isdigit() else 22
