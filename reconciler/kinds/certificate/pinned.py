"""The kind `pinned`: a key that another party relies on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.certificate.pair import public_half
from reconciler.kinds.paths import ownership, type_of, unseen
from reconciler.model import Change, Question, Resource, Seen, State, Step, View, quote
from reconciler.questions.files import StatQuestion
from reconciler.questions.reading import ReadingQuestion
from reconciler.questions.system import CommandResult
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Pinned(Resource):
    """A key that another party relies on: reported, never changed.

    CILogon knows the portal by a key that was once copied from the certificate's. A renewal does
    not change it, and replacing it would break logins until CILogon has the new one.
    """

    kind: ClassVar[str] = "pinned"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.CERTIFICATE
    declarable: ClassVar[bool] = False

    path: str
    key: str
    """The key in use; the public halves are compared."""

    def ask(self) -> Mapping[str, Question]:
        return {
            "file": StatQuestion(self.path),
            "public": ReadingQuestion(self.path, _public(quote(self.path))),
            "used": public_half(self.key),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry = answers["file"]
        if entry is None or (hidden := unseen(*answers.values())):
            return entry if entry is None else hidden
        return {"type": type_of(entry), **ownership(entry), "its key": _whose(answers)}

    def want(self, look: View) -> State | None:
        return {} if isinstance(look.own(), Mapping) else None

    def steps(self, change: Change) -> Iterable[Step]:
        return ()


def _public(path: str) -> str:
    """Of a private key or of a public one, where there is either."""
    return f"[ ! -e {path} ] || openssl pkey -pubout -in {path} 2>/dev/null || openssl pkey -pubin -in {path}"


def _whose(answers: Mapping[str, Any]) -> str:
    public, used = answers["public"], answers["used"]
    if (
        not (isinstance(public, CommandResult) and isinstance(used, CommandResult))
        or public.status
        or not public.output
    ):
        return "cannot be read"
    return "the one in use" if public.output == used.output else "an older one"
