"""The kind `keypair`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import (
    ABSOLUTE,
    LINE,
    NAME,
    NEW,
    chown_steps,
    into_place,
    move_aside,
    ownership,
    parents,
    type_of,
    unseen,
)
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.files import FileEntry, StatQuestion, TextQuestion
from reconciler.questions.reading import NOT_READ, ReadingQuestion
from reconciler.questions.system import CommandResult
from reconciler.subjects import Subject
from reconciler.unknowns import PUBLIC_KEY


@dataclass(frozen=True, kw_only=True)
class Keypair(Resource):
    """An SSH key pair without a passphrase, made on the host by its account.

    Only the public half is ever looked at: `ssh-keygen -y` derives it on the host from the
    private one, which never leaves the host.
    """

    kind: ClassVar[str] = "keypair"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.ACCOUNTS
    unknowns: ClassVar[Mapping[str, str]] = {"public": PUBLIC_KEY}

    path: str = option("The private key; the public one lies beside it as .pub.", schema=ABSOLUTE)
    user: str = option("Who owns and makes it.", default="root", schema=NAME)
    comment: str = option("The comment in the public key.", default="reconciler", schema=LINE)
    former: str | None = None
    """Where earlier versions kept the pair; it is taken over, so that what it opens stays open."""

    def ask(self) -> Mapping[str, Question]:
        return {
            "private": StatQuestion(self.path),
            "public": TextQuestion(f"{self.path}.pub"),
            "derived": ReadingQuestion(self.path, f"ssh-keygen -y -P '' -f {quote(self.path)}"),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry: FileEntry | None = answers["private"]
        if entry is None or (hidden := unseen(entry, answers["derived"], answers["public"])):
            return entry if entry is None else hidden
        said: CommandResult = answers["derived"]
        if entry.type != "f":
            return {"type": type_of(entry)}
        if said.status != 0 and "Permission denied" in said.output:
            return CannotSee("the account may not read the key")
        # What it says of a file that is no key, it says with 255 and in words: a pair would be made anew.
        if said.status not in (0, 255) or not said.output or (said.status and NOT_READ.search(said.output)):
            why = said.output.partition("\n")[0] or f"`ssh-keygen` ended with {said.status} and no message"
            return CannotSee(f"the key could not be checked: {why}")
        if "UNPROTECTED PRIVATE KEY FILE" in said.output:
            # ssh-keygen ignores a key that others may read. Its mode is fixed first; it is kept.
            return {"type": "ssh-ed25519", "public file": "matches", **ownership(entry)}
        words = said.output.split()
        if said.status != 0 or len(words) < 2:
            return {"type": "file without a usable key"}
        beside = (answers["public"] or b"").decode("ascii", "replace").split()[:2]
        return {
            "type": words[0],
            "public": " ".join(words[:2]),
            "public file": "matches" if beside == words[:2] else "does not match",
            **ownership(entry),
        }

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        return {
            "type": "ssh-ed25519",
            "public file": "matches",
            "mode": "0600",
            "owner": self.user,
        }

    def steps(self, change: Change) -> Iterable[Step]:
        path, user, where = quote(self.path), quote(self.user), (self.path,)
        if change.removes:
            yield Step(f"rm -f -- {path} {path}.pub", "declared absent", where=where)
        elif change.creates or "type" in change.deltas:
            new = quote(self.path + NEW)
            yield Step(
                f"rm -f -- {new} {new}.pub && {self._make(new)} && chown -h {user}: {new} {new}.pub",
                "makes the pair; the private key stays on this host",
                where=where,
            )
            yield from move_aside(self.path, change)
            public = into_place(f"{self.path}{NEW}.pub", f"{self.path}.pub")
            yield Step(
                f"{public} && {into_place(self.path + NEW, self.path)}", "puts both in place", where=where
            )
        else:
            yield from chown_steps(self.path, change)
            if "public file" in change.deltas:
                yield Step(
                    f"rm -f -- {path}.pub && ssh-keygen -y -P '' -f {path} >{path}.pub"
                    f" && chown -h {user}: {path}.pub",
                    "writes the public key that belongs to the private one",
                    where=where,
                )

    def _make(self, path: str) -> str:
        make = f"ssh-keygen -q -t ed25519 -N '' -C {quote(self.comment)} -f {path} </dev/null"
        if self.former is None:
            return make
        former, user = quote(self.former), quote(self.user)
        run = f"runuser -u {user} --"
        return (
            f"if {run} ssh-keygen -y -P '' -f {former} 2>/dev/null | grep -q '^ssh-ed25519 ';"
            f" then {run} head -c 65536 -- {former} | install -m 0600 -o {user} /dev/stdin {path}"
            f" && ssh-keygen -y -P '' -f {path} >{path}.pub; else {make}; fi"
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}", f"path:{self.path}.pub")

    def requires(self) -> Iterable[str]:
        return (*parents(self.path), f"account:{self.user}")


@dataclass(frozen=True, kw_only=True)
class HostKey(Resource):
    """The public host key of a host's sshd: only looked at, so that its peers can pin it.

    Declared by the blueprint, not in the YAML.
    """

    kind: ClassVar[str] = "host_key"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.ACCOUNTS
    declarable: ClassVar[bool] = False
    unknowns: ClassVar[Mapping[str, str]] = {"public": PUBLIC_KEY}

    path: str = "/etc/ssh/ssh_host_ed25519_key.pub"

    def ask(self) -> Mapping[str, Question]:
        return {"public": TextQuestion(self.path)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        public = answers["public"]
        if hidden := unseen(public):
            return hidden
        words = (public or b"").decode("ascii", "replace").split()
        if len(words) < 2:
            return CannotSee(f"there is no public key in {self.path}")
        return {"public": " ".join(words[:2])}

    def want(self, look: View) -> State | None:
        return {}

    def steps(self, change: Change) -> Iterable[Step]:
        return ()
