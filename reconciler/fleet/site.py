"""Hosts that another machine looks at for us: those of a site, from its gateway."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from reconciler.fleet.reply import HostError, NoAnswer, Refused, Reply
from reconciler.messages import Message
from reconciler.model import Observation, quote


class Connection(Protocol):
    """How a gateway is reached: as a host is."""

    def run(self, script: str, seconds: float) -> Reply:
        """Runs a shell script to its end, for at most `seconds`. Raises `HostError`."""

    def close(self) -> None:
        """Ends the connection."""


class Gateway:
    """What looks at the hosts of a site for us: its gateway, or a worker there. `ask` has it look at all
    `hosts`, and returns what it says, which `read` makes an observation of: it raises ValueError where that
    cannot be used.

    What a gateway says is data. It is believed about the hosts of its own site, and about nothing else.
    """

    def __init__(
        self,
        name: str,
        hosts: Sequence[str],
        ask: Callable[[], Any],
        read: Callable[[Any], Observation],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.hosts, self.close = name, tuple(hosts), close
        self._ask, self._read = ask, read

    def look(self) -> Observation:
        """What was seen of each of the hosts, or why it could not be looked at."""
        try:
            found = self._look()
        except HostError as error:
            return Observation(unreachable=dict.fromkeys(self.hosts, f"{self.name}: {error.reason}"))
        lost = {host: f"{self.name} says: {found.unreachable[host]}" for host in found.unreachable}
        there = {ref.host for ref in found.seen} | lost.keys()
        left_out = {host: f"{self.name} has not looked at it" for host in self.hosts if host not in there}
        return Observation(
            {ref: seen for ref, seen in found.seen.items() if ref.host in self.hosts},
            {host: why for host, why in {**lost, **left_out}.items() if host in self.hosts},
        )

    def _look(self) -> Observation:
        document = self._ask()
        try:
            return self._read(document)
        except ValueError as error:
            raise Refused(self.name, str(error)) from None


def ask(name: str, connection: Connection, command: str, seconds: float) -> Any:
    """The JSON that a command prints on a gateway, parsed; it may take `seconds`. `name` is what the gateway
    is called in errors. Raises `HostError`."""
    begin, end = secrets.token_hex(16), secrets.token_hex(16)
    # What it prints comes as it is; what it complains of, and how it ended, after that.
    script = (
        f"printf '\\n{begin}\\n'; exec 3>&1\n"
        f'e=$({command} 2>&1 >&3; echo "status $?")\n'
        f"printf '\\n{end}\\n%s\\n' \"$e\""
    )
    reply = connection.run(script, seconds)
    if reply.timed_out:
        raise NoAnswer(name, f"it took longer than {seconds:.0f} s {Message.TOO_LONG}")
    _, begun, rest = reply.output.decode("utf-8", "replace").partition(f"\n{begin}\n")
    printed, ended, said = rest.partition(f"\n{end}\n")
    if not (begun and ended):
        raise NoAnswer(name, f"its answer does not have the expected form {Message.NO_REPORT}")
    try:
        return json.loads(printed)
    except (ValueError, RecursionError):
        # The last line is the status.
        *_, complaint = said.strip().splitlines()[:-1] or ["it printed no JSON"]
        raise Refused(name, f"`{command}` failed there: {complaint}") from None


def command(site: str, words: Sequence[str]) -> str:
    """The command line by which a machine looks as the gateway of a site: at its hosts, and by itself."""
    return " ".join([f"{VARIABLE}={quote(site)}", *map(quote, words)])


VARIABLE = "RECONCILE_SITE"
"""Names the site of which a machine is the gateway: it reaches the hosts there itself."""
