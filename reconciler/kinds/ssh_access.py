"""The kind `ssh_access`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import ABSOLUTE, NAME
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View, option, quote
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.questions.tls import ADDRESSES, ITSELF, LOCAL, MISLED
from reconciler.subjects import Subject

OVER_THERE = "case $s in 126 | 127) command -v ssh runuser >/dev/null && s=1 ;; esac"
"""ssh ends with the status of the command over there (ssh(1)): that one cannot be run there is no
reason to say that nothing was seen here."""

DESTINATION = {
    "pattern": r"^[A-Za-z_][A-Za-z0-9_.-]*@[A-Za-z0-9:][A-Za-z0-9:._-]*$",
    "x-want": "ACCOUNT@HOST",
}


def client(identity: str, port: int, seconds: int, known_hosts: str | None = None) -> str:
    """The ssh of an account, which goes by nothing but what is said here: with `-F none` neither by that
    account's own configuration, which could send it elsewhere, nor by the host's (ssh(1))."""
    pinned = f" -o UserKnownHostsFile={quote(known_hosts)}" if known_hosts else ""
    return (
        f"ssh -F none -o BatchMode=yes -o ConnectTimeout={seconds} -o StrictHostKeyChecking=yes"
        f" -o IdentitiesOnly=yes{pinned} -p {port} -i {quote(identity)}"
    )


@dataclass(frozen=True, kw_only=True)
class SshAccess(Resource):
    """Proof that an account can run a harmless command on another host over ssh.

    Nothing brings it about but what it needs; its step is the proof, made again. Declared
    absent, it is not asked for any more.
    """

    kind: ClassVar[str] = "ssh_access"
    title: ClassVar[str] = "destination"
    subject: ClassVar[str] = Subject.ACCOUNTS
    reversible: ClassVar[bool] = False

    destination: str = option("ACCOUNT@HOST.", schema=DESTINATION)
    user: str = option("Who connects.", default="root", schema=NAME)
    identity: str = option("The private key to use.", default="/root/.ssh/id_ed25519", schema=ABSOLUTE)
    port: int = option("The port of sshd there.", default=22, schema={"minimum": 1, "maximum": 65535})

    command: str = "true"
    """What is run there: not the YAML's to say, for every look runs it."""

    known_hosts: str | None = None
    """The file with the host keys that are pinned; the user's own otherwise."""

    def _command(self) -> str:
        return (
            f"runuser -u {quote(self.user)} -- {client(self.identity, self.port, 5, self.known_hosts)}"
            f" -- {quote(self.destination)} {quote(self.command)}"
        )

    def _misled(self) -> str:
        """Shell that says so where the name of the other host leads back to this one: ssh complains of a key
        then, which is right."""
        peer = self.destination.rpartition("@")[2]
        if peer in (self.host, *LOCAL):
            return ":"
        each = f'case $a in =*) echo; misled {quote(peer)} "$a"; break ;; esac'
        return f"{ADDRESSES}; {MISLED}; for a in $(addresses {quote(peer)}); do {each}; done"

    def ask(self) -> Mapping[str, Question]:
        failed = f"{{ s=$?; {OVER_THERE}; {self._misled()}; exit $s; }}"
        return {"said": CommandQuestion(f"{self._command()} || {failed}")}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        said: CommandResult | CannotSee = answers["said"]
        if isinstance(said, CannotSee):
            return said
        if said.status == 0:
            return {"works": True}
        if said.output.startswith("runuser: may not be used"):
            return CannotSee("only root can connect as another account")
        return {"works": said.output.splitlines()[-1] if said.output else f"no: status {said.status}"}

    def want(self, look: View) -> State | None:
        if self.absent:
            return {}
        # To a host that we cannot reach either it proves nothing: that host is told of already.
        return {} if look.is_unreachable(self.destination.rpartition("@")[2]) else {"works": True}

    def refuses(self, change: Change) -> str | None:
        said = str((change.seen or {}).get("works"))
        if ITSELF not in said:
            return None
        return (
            "correct where the name leads there, in /etc/hosts or the DNS; until then only the host answers"
        )

    def verb(self, change: Change) -> str:
        # Why it does not work yet changes while what it needs comes about; the proof does not.
        return "create"

    def steps(self, change: Change) -> Iterable[Step]:
        yield Step(f"{self._command()} </dev/null", "proves it")

    def requires(self) -> Iterable[str]:
        return (f"account:{self.user}", f"path:{self.identity}")
