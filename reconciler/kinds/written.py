"""Files whose whole content is declared: written beside, checked, then moved into place."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from reconciler.kinds.paths import (
    NEW,
    chown_steps,
    into_place,
    move_aside,
    ownership,
    parents,
    refuse_displacement,
    refuse_removal,
    type_of,
    unseen,
)
from reconciler.model import (
    CannotSee,
    Change,
    Delta,
    LocalFile,
    Question,
    Resource,
    Seen,
    State,
    Step,
    View,
    quote,
)
from reconciler.printable import SECRET_OTHER, SECRET_SAME
from reconciler.questions.files import StatQuestion, SumQuestion, TextQuestion

CONTENT_FILES = {
    "template": LocalFile(
        "A file beside this one whose `$name`s are filled in (router, environment, host, primary, hosts, "
        "account); `$$` is a dollar.",
        filled=True,
    ),
    "source": LocalFile("A file beside this one that is the content."),
}
"""What may stand in the YAML in place of a `content`."""


@dataclass(frozen=True, kw_only=True)
class WrittenFile(Resource):
    """The part of file, sudoers and cron that is the same.

    `where`, `body`, `permissions`, `verify` and `is_secret` are what a kind answers from
    its own options.
    """

    def where(self) -> str:
        """The path of the file."""
        raise NotImplementedError

    def body(self) -> str | None:
        """The content wanted; None where only owner and mode are."""
        raise NotImplementedError

    def permissions(self) -> tuple[str | None, str | None, str | None]:
        """Mode, owner and group wanted; None where any will do."""
        return "0644", "root", "root"

    def verify(self) -> str | None:
        """A command that must succeed before the file takes its place; {} is its path."""
        return None

    def is_secret(self) -> bool:
        """Whether the content may never be read from the host or shown."""
        return False

    def ask(self) -> Mapping[str, Question]:
        path = self.where()
        questions: dict[str, Question] = {"stat": StatQuestion(path)}
        if self.body() is not None and not self.absent:
            questions["sum"] = SumQuestion(path)
            if not self.is_secret():
                questions["text"] = TextQuestion(path)
        return questions

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry = answers["stat"]
        if entry is None or (hidden := unseen(entry)):
            return entry if entry is None else hidden
        state = {"type": type_of(entry)}
        if entry.type != "f":
            return state
        if "sum" in answers:
            if answers["sum"] is None or (hidden := unseen(answers["sum"])):
                return CannotSee(f"the account may not read {self.where()}, or it is very large")
            state["content"] = self._judged(answers["sum"])
            text = answers.get("text")
            if isinstance(text, bytes) and hashlib.sha256(text).hexdigest() == answers["sum"]:
                state["text"] = text.decode("utf-8", "backslashreplace")
        return state | ownership(entry)

    def _judged(self, digest: str) -> str:
        if not self.is_secret():
            return f"sha256:{digest}"
        return SECRET_SAME if digest == _digest(self.body() or "") else SECRET_OTHER

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        want: dict[str, Any] = {"type": "file"}
        body = self.body()
        if body is not None:
            want["content"] = self._judged(_digest(body))
        named = zip(("mode", "owner", "group"), self.permissions(), strict=True)
        return want | {name: value for name, value in named if value is not None}

    def diff_text(self, delta: Delta, seen: State | None) -> str | None:
        body = self.body()
        if delta.field != "content" or self.is_secret() or body is None or delta.want is None:
            return None
        old = seen.get("text", "" if "content" not in seen else None) if seen else ""
        if not isinstance(old, str):
            return None
        lines = difflib.unified_diff(
            old.splitlines(keepends=True), body.splitlines(keepends=True), "as seen", "as desired"
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline\n" for line in lines)

    def refuses(self, change: Change) -> str | None:
        return refuse_removal(self.where(), change, "file") or refuse_displacement(self.where(), change)

    def steps(self, change: Change) -> Iterable[Step]:
        path = self.where()
        if change.removes:
            yield Step(f"rm -f -- {quote(path)}", "declared absent", where=(path,))
            return
        yield from move_aside(path, change)
        if "content" not in change.deltas and "type" not in change.deltas and not change.creates:
            yield from chown_steps(path, change)
            return
        yield from self._write(change)

    def _write(self, change: Change) -> Iterable[Step]:
        path, new, where = quote(self.where()), quote(self.where() + NEW), (self.where(),)
        replaces = change.seen is not None and "type" not in change.deltas
        seen = change.seen if replaces and change.seen else {}
        mode, owner, group = (
            want or seen.get(name)
            for want, name in zip(self.permissions(), ("mode", "owner", "group"), strict=True)
        )
        # Whose it is stays as it is, or is up to whoever makes it, who may be the folder's owner.
        declared = any(self.permissions()[1:])
        own = f" -o {quote(str(owner))}" if declared and owner else ""
        own += f" -g {quote(str(group))}" if declared and group else ""
        kept = "mode" if declared else "mode,ownership"
        keep = f" && cp --attributes-only --preserve={kept} {path} {new}" if replaces else ""
        keep += f" && chmod {quote(str(mode))} {new}" if replaces and "mode" in change.deltas else ""
        yield Step(
            f"install -m {quote(str(mode or '0644'))}{own} /dev/stdin {new}{keep}",
            "writes the new content beside the old file",
            stdin=self.body() or "",
            public=not self.is_secret(),
            where=where,
        )
        if check := self.verify():
            yield Step(
                f"{{ {check.replace('{}', new)}; }} || {{ rm -f {new}; false; }}",
                "checks the new content before it is used",
                where=where,
            )
        yield Step(
            into_place(self.where() + NEW, self.where()), "moves it into place atomically", where=where
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.where()}",)

    def requires(self) -> Iterable[str]:
        _, owner, group = self.permissions()
        return (
            *parents(self.where()),
            *(f"account:{name}" for name in (owner, group) if name),
        )


@lru_cache(maxsize=256)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
