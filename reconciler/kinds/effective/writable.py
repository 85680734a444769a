"""The kind `writable`: an account can write into a folder, whatever modes and ACLs say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.effective.judged import Judged
from reconciler.kinds.paths import parents
from reconciler.model import CannotSee, Question, Seen, Value
from reconciler.questions.rights import WritableQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class WritableFolder(Judged):
    """What an account can do in a folder in effect: an entry of an ACL, its mask or a folder above may
    deny what owner and mode grant. The kernel is asked, as that account."""

    kind: ClassVar[str] = "writable"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.CHALLENGE

    path: str
    account: str

    def ask(self) -> Mapping[str, Question]:
        return {"denied": WritableQuestion(self.path, self.account)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        denied: str | None | CannotSee = answers["denied"]
        if isinstance(denied, CannotSee):
            return denied
        if denied is None:
            return {}
        return {f"by {self.account}": f"no: {denied}" if denied else True}

    def wanted(self) -> Mapping[str, Value]:
        return {f"by {self.account}": True}

    def advice(self, field: str, seen: str) -> str:
        return f"let {self.account} pass and write: `setfacl -x ENTRY`, or `chmod`, on the path that is named"

    def watches(self) -> Iterable[str]:
        return (self.path, *(token.removeprefix("path:") for token in list(parents(self.path))[:2]))

    def requires(self) -> Iterable[str]:
        return (f"account:{self.account}",)
