"""The kind `directory`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import (
    ABSOLUTE,
    MODE,
    NAME,
    chown_steps,
    move_aside,
    ownership,
    parents,
    refuse_removal,
    type_of,
    unseen,
)
from reconciler.model import Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import StatQuestion


@dataclass(frozen=True, kw_only=True)
class Directory(Resource):
    """A directory: its owner, group and mode. What is in it is not touched, and it is
    removed only when it is empty."""

    kind: ClassVar[str] = "directory"
    title: ClassVar[str] = "path"

    path: str = option("Where it lies.", schema=ABSOLUTE)
    mode: str | None = option("Its mode; 0755 when it is created.", default=None, schema=MODE)
    owner: str | None = option("Its owner; root when it is created.", default=None, schema=NAME)
    group: str | None = option("Its group; root when it is created.", default=None, schema=NAME)

    def ask(self) -> Mapping[str, Question]:
        return {"stat": StatQuestion(self.path)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry = answers["stat"]
        if entry is None or (hidden := unseen(entry)):
            return entry if entry is None else hidden
        state = {"type": type_of(entry)}
        return state | ownership(entry) if entry.type == "d" else state

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        named = {"mode": self.mode, "owner": self.owner, "group": self.group}
        return {"type": "directory"} | {name: value for name, value in named.items() if value}

    def refuses(self, change: Change) -> str | None:
        return refuse_removal(self.path, change, "directory")

    def steps(self, change: Change) -> Iterable[Step]:
        if change.removes:
            yield Step(f"rmdir -- {quote(self.path)}", "declared absent; only if it is empty")
            return
        if not change.creates and "type" not in change.deltas:
            yield from chown_steps(self.path, change)
            return
        yield from move_aside(self.path, change)
        mode, owner, group = self.mode or "0755", self.owner or "root", self.group or "root"
        yield Step(
            f"install -d -m 0{mode} -o {quote(owner)} -g {quote(group)} {quote(self.path)}",
            "makes it",
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def requires(self) -> Iterable[str]:
        people = (f"account:{name}" for name in (self.owner, self.group) if name)
        return (*parents(self.path), *people)
