"""A world without hosts: resources of a test kind, and a host that is a function.

For what cannot be provoked on a real host at will: a step that fails at a chosen moment, a
connection that is lost after a chosen byte, a thing that stays as it was although its
commands succeeded.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from reconciler.fleet.reply import Hear, Locked, NoAnswer, Reply
from reconciler.model import CannotSee, Change, InTransit, Question, Ref, Resource, Seen, State, Step, View


@dataclass(frozen=True)
class Ask:
    """Asks for the value of a thing."""

    name: str

    @classmethod
    def script(cls, questions: list[Ask]) -> str:
        return "\n".join(f"ask {q.name}" for q in questions)

    @classmethod
    def parse(cls, output: bytes, questions: list[Ask]) -> list[Any]:
        lines = output.decode().splitlines()
        if len(lines) != len(questions):
            return [CannotSee("cut short")] * len(questions)
        return [
            None if line == "absent" else CannotSee("hidden") if line == "hidden" else line for line in lines
        ]


@dataclass(frozen=True, kw_only=True)
class Thing(Resource):
    """A named value; what is `half` was left half way. `copy_of` wants what another thing, on any host, has."""

    kind: ClassVar[str] = "thing"
    title: ClassVar[str] = "label"
    depends: ClassVar[bool] = True

    label: str
    value: str = "new"
    copy_of: Ref | None = None
    folder: str | None = None
    watched: tuple[str, ...] = ()
    slow: bool = False
    undo: bool = False
    tolerated: int = 0
    tried_first: tuple[Ref, ...] = ()
    starts: float = 0
    meanwhile: State | None = None

    def ask(self) -> Mapping[str, Question]:
        return {"value": Ask(self.label)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        value = answers["value"]
        if value == "starting":
            return InTransit("it is starting", self.starts, self.meanwhile)
        return value if value is None or isinstance(value, CannotSee) else {"value": value}

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        if self.copy_of is None:
            return {"value": self.value}
        value = look.value(self.copy_of, "value")
        return {} if isinstance(value, CannotSee) else {"value": value}

    def with_pending(self, seen: State, pending: tuple[str, ...]) -> State:
        return {"value": "old"} if pending else seen

    def refers(self) -> Iterable[Ref]:
        return () if self.copy_of is None else (self.copy_of,)

    def steps(self, change: Change) -> Iterable[Step]:
        want = "absent" if change.want is None else change.want["value"]
        yield Step(f"check {self.label}", "looks before it leaps", minutes=5 if self.slow else 1)
        yield Step(f"set {self.label} '{want}'", "settles it")

    def rescue(self, change: Change) -> Iterable[Step]:
        if self.undo and change.seen:
            yield Step(f"set {self.label} '{change.seen['value']}'", "puts it back")

    def tolerates(self, seen: Seen) -> int:
        return self.tolerated

    def canaries(self, seen: Seen) -> Collection[Ref]:
        return self.tried_first

    def is_away(self, seen: Seen) -> bool:
        return seen == {"value": "half"}

    def is_worse(self, found: Seen, now: Seen) -> bool:
        return not self.is_away(found)

    def provides(self) -> Iterable[str]:
        return (f"path:{self.label}",)

    def requires(self) -> Iterable[str]:
        return (f"path:{self.folder}",) if self.folder else ()

    def watches(self) -> Iterable[str]:
        return self.watched


class Heard(list[str]):
    """What a host prints, heard as it does."""

    def __init__(self, hear: Hear) -> None:
        super().__init__()
        self._hear = hear

    def append(self, said: str) -> None:
        super().append(said)
        self._hear(said.encode())


@dataclass
class Scripted:
    """A host whose state is a dict. `say` may spoil a reply, `fails` names steps that fail,
    `deaf` things that stay as they are, `lost_after` counts steps until the line is cut.

    `watchers` says what becomes `old` when a thing is set, as a service does whose files
    change; `log` is told of every step, and may be shared by several hosts. `paces` says how
    many seconds a step takes.
    """

    name: str
    things: dict[str, str] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    lost_after: int | None = None
    say: Callable[[bytes], Reply | bytes] = lambda reply: reply
    error: Exception | None = None
    root: bool = True
    held_by: str | None = None
    ran: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    watchers: Mapping[str, Iterable[str]] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    locked_by: list[str] = field(default_factory=list)
    paces: Mapping[str, float] = field(default_factory=dict)
    hear: Hear = field(default=lambda part: None, init=False, repr=False, compare=False)

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        if self.error:
            raise self.error
        self.scripts.append(script)
        self.hear = hear or (lambda part: None)
        said = self.say(self._execute(script))
        if isinstance(said, Reply):
            return said
        return Reply(said, root=self.root, sudo="" if self.root else "sudo: a password is required")

    def lock(self, who: str) -> None:
        if self.held_by:
            raise Locked(self.name, self.held_by)
        self.locked_by.append(who)

    def release(self, last: str) -> None:
        self.close()

    def close(self) -> None:
        pass

    def _execute(self, script: str) -> bytes:
        out = Heard(self.hear)
        ok, bad, here = True, "", True
        for line in script.splitlines():
            when = r"(?:if \[ (?P<when>\$ok = 1|\"\$bad\" = \d+) \]; then )?"
            if match := re.match(when + r"printf '\\n(?P<said>\w+ [\w ]+)\\n'", line):
                here = ok if match["when"] in (None, "$ok = 1") else match["when"].endswith(f"= {bad}")
                if match["when"] and not here:
                    continue
                out.append(f"\n{match['said']}\n")
                frame = match["said"].removesuffix(" begin")
            elif line.startswith("ask "):
                out.append(self.things.get(line[4:], "absent") + "\n")
            elif re.match("check |set (?!-)", line) and here and not self._step(line, out, frame):
                ok, here, bad = False, False, bad or frame.split()[1]
        return "".join(out).encode()

    def _step(self, line: str, out: list[str], frame: str) -> bool:
        if self.lost_after == 0:
            raise NoAnswer(self.name, "the connection was lost", "".join(out).encode())
        if self.lost_after is not None:
            self.lost_after -= 1
        self.ran.append(line)
        self.log.append((self.name, line))
        failed = line in self.fails
        if line.startswith("set ") and not failed:
            _, label, value = line.split(" ", 2)
            if label not in self.deaf:
                self.things[label] = value.strip("'")
                if self.things[label] == "absent":
                    del self.things[label]
                self.things |= dict.fromkeys(self.things.keys() & set(self.watchers.get(label, ())), "old")
        time.sleep(self.paces.get(line, 0))
        out.append("it says why\n" if failed else "")
        out.append(f"\n{frame} {1 if failed else 0}\n")
        return not failed
