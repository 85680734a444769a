"""One shell on a host: text goes there, and what it prints comes back, within limits."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import paramiko

from reconciler.fleet.reply import Hear, HostError, NoAnswer, Refused, Unresponsive

LONG = 2048
"""Bytes of a broken answer that are still short enough to be shown."""

WINDOW = 32 * 1024 * 1024
"""Bytes a host may send ahead. What a login writes to stderr is never read, and must not
block it; what our own commands say there comes with their stdout."""


class Shell:
    """One shell on a host, over one connection, which it closes.

    `command` starts it, within `seconds`. Raises `NoAnswer` where the host opens no session.
    """

    def __init__(self, host: str, client: paramiko.SSHClient, command: str, seconds: float) -> None:
        self._host, self._client = host, client
        self._framed = False
        self._asking = threading.Lock()
        self._closed = threading.Event()
        transport = client.get_transport()
        try:
            if transport is None:
                raise EOFError
            self._channel = transport.open_session(window_size=WINDOW, timeout=seconds)
            self._channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            refused = isinstance(error, paramiko.ChannelException)
            hint = "; check MaxSessions in its sshd_config" if refused else ""
            raise NoAnswer(host, f"it opened no session ({error or 'connection lost'}){hint}") from None

    def close(self) -> None:
        """Ends the connection; the host ends what it holds open, its lock too."""
        self._closed.set()
        end(self._client)

    def keep_alive(self, seconds: float) -> None:
        """From now on what is sent goes in frames: the number of its bytes, in ten characters, then
        these. Whenever nothing has been asked for so many seconds, a frame of no bytes is sent: the
        host ends the shell where none comes."""
        self._framed = True
        threading.Thread(target=self._sign_life, args=(seconds,), daemon=True).start()

    def _sign_life(self, seconds: float) -> None:
        while not self._closed.wait(seconds):
            # While a script runs there, the host waits for nothing.
            if self._asking.acquire(blocking=False):
                try:
                    self._send(b"", seconds)
                except (OSError, EOFError, paramiko.SSHException):
                    return  # whoever asks next is told
                finally:
                    self._asking.release()

    def ask(
        self, text: str, end: str, seconds: float, limit: int, hear: Hear = lambda part: None
    ) -> tuple[bytes, bytes, str]:
        """Sends text, and returns what came before it ran (the noise of a login), what it
        printed before the line that begins with `end`, and the rest of that line. Closes the
        connection and raises `HostError` if that does not come within `seconds` and `limit`
        bytes. `hear` is given each part of all that as it comes."""
        with self._asking:
            return self._ask(text, end, seconds, limit, hear)

    def _ask(self, text: str, end: str, seconds: float, limit: int, hear: Hear) -> tuple[bytes, bytes, str]:
        deadline = time.monotonic() + seconds
        received = bytearray()
        begin = f"\n{end}\n"
        whole = f"printf '{begin.encode('unicode_escape').decode()}'\n{text}"
        try:
            self._send(whole.encode("utf-8", "surrogateescape"), seconds)
            answer, tail = self._receive(received, f"\n{end} ".encode(), deadline, limit, hear)
            noise, begun, output = answer.partition(begin.encode())
            return (noise, output, tail) if begun else (b"", answer, tail)
        except TimeoutError:
            ran = begin.encode() in received
            where = "a command hangs there" if ran else "its login scripts hang"
            reason = f"no answer within {seconds:.0f} s; {where}, or the connection is dead"
            error: HostError = Unresponsive(self._host, reason, bytes(received))
        except (OSError, EOFError, paramiko.SSHException) as lost:
            error = NoAnswer(self._host, f"the connection was lost ({lost})", bytes(received))
        except HostError as known:
            error = known
        self.close()
        raise error

    def _send(self, data: bytes, seconds: float) -> None:
        if self._framed:
            # The shell drops newlines at the end, and would miss them.
            data = data.rstrip(b"\n")
            data = b"%10d%b" % (len(data), data)
        self._channel.settimeout(seconds)
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            # A login that has ended already: what it said, and its status, tell more than this.
            if not is_alive(self._client):
                raise

    def _receive(
        self, received: bytearray, end: bytes, deadline: float, limit: int, hear: Hear
    ) -> tuple[bytes, str]:
        while True:
            self._channel.settimeout(max(deadline - time.monotonic(), 0.01))
            part = self._channel.recv(1 << 16)
            if not part:
                raise NoAnswer(self._host, self._why_it_ended(received, end[:-1] + b"\n"), bytes(received))
            # Far enough back for an end whose line had not come whole yet.
            searched = max(len(received) - len(end) - LONG, 0)
            received += part
            hear(part)
            at = received.find(end, searched)
            if at >= 0 and (stop := received.find(b"\n", at + len(end))) >= 0:
                return bytes(received[:at]), received[at + len(end) : stop].decode("ascii", "replace")
            if len(received) > limit:
                reason = f"it answered more than {limit >> 20} MB; check its login scripts"
                raise Refused(self._host, reason)

    def _why_it_ended(self, received: bytearray, begin: bytes) -> str:
        if begin in received:
            return "the connection ended before the answer was whole"
        if self._channel.recv_stderr_ready():
            received += self._channel.recv_stderr(LONG)
        said = bytes(received).decode("utf-8", "replace").strip()
        # Why it ended comes after the end, as a message of its own.
        ended = self._channel.status_event.wait(1) and self._channel.exit_status >= 0
        status = f" with status {self._channel.exit_status}" if ended else ""
        hint = f"; it said: {said}" if said and len(received) < LONG else ""
        return (
            f"its login ended{status} before our command ran{hint};"
            " check the account's shell, its start-up files and sshd's ForceCommand"
        )


def end(client: paramiko.SSHClient) -> None:
    """Ends a connection. What waits for the peer, in a thread of paramiko's, is woken: a socket that is only
    closed would leave it asleep until it looks again by itself."""
    transport = client.get_transport()
    with suppress(OSError, EOFError):
        if transport is not None:
            transport.sock.shutdown(socket.SHUT_RDWR)
    client.close()


def is_alive(client: paramiko.SSHClient) -> bool:
    """Whether the connection is up, as far as this side knows."""
    transport = client.get_transport()
    return transport is not None and transport.is_active()
