"""The kind `acl`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import ABSOLUTE, parents, unseen
from reconciler.model import Change, Question, Resource, Seen, State, Step, Value, View, option, quote
from reconciler.questions.files import AclQuestion, StatQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Acl(Resource):
    """Entries of a path's access and default ACL; entries that are not named stay.

    What counts is what an entry grants in effect: one that the mask cuts down is not as
    desired, and setting it again widens the mask (setfacl(1)). Where a path has an ACL, the
    group digit of its mode is the mask: a `mode` declared for it has to agree.
    """

    kind: ClassVar[str] = "acl"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.FILES

    path: str = option("The file or directory.", schema=ABSOLUTE)
    entries: tuple[str, ...] = option(
        "Entries such as `user:www-data:r-x` or `default:group:staff:rw-`.",
        default=(),
        needed=True,
        schema={
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "string",
                "pattern": r"^(default:)?((user|group):[A-Za-z0-9_.-]+|(user|group|mask|other):)"
                r":[r-][w-][x-]$",
                "x-want": "an entry such as `user:www-data:r-x` or `default:group:staff:rw-`",
            },
        },
    )

    def ask(self) -> Mapping[str, Question]:
        return {"stat": StatQuestion(self.path), "acl": AclQuestion(self.path)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entries = answers["acl"]
        if hidden := unseen(entries, answers["stat"]):
            return hidden
        if entries is None:
            return None
        return {entry: _effective(entry, entries) for entry in entries}

    def want(self, look: View) -> State | None:
        if self.absent:
            return None if look.own() is None else dict.fromkeys(self._declared(), None)
        return dict(self._declared())

    def _declared(self) -> dict[str, Value]:
        return {name: grant for name, _, grant in (e.rpartition(":") for e in self.entries)}

    def verb(self, change: Change) -> str:
        return "remove" if self.absent else super().verb(change)

    def steps(self, change: Change) -> Iterable[Step]:
        for name, delta in change.deltas.items():
            how = f"-x {quote(name)}" if delta.want is None else f"-m {quote(f'{name}:{delta.want}')}"
            yield Step(
                f"setfacl {how} -- {quote(self.path)}", "sets only this entry", where=(f"@{self.path}",)
            )

    def requires(self) -> Iterable[str]:
        yield f"path:{self.path}"
        yield from parents(self.path)
        yield "package:acl"
        for entry in self.entries:
            if match := re.match("(?:default:)?(?:user|group):([^:]+):", entry):
                yield f"account:{match[1]}"


def _effective(entry: str, entries: Mapping[str, str]) -> str:
    """The permissions of an entry, with those that its mask leaves where they differ."""
    granted = entries[entry]
    default = "default:" if entry.startswith("default:") else ""
    kind, _, who = entry.removeprefix(default).partition(":")
    mask = entries.get(f"{default}mask:")
    if mask is None or kind in ("mask", "other") or (kind == "user" and not who):
        return granted
    left = "".join(bit if bit in mask else "-" for bit in granted)
    return granted if left == granted else f"{granted}, in effect {left}"
