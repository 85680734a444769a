"""The kind `symlink`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import (
    ABSOLUTE,
    LINE,
    NEW,
    move_aside,
    parents,
    refuse_displacement,
    refuse_removal,
    type_of,
    unseen,
)
from reconciler.model import Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import StatQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Symlink(Resource):
    """A symbolic link and where it leads. It is replaced in one step, never missing."""

    kind: ClassVar[str] = "symlink"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.FILES

    path: str = option("Where it lies.", schema=ABSOLUTE)
    target: str = option(
        "Where it leads, as it is stored.", default="/", needed=True, schema=LINE | {"minLength": 1}
    )

    def ask(self) -> Mapping[str, Question]:
        return {"stat": StatQuestion(self.path)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry = answers["stat"]
        if entry is None or (hidden := unseen(entry)):
            return entry if entry is None else hidden
        state = {"type": type_of(entry)}
        return state | {"target": entry.target} if entry.type == "l" else state

    def want(self, look: View) -> State | None:
        return None if self.absent else {"type": "link", "target": self.target}

    def refuses(self, change: Change) -> str | None:
        return refuse_removal(self.path, change, "link") or refuse_displacement(self.path, change)

    def steps(self, change: Change) -> Iterable[Step]:
        if change.removes:
            yield Step(
                f"rm -f -- {quote(self.path)}", "declared absent; its target stays", where=(self.path,)
            )
            return
        yield from move_aside(self.path, change)
        new, folder = quote(self.path + NEW), self.path.rpartition("/")[0] or "/"
        yield Step(
            f"ln -s -f -n -- {quote(self.target)} {new} && mv -T {new} {quote(self.path)}"
            f" && sync {quote(folder)}",
            "creates the link and moves it into place atomically",
            where=(self.path,),
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def requires(self) -> Iterable[str]:
        yield from parents(self.path)
        if self.target.startswith("/"):
            yield f"path:{self.target}"
            yield from parents(self.target)
