"""The kind `property`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import ABSOLUTE, LINE, NEW, parents, type_of, unseen
from reconciler.model import (
    CannotSee,
    Change,
    LocalFile,
    Question,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    option,
    quote,
)
from reconciler.printable import SECRET_SAME
from reconciler.questions.files import StatQuestion
from reconciler.questions.properties import (
    JOIN,
    PropertyQuestion,
    PropertyValue,
    escape_key,
    escape_value,
    key_pattern,
    line_digest,
)
from reconciler.subjects import Subject

COPY = f'"$f{NEW}"'
"""The copy that is edited, as a shell word; `f` is the file itself."""


@dataclass(frozen=True, kw_only=True)
class Property(Resource):
    """One key of a Java properties file, on one line as `key=value`; every other byte of
    the file stays. A key that is there twice is drift: readers disagree which one counts.

    So is one that Java reads as desired and others do not: the scripts of the published procedure
    find `^key=` with grep and take what follows with cut, so blanks around it, a carriage return at
    its end or a value that goes on in the next line are a part of it, or hide it.
    """

    kind: ClassVar[str] = "property"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.FILES

    path: str = option("The properties file.", schema=ABSOLUTE)
    key: str = option(
        "The key.", schema={"pattern": r"^[^\s\x00-\x1f\x7f]+$", "x-want": "a key without blanks"}
    )
    value: str = option(
        "Its value.",
        default="",
        needed=True,
        schema=LINE,
        files={
            "value_file": LocalFile(
                "A file beside this one that is the value, which is then a secret.", secret=True
            )
        },
    )
    secret: bool = option("Compare it on the host, never show it.", default=False)
    create: bool = option("Make the file where it is missing; that is refused if not.", default=True)

    @property
    def name(self) -> str:
        return f"{self.path} {self.key}"

    def _line(self) -> str:
        return f"{escape_key(self.key)}={escape_value(self.value)}"

    def ask(self) -> Mapping[str, Question]:
        digest = line_digest(self._line()) if self.secret else None
        return {"stat": StatQuestion(self.path), "values": PropertyQuestion(self.path, self.key, digest)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry, values = answers["stat"], answers["values"]
        if entry is None or (hidden := unseen(entry, values)):
            return entry if entry is None else hidden
        if entry.type not in ("f", "l"):
            return CannotSee(f"{self.path} is a {type_of(entry)}, not a file; move it away by hand")
        if not values:
            return {"value": None, "times": 0}
        last: PropertyValue = values[-1]
        state: dict[str, Value] = {"value": str(last), "times": len(values)}
        if last == self.value and last.line not in (None, self._line()):
            state["line"] = str(last.line)
        return state

    def want(self, look: View) -> State | None:
        if self.absent:
            return None if look.own() is None else {"value": None, "times": 0}
        want: dict[str, Value] = {"value": SECRET_SAME if self.secret else self.value, "times": 1}
        own = look.own()
        return want | ({"line": self._line()} if isinstance(own, Mapping) and "line" in own else {})

    def refuses(self, change: Change) -> str | None:
        if change.creates and not self.create:
            return f"there is no {self.path}: install what brings it; it is not made up here"
        return None

    def verb(self, change: Change) -> str:
        there = change.seen is not None and change.seen["times"]
        return "remove" if self.absent else "change" if there else "create"

    def steps(self, change: Change) -> Iterable[Step]:
        pattern = key_pattern(self.key)
        if self.absent:
            edit = f"sed -i -e {quote(JOIN)} -e {quote(pattern + 'd')} {COPY}"
            yield Step(self._edited(edit), "removes the key and nothing else", where=self._where())
        elif change.seen is None or not change.seen["times"]:
            yield self._append(exists=change.seen is not None)
        else:
            yield self._replace(pattern)

    def _where(self) -> tuple[str]:
        return (f"@{self.path}",)

    def _edited(self, edit: str) -> str:
        """The command that makes a copy, edits it, and lets it take the file's place.

        The path may be a link: then the file that it leads to is replaced, and the link stays.
        """
        return (
            f'f=$(readlink -f {quote(self.path)}) && cp -p --remove-destination "$f" {COPY} && {edit}'
            f' && sync {COPY} && mv -T {COPY} "$f" && sync "$(dirname "$f")"'
        )

    def _append(self, exists: bool) -> Step:
        line, path = f"{self._line()}\n", quote(self.path)
        append = "tee -a" if self.secret else f"printf '%s\\n' {quote(self._line())} | tee -a"
        if exists:
            end = f"if [ -s {COPY} ]; then sed -i -e '$a\\' {COPY}; fi"
            command = self._edited(f"{end} && {append} {COPY} >/dev/null")
        else:
            folder = quote(self.path.rpartition("/")[0] or "/")
            command = f"{append} {path} >/dev/null && sync {path} {folder}"
        return Step(command, "appends the key", stdin=line if self.secret else None, where=self._where())

    def _replace(self, pattern: str) -> Step:
        text = self._line().replace("\\", r"\\").replace("&", r"\&").replace("/", r"\/")
        # The hold space counts: the first line of the key is replaced, further ones go.
        script = f"{pattern}{{x;s/$/k/;/kk/{{x;d}};x;s/.*/{text}/}}"
        why = "replaces the line of the key and nothing else"
        if self.secret:
            edit = self._edited(f"sed -i -f - {COPY}")
            return Step(edit, why, stdin=f"{JOIN}\n{script}\n", where=self._where())
        edit = self._edited(f"sed -i -e {quote(JOIN)} -e {quote(script)} {COPY}")
        return Step(edit, why, where=self._where())

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)

    def requires(self) -> Iterable[str]:
        return parents(self.path)
