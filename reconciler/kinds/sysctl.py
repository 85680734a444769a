"""The kind `sysctl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import NEW, chown_steps, into_place, ownership, parents, type_of, unseen
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import StatQuestion, TextQuestion
from reconciler.questions.system import CommandQuestion
from reconciler.subjects import Subject

FOLDER = "/etc/sysctl.d"
_PART = "[A-Za-z0-9_:@-]+(/[A-Za-z0-9_:@-]+)*"
NO_SUCH = 3
"""How the question for the live value ends where the kernel has no such parameter."""


@dataclass(frozen=True, kw_only=True)
class Sysctl(Resource):
    """A kernel parameter: its line in a file of its own, /etc/sysctl.d/KEY.conf, and its live
    value. Declared absent, the file goes; the live value stays until the next boot.

    The kernel takes the value before the file counts, so none that it refuses is kept. At boot
    files are read in the order of their names, and the last one has its way (sysctl.d(5)): this
    one comes after those with a number.
    """

    kind: ClassVar[str] = "sysctl"
    title: ClassVar[str] = "key"
    subject: ClassVar[str] = Subject.SYSTEM

    key: str = option(
        "The parameter, such as `net.ipv4.ip_forward`; a dot within a name is written `/`.",
        schema={"pattern": rf"^(?!-){_PART}(\.{_PART})+$", "x-want": "names with dots between"},
    )
    value: str = option(
        "Its value, in quotes; numbers that belong together have blanks between.",
        default="0",
        needed=True,
        schema={
            "pattern": r"^[^\s\x00-\x1f\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
            "x-want": "text on one line, without blanks around it",
        },
    )

    def _file(self) -> str:
        return f"{FOLDER}/{self.key.replace('/', '.')}.conf"

    def _line(self) -> str:
        return f"{self.key} = {_plain(self.value)}"

    def _live(self) -> str:
        """The value of a parameter has no size, so a `TextQuestion` cannot read it (proc(5))."""
        path = quote("/proc/sys/" + self.key.translate({46: "/", 47: "."}))
        return (
            f"[ -d /proc/sys/kernel ] || {{ echo /proc/sys is not there; exit 1; }}; "
            f"[ -e {path} ] || exit {NO_SUCH}; cat {path}"
        )

    def ask(self) -> Mapping[str, Question]:
        return {
            "stat": StatQuestion(self._file()),
            "text": TextQuestion(self._file()),
            "live": CommandQuestion(self._live()),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry, text, live = answers["stat"], answers["text"], answers["live"]
        if hidden := unseen(entry, text, live):
            return hidden
        if live.status not in (0, NO_SUCH):
            return CannotSee(f"the live value of {self.key} cannot be read: {live.output}")
        value = _plain(live.output) if live.status == 0 else None
        if entry is None:
            return {"line": None, "live": value}
        if entry.type != "f":
            return CannotSee(f"{self._file()} is a {type_of(entry)}, not a file; move it away by hand")
        if text is None:
            return CannotSee(f"the account may not read {self._file()}, or it is very large")
        lines = [_plain(line) for line in text.decode("utf-8", "backslashreplace").splitlines()]
        ours = [line for line in lines if line.partition("=")[0].strip() == self.key]
        others = len([line for line in lines if line]) - len(ours)
        saved = " = ".join(part.strip() for part in ours[-1].split("=", 1)) if ours else None
        return {"line": saved, "live": value, "other lines": others} | ownership(entry)

    def want(self, look: View) -> State | None:
        if self.absent:
            return {"line": None}
        file = {"line": self._line(), "mode": "0644", "owner": "root", "group": "root"}
        return file | {"live": _plain(self.value)}

    def verb(self, change: Change) -> str:
        there = change.seen is not None and change.seen["line"] is not None
        return "remove" if self.absent else "change" if there else "create"

    def refuses(self, change: Change) -> str | None:
        seen = change.seen or {}
        if not self.absent and seen.get("live") is None:
            return f"the kernel has no parameter {self.key}; mend the name, or load its module first"
        if "line" in change.deltas and seen.get("other lines"):
            return f"{self._file()} holds other lines too; move them to another file by hand"
        return None

    def steps(self, change: Change) -> Iterable[Step]:
        path, new, where = quote(self._file()), quote(self._file() + NEW), (self._file(),)
        if self.absent:
            why = "declared absent; the live value stays until the next boot"
            yield Step(f"rm -f -- {path}", why, where=where)
        elif "line" in change.deltas:
            yield Step(
                f"printf '%s\\n' {quote(self._line())} | install -m 0644 -o root -g root /dev/stdin {new}",
                "writes the line beside",
                where=where,
            )
            yield Step(
                f"sysctl -p {new} || {{ rm -f {new}; false; }}",
                "makes it live, before the file counts: the kernel may refuse it",
                where=where,
            )
            yield Step(
                into_place(self._file() + NEW, self._file()),
                "puts it in place in one step, for the next boot",
                where=where,
            )
        else:
            yield from chown_steps(self._file(), change)
            if "live" in change.deltas:
                yield Step(f"sysctl -p {path}", "makes the line live again", where=where)

    def provides(self) -> Iterable[str]:
        return (f"path:{self._file()}",)

    def requires(self) -> Iterable[str]:
        return (*parents(self._file()), "package:procps")


def _plain(value: str) -> str:
    """With one blank between the numbers of a value; the kernel prints tabs."""
    return " ".join(value.split())
