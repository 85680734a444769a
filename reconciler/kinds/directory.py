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
    ownership,
    parents,
    refuse_removal,
    type_of,
    unseen,
)
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import StatQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Directory(Resource):
    """A directory: its owner, group and mode. What is in it is not touched, and it is
    removed only when it is empty. A link to a directory, on another disk for example, counts
    as the directory that it leads to."""

    kind: ClassVar[str] = "directory"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.FILES

    path: str = option("Where it lies.", schema=ABSOLUTE)
    mode: str | None = option("Its mode; 0755 when it is created.", default=None, schema=MODE)
    owner: str | None = option(
        "Its owner; when it is created, root, or who can change its folder.", default=None, schema=NAME
    )
    group: str | None = option(
        "Its group; when it is created, that of who creates it.", default=None, schema=NAME
    )

    @property
    def _behind(self) -> str:
        """The directory itself, also where the path is a link: a path's last link is followed
        where more of the path comes after it (path_resolution(7))."""
        return f"{self.path}/."

    def ask(self) -> Mapping[str, Question]:
        return {"stat": StatQuestion(self.path), "target": StatQuestion(self._behind)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry = answers["stat"]
        if entry is None or (hidden := unseen(entry)):
            return entry if entry is None else hidden
        if entry.type != "l" or self.absent:
            state = {"type": type_of(entry)}
            return state | ownership(entry) if entry.type == "d" else state
        behind = answers["target"]
        if isinstance(behind, CannotSee):
            return behind
        # Anybody can make a link in a folder of theirs: only root's is followed by root.
        if behind is None or behind.type != "d" or entry.owner != "root":
            return {"type": f"link of {entry.owner} to {entry.target}"}
        return {"type": "directory", **ownership(behind), "by way of": f"a link to {entry.target}"}

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        named = {"mode": self.mode, "owner": self.owner, "group": self.group}
        return {"type": "directory"} | {name: value for name, value in named.items() if value}

    def refuses(self, change: Change) -> str | None:
        if change.removes or change.seen is None or "type" not in change.deltas:
            return refuse_removal(self.path, change, "directory")
        seen = change.seen["type"]
        return f"{self.path} is a {seen}, and no directory; nothing is moved: see to it by hand"

    def steps(self, change: Change) -> Iterable[Step]:
        if change.removes:
            yield Step(
                f"rmdir -- {quote(self.path)}", "declared absent; only if it is empty", where=(self.path,)
            )
        elif change.creates:
            own = f" -o {quote(self.owner)}" if self.owner else ""
            own += f" -g {quote(self.group)}" if self.group else ""
            yield Step(
                f"install -d -m 0{self.mode or '0755'}{own} {quote(self.path)}",
                "makes it",
                where=(self.path,),
            )
        else:
            followed = change.seen is not None and "by way of" in change.seen
            yield from chown_steps(self._behind if followed else self.path, change)

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def requires(self) -> Iterable[str]:
        people = (f"account:{name}" for name in (self.owner, self.group) if name)
        return (*parents(self.path), *people)
