"""Questions about packages, accounts, units, ports, and what a command says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from reconciler.messages import Message
from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER


def _words(names: list[str]) -> str:
    return " ".join(quote(name) for name in dict.fromkeys(names))


def _text(output: bytes) -> str:
    return output.decode("utf-8", "backslashreplace")


_UNKNOWN = "dpkg-query: no packages found matching "


@dataclass(frozen=True)
class InstalledQuestion:
    """A Debian package: its version where it is installed, else None.

    A package that was removed but has its configuration left is not installed.
    """

    package: str

    @classmethod
    def script(cls, questions: list[InstalledQuestion]) -> str:
        names = _words([q.package for q in questions])
        form = "'${Package} ${db:Status-Status} ${Version}\\n'"
        return f"""if command -v dpkg-query >/dev/null; then
dpkg-query -W -f {form} -- {names} 2>&1; [ $? -gt 1 ] && echo failed || echo done
fi"""

    @classmethod
    def parse(cls, output: bytes, questions: list[InstalledQuestion]) -> list[str | None | CannotSee]:
        lines = _text(output).splitlines()
        if lines[-1:] == ["failed"]:
            # 1 is for a package that it does not know (dpkg-query(1), EXIT STATUS).
            return [CannotSee("`dpkg-query` fails; try it there") for _ in questions]
        if lines[-1:] != ["done"]:
            return [CannotSee("dpkg-query is missing: this host is not Debian") for _ in questions]
        rows = [line.split(" ") for line in lines[:-1]]
        versions = {row[0]: row[2] if row[1] == "installed" else None for row in rows if len(row) == 3}
        # That it does not know a package, it says; where it says nothing, it does not work.
        unknown = dict.fromkeys(line.removeprefix(_UNKNOWN) for line in lines if line.startswith(_UNKNOWN))
        silent = CannotSee("`dpkg-query` does not answer; try it there")
        return [versions.get(q.package, unknown.get(q.package, silent)) for q in questions]


@dataclass(frozen=True)
class Login:
    """What the account database says of an account. `password` is None where the account
    may not look into the shadow file, else whether one is set."""

    home: str
    shell: str
    groups: frozenset[str]
    password: bool | None


@dataclass(frozen=True)
class PasswdQuestion:
    """An account, and which of the named groups it is in. The answer is a `Login` or None."""

    account: str
    groups: tuple[str, ...] = ()

    @classmethod
    def script(cls, questions: list[PasswdQuestion]) -> str:
        names = _words([q.account for q in questions])
        groups = _words([group for q in questions for group in q.groups])
        return f"""getent passwd -- {names}; echo
{f"getent group -- {groups}" if groups else ":"}; echo
if [ -r /etc/shadow ]; then getent shadow -- {names} | sed -E 's/^([^:]*:.?)[^:]*:.*/\\1/'
echo done; else echo hidden; fi"""

    @classmethod
    def parse(cls, output: bytes, questions: list[PasswdQuestion]) -> list[Login | None | CannotSee]:
        lines = _text(output).splitlines()
        if lines[-1:] not in (["done"], ["hidden"]) or lines.count("") != 2:
            return [NO_ANSWER for _ in questions]
        first, second = [number for number, line in enumerate(lines) if not line]
        people = {row[0]: row for row in (line.split(":") for line in lines[:first])}
        groups = [line.split(":") for line in lines[first + 1 : second]]
        shadow = dict(line.split(":", 1) for line in lines[second + 1 : -1])
        return [cls._login(people.get(q.account), groups, shadow, lines[-1] == "hidden") for q in questions]

    @staticmethod
    def _login(
        row: list[str] | None, groups: list[list[str]], shadow: dict[str, str], hidden: bool
    ) -> Login | None:
        if row is None or len(row) < 7:
            return None
        member = frozenset(
            group[0]
            for group in groups
            if len(group) == 4 and (row[0] in group[3].split(",") or group[2] == row[3])
        )
        # shadow(5): a hash can never begin with ! or *, so such a field lets nobody in.
        password = None if hidden else shadow.get(row[0], "*") not in ("!", "*")
        return Login(row[5], row[6], member, password)


@dataclass(frozen=True)
class UnitQuestion:
    """A systemd unit: the properties systemctl shows of it, by name; and `Age`, the whole seconds
    since its state changed last (systemd.unit(5); org.freedesktop.systemd1(5), "Properties")."""

    unit: str

    @classmethod
    def script(cls, questions: list[UnitQuestion]) -> str:
        names = _words([q.unit for q in questions])
        shown = "Id,LoadState,ActiveState,SubState,UnitFileState,InvocationID"
        shown += ",StateChangeTimestampMonotonic,NRestarts"
        return (
            f"systemctl show -p {shown} -- {names} 2>/dev/null; echo\n"
            'read -r up _ </proc/uptime && echo "done ${up%.*}"'
        )

    @classmethod
    def parse(cls, output: bytes, questions: list[UnitQuestion]) -> list[dict[str, str] | CannotSee]:
        names = list(dict.fromkeys(q.unit for q in questions))
        *blocks, last = [block for block in _text(output).split("\n\n") if block.strip()] or [""]
        done, _, uptime = last.strip().partition(" ")
        if len(blocks) != len(names) or done != "done":
            return [CannotSee("systemd does not answer on this host") for _ in questions]
        shown = {
            name: dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            for name, block in zip(names, blocks, strict=True)
        }
        for unit in shown.values():
            since = unit.pop("StateChangeTimestampMonotonic", "")
            known = since.isdecimal() and uptime.isdecimal()
            unit["Age"] = str(int(uptime) - int(since) // 1_000_000) if known else ""
        return [shown[q.unit] for q in questions]


@dataclass(frozen=True)
class ListeningQuestion:
    """The TCP ports on which something listens, as a frozenset of int."""

    @classmethod
    def script(cls, questions: list[ListeningQuestion]) -> str:
        return "command -v ss >/dev/null && ss -Hltn && echo done"

    @classmethod
    def parse(cls, output: bytes, questions: list[ListeningQuestion]) -> list[frozenset[int] | CannotSee]:
        lines = _text(output).splitlines()
        if lines[-1:] != ["done"]:
            missing = CannotSee("ss is missing: install the package iproute2")
            return [missing for _ in questions]
        ports = [line.split()[3].rpartition(":")[2] for line in lines[:-1] if len(line.split()) > 3]
        return [frozenset(int(port) for port in ports if port.isdigit()) for _ in questions]


@dataclass(frozen=True)
class CommandResult:
    """How a command ended, and the first of what it said (stdout and stderr, stripped)."""

    status: int
    output: str

    @property
    def needs_root(self) -> bool:
        """Whether runuser(1) says that nobody else may become another account."""
        return "may not be used by non-root" in self.output


TIMED_OUT = 124
"""How timeout(1) ends where the time was up. A shell ends with 126 where a command cannot be
executed, 127 where there is none, and with more than 128 where a signal ended it (POSIX, 2.8.2)."""

SIGNALLED = 128
"""How a shell ends is more than this where a signal ended the command."""


@dataclass(frozen=True)
class CommandQuestion:
    """Runs a command that changes nothing; all of them run side by side, for `limit` seconds.

    The answer is a `CommandResult`. Of a command that did not end in time, that could not be run
    or that a signal ended, it is `CannotSee`: such a status tells nothing about the host. Where it
    is an answer that a program is not there, the command looks for it with `command -v`.
    `most` is how many characters of what it says are kept.
    """

    limit: ClassVar[int] = 20

    command: str
    most: int = field(default=3000, repr=False)

    @classmethod
    def script(cls, questions: list[CommandQuestion]) -> str:
        lines = [
            f'{{ {q.run()}\nprintf \'{number} %d %.{q.most}s\\0\' "$s" "$o"; }} &'
            for number, q in enumerate(questions)
        ]
        return "\n".join([*lines, "wait"])

    def run(self) -> str:
        """Shell that sets `o` to what the command says, and `s` to how it ends."""
        return f"o=$(eval {quote(self.command)} 2>&1 </dev/null); s=$?"

    @classmethod
    def parse(cls, output: bytes, questions: list[CommandQuestion]) -> list[CommandResult | CannotSee]:
        said: dict[int, CommandResult] = {}
        for record in _text(output).split("\0")[:-1]:
            number, status, text = (record.split(" ", 2) + ["", ""])[:3]
            if number.isdigit() and status.isdigit():
                said[int(number)] = CommandResult(int(status), text.strip())
        return [judged(q.command, said.get(number)) for number, q in enumerate(questions)]


SHOWN = 100
"""Characters of a command that a reason shows."""


def judged(command: str, result: CommandResult | None) -> CommandResult | CannotSee:
    """The result, unless its status says that the command could not be run to its end."""
    line = command.strip().partition("\n")[0]
    name = f"`{line if len(line) <= SHOWN else line[:SHOWN] + ' …'}`"
    if result is None or result.status == TIMED_OUT:
        return CannotSee(f"{name} did not end in time {Message.TOO_LONG}")
    said = f": {result.output.splitlines()[-1]}" if result.output else ""
    if result.status in (126, 127):
        why = "it is not executable" if result.status == 126 else "a program is missing"
        return CannotSee(f"{name} could not be run, {why}{said}")
    if SIGNALLED < result.status <= SIGNALLED + 64:
        return CannotSee(f"{name} was ended by signal {result.status - SIGNALLED}{said}")
    return result
