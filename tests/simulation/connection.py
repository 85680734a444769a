"""A connection to a simulated host: it takes the script that is sent to hosts, and answers as a host does.

The script is read by its frames: which command, fed with what, under which condition. The shell in the
commands is not interpreted; `commands` knows each of them.
"""

from __future__ import annotations

import base64
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.environment.settings import Environment
from reconciler.fleet.host import LOCK_LOST
from reconciler.fleet.reply import Hear, Locked, NoAnswer, Refused, Reply
from tests.simulation.commands import Shell
from tests.simulation.states import told
from tests.simulation.watch import Watch
from tests.simulation.world import LOCK_LIFETIME, Cut, HostGone, Hung, Killed, Lock, SimHost, World

if TYPE_CHECKING:
    from reconciler.fleet.fleet import Fleet

FRAME = re.compile(
    r"""^if\ \[\ (?P<when>[^\n]*?)\ \];\ then\ printf\ '\\n\w+a\ (?P<label>\d+\ \d+)\ begin\\n'\ \|\|\ exit\ 1\n
    (?:\(\n|base64\ -d\ <<'(?P<end>\w+)'\ \|\ \(\n(?P<data>.*?)\n(?P=end)\n)
    (?P<command>.*?)\n\)\ 2>&1[^\n]*\n
    s=\$\?;[^\n]*\|\|\ \{\ (?P<failed>[^\n]*);\ \};\ fi$""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
END = re.compile(r"^printf '\\n(\w+) end\\n'\n\} \| tail -c \d+\Z", re.MULTILINE)
TELL = re.compile(r"^tell (\w+) (\d) (.+)$", re.MULTILINE)


@dataclass
class Frame:
    """One step, as the script has it."""

    label: str
    command: str
    stdin: str | None
    rescues: str | None
    """The number of the action that must have failed; None for a step that runs while all is well."""
    number: str


def frames(script: str) -> list[Frame]:
    found = []
    for each in FRAME.finditer(script):
        rescues = re.fullmatch(r'"\$bad" = (\d+)', each["when"])
        data = each["data"]
        stdin = None if data is None else base64.b64decode(data).decode()
        number = each["label"].split()[0]
        found.append(Frame(each["label"], each["command"], stdin, rescues[1] if rescues else None, number))
    return found


def _cut_short(out: list[bytes]) -> bytes:
    """What has come of an answer that was cut in the middle of its last part."""
    return b"".join([*out[:-1], out[-1][: len(out[-1]) // 2]]) if out else b""


class SimConnection:
    """What `fleet.host.RemoteHost` is to a real host."""

    locks = True
    """Whether it takes the lock and minds it; a planted bug says no."""

    def __init__(self, world: World, host: SimHost, env: Environment, watch: Watch) -> None:
        self.name = host.name
        self.world, self.host, self.env, self.watch = world, host, env, watch
        self.number: int | None = None
        self.looked_at = 0
        self.locked_at = 0
        self.has_acted = False
        self.fleet: Fleet | None = None
        self.alive = False
        self.boots = host.boots

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        self._reach()
        if self.number is not None:
            lock = self.host.lock
            if self.locks and (lock is None or lock.number != self.number or not self.alive):
                raise Refused(self.name, LOCK_LOST)
            if lock:
                lock.until = None
        out: list[bytes] = []
        try:
            return self._exchange(script, out)
        except (Cut, HostGone):
            self._drop()
            raise NoAnswer(self.name, "the connection was lost", _cut_short(out)) from None
        except Hung:
            self.world.now += seconds
            return Reply(b"".join(out), root=True, timed_out=True)

    def _exchange(self, script: str, out: list[bytes]) -> Reply:
        boundary = END.search(script)[1]
        self._steps(frames(script), boundary, out)
        self._until_here()
        asked = [(m[1], m[2] == "1", m[3]) for m in TELL.finditer(script)]
        self.looked_at = self.world.ticks
        states = [told(self.world, self.host, self.env, kind, name, absent) for kind, absent, name in asked]
        out.append(f"\n{boundary} 0\n".encode() + pickle.dumps(states) + f"\n{boundary} end\n".encode())
        self._until_here()
        return Reply(b"".join(out), root=True)

    def _reach(self) -> None:
        try:
            self.world.tick()
        except (Cut, Hung):
            self._drop()
            raise NoAnswer(self.name, "the connection was lost") from None
        if not self.host.up:
            self._drop()
            raise NoAnswer(self.name, "it does not answer on port 22 within 30 s; is it up?")
        if self.host.lacks:
            raise Refused(self.name, f"it lacks the command {self.host.lacks}; install it there")
        if self.number is None:
            self.alive, self.boots = True, self.host.boots

    def _until_here(self) -> None:
        """Time passes; what has come by then has reached us."""
        self.world.tick()
        if not self.host.up or self.host.boots != self.boots:
            raise HostGone

    def _drop(self) -> None:
        self.alive = False
        if self.number is not None and (lock := self.host.lock) and lock.number == self.number:
            lock.until = self.world.now + LOCK_LIFETIME

    def _steps(self, found: list[Frame], boundary: str, out: list[bytes]) -> None:
        ok, bad = True, ""
        for frame in found:
            if (frame.rescues is None and not ok) or (frame.rescues is not None and frame.rescues != bad):
                continue
            self._until_here()
            out.append(f"\n{boundary}a {frame.label} begin\n".encode())
            shell = Shell(self.world, self.host)
            status, said = self.watch.acted(self, frame, lambda f=frame, s=shell: s.run(f.command, f.stdin))
            if shell.late:
                raise shell.late
            self._until_here()
            out.append(f"{said}\n{boundary}a {frame.label} {status}\n".encode())
            if status and frame.rescues is None:
                ok, bad = False, frame.number

    def lock(self, who: str) -> None:
        self._reach()
        self.world.numbers += 1
        self.locked_at = self.world.ticks
        if not self.locks:
            self.number = self.world.numbers
            self.host.newest_number = self.number
            return
        held = self.host.lock
        if held and (held.until is None or held.until > self.world.now):
            raise Locked(self.name, held.who)
        self.number = self.world.numbers
        self.host.lock, self.host.newest_number = Lock(self.number, who), self.number

    def close(self) -> None:
        lock = self.host.lock
        if self.number is not None and self.alive and lock and lock.number == self.number:
            self.host.lock = None
        self.alive = False


Connect = Callable[[World, SimHost, Environment, Watch], SimConnection]
__all__ = ["Connect", "Killed", "SimConnection", "frames"]
