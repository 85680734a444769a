"""The kind `certificate_file`: the pair in use in another form than certbot's four files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.certificate.release import KEY_FILE
from reconciler.kinds.certificate.store import OWN, Store
from reconciler.kinds.paths import ownership, type_of, unseen
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View
from reconciler.questions.files import FileEntry, StatQuestion
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.subjects import Subject

OF_PAIR = "the pair in use"
NOT_OF_PAIR = "cut, or of another pair"
NOT_KNOWN = "not known: an earlier version of our script is there"
ONLY_ROOT = 77
"""How the script `release` ends where the account may not read the pair."""
UNKNOWN_VERB = 64
"""How an earlier version of it ends, which knows no forms (EX_USAGE of sysexits.h)."""


@dataclass(frozen=True, kw_only=True)
class CertificateFile(Resource):
    """The pair in use in the form that a consumer reads, beside certbot's four files.

    Every release has the declared forms from the time that it is staged, so the link `current` switches
    all of them at once, and brings all of them back. One that was staged before a form was declared, or has
    lost it, is completed in its place, of the pair that is there: nothing is loaded anew.
    """

    kind: ClassVar[str] = "certificate_file"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False

    file: str
    """Its name, of which the script `release` knows what it holds."""
    store: Store = OWN

    @property
    def path(self) -> str:
        """Where services find it."""
        return f"{self.store.current}/{self.file}"

    def ask(self) -> Mapping[str, Question]:
        # Before the first apply the tool is not there.
        holds = f"[ -e {self.store.tool} ] || exit {UNKNOWN_VERB}; {self.store.run('form', self.file)}"
        return {"entry": StatQuestion(self.path), "holds": CommandQuestion(holds)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry: FileEntry | None | CannotSee = answers["entry"]
        if entry is None or isinstance(entry, CannotSee):
            return entry
        if type_of(entry) != "file":
            return CannotSee(f"there is a {type_of(entry)} in its place")
        if hidden := unseen(*answers.values()):
            return hidden
        holds: CommandResult = answers["holds"]
        if holds.status == ONLY_ROOT:
            return CannotSee("only root can tell whether it is of the pair in use")
        contents = {0: OF_PAIR, 1: NOT_OF_PAIR, UNKNOWN_VERB: NOT_KNOWN}
        if holds.status not in contents:
            return CannotSee(f"it could not be compared with the pair in use: {holds.output}")
        owned = ownership(entry)
        return {
            "holds": contents[holds.status],
            "key file": f"{owned['owner']}:{owned['group']} {owned['mode']}",
        }

    def want(self, look: View) -> State | None:
        return {"holds": OF_PAIR, "key file": KEY_FILE}

    def steps(self, change: Change) -> Iterable[Step]:
        yield Step(self.store.run("forms"), "makes it of the pair that is there; nothing is loaded anew")

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}",)
