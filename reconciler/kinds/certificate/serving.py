"""The kind `serving`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from reconciler import x509
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.release import STORE, tool
from reconciler.kinds.paths import unseen
from reconciler.model import CannotSee, Change, Question, Ref, Resource, Seen, State, Step, Value, View
from reconciler.questions.files import FileEntry, StatQuestion
from reconciler.questions.tls import NOTHING, CertificatesQuestion, HandshakeQuestion, HandshakeResult

LINKS = ("staged", "current", "proven")
OLDER = ", an older copy"


@dataclass(frozen=True)
class TlsService:
    """A service that presents the certificate on a port of its host.

    `protocol` is `tls` or `postgresql`; `check` and `reload` are commands; `names` are those
    that clients ask for, None among them for those that send none.
    """

    service: str
    port: int
    protocol: Literal["tls", "postgresql"]
    check: str | None
    reload: str
    names: tuple[str | None, ...]

    @property
    def label(self) -> str:
        """What the field of a state is called."""
        return f"{self.service} on {self.port}"


@dataclass(frozen=True, kw_only=True)
class Serving(Resource):
    """The staged release is in use on a host: every service that has the certificate completes
    handshakes with it, under every name.

    One action switches the host: the link, then service after service its check, its reload
    and its proof. Where one fails, the last proven release is put back and proven.
    """

    kind: ClassVar[str] = "serving"
    title: ClassVar[str] = "router"

    router: str
    lineage: Ref
    trust: Trust
    endpoints: tuple[TlsService, ...]
    settle: int = 0
    deadline: int = 60
    keep: int = 5

    def ask(self) -> Mapping[str, Question]:
        return {
            **{name: CertificatesQuestion(f"{STORE}/{name}/fullchain.pem") for name in LINKS},
            **{f"link {name}": StatQuestion(f"{STORE}/{name}") for name in LINKS},
            **{
                f"{each.label} {name}": HandshakeQuestion(each.port, each.protocol, name)
                for each in self.endpoints
                for name in each.names
            },
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen(*answers.values()):
            return hidden
        found = {name: _identity(answers[name]) for name in LINKS}
        state: dict[str, Value] = {"current": found["current"], "proven": found["proven"]}
        if found["current"] == found["staged"] and _target(answers, "current") != _target(answers, "staged"):
            # The release was staged again, because something was wrong with the copy in use.
            state["current"] = f"{found['current']}{OLDER}"
        for each in self.endpoints:
            shown = {name: answers[f"{each.label} {name}"] for name in each.names}
            state[each.label] = _shown(shown)
            for served in shown.values():
                state |= _told(served)
        return state

    def with_pending(self, seen: State, pending: tuple[str, ...]) -> State:
        known = seen["current"] != "none" and not str(seen["current"]).endswith(OLDER)
        return {**seen, "current": f"{seen['current']}{OLDER}"} if pending and known else seen

    def want(self, look: View) -> State | None:
        release = look.value(self.lineage, "release")
        if isinstance(release, CannotSee):
            # The primary is away: what this host has in use shall at least be what it serves.
            own = look.own()
            release = own.get("current") if isinstance(own, Mapping) else None
            if release is None:
                return {}
        served = {each.label: release for each in self.endpoints}
        own = look.own()
        if isinstance(own, Mapping) and own["current"] == release:
            # A service that does not run is its own resource's matter; it will load this one.
            served = {label: value for label, value in served.items() if own[label] != NOTHING}
        return {"current": release, **served, "proven": release}

    def verb(self, change: Change) -> str:
        return "reload" if change.seen and change.seen["proven"] != "none" else "change"

    def steps(self, change: Change) -> Iterable[Step]:
        if "current" in change.deltas:
            yield Step(tool("use", "staged"), "services read the staged release from now on")
        touched = [each for each in self.endpoints if each.label in change.deltas]
        for each in touched:
            if each.check:
                yield Step(each.check, f"checks the configuration of {each.service} first")
            yield Step(each.reload, f"{each.service} loads the certificate")
            yield self._proof(each)
        if self.settle and touched:
            yield Step(f"sleep {self.settle}", "lets it settle, then proves it once more")
            yield from map(self._proof, self.endpoints)
        yield Step(
            tool("proven", self.keep), f"remembers it as proven, and keeps the {self.keep} newest releases"
        )

    def _prove(self, each: TlsService, seconds: int) -> str:
        return tool("prove", seconds, each.port, each.protocol, *(name or "" for name in each.names))

    def _proof(self, each: TlsService) -> Step:
        minutes = 1 + self.deadline // 60
        return Step(self._prove(each, self.deadline), "proves it by handshakes", minutes=minutes)

    def rescue(self, change: Change) -> Iterable[Step]:
        """Puts the last proven release back, and proves it."""
        if change.seen is None or change.seen["proven"] == "none" or "current" not in change.deltas:
            return
        yield Step(tool("use", "proven"), "the last proven release again")
        for each in self.endpoints:
            if each.label in change.deltas:
                check = f"{each.check} && " if each.check else ""
                yield Step(
                    f"{self._prove(each, 1)} 2>/dev/null"
                    f" || {{ {check}{each.reload} && {self._prove(each, self.deadline)}; }}",
                    f"proves it; {each.service} loads it again where it must",
                    minutes=1 + self.deadline // 60,
                )
        yield Step(
            f"openssl x509 -noout -enddate -in {STORE}/current/cert.pem", "until when that one is good"
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{STORE}/proven",)

    def refers(self) -> Iterable[Ref]:
        return (self.lineage,)

    def watches(self) -> Iterable[str]:
        return (f"{STORE}/staged",)


def _target(answers: Mapping[str, Any], name: str) -> str | None:
    entry: FileEntry | None = answers[f"link {name}"]
    return entry.target if entry else None


def _identity(text: str | None) -> str:
    if text is None:
        return "none"
    try:
        return x509.identity(x509.chain(text))
    except x509.Unreadable as error:
        return f"unreadable: {error}"


def _told(served: HandshakeResult) -> dict[str, Value]:
    """What a certificate that was shown says, under its identity: nobody wants it, reports tell it."""
    try:
        chain = x509.chain(served.certificates)
    except x509.Unreadable:
        return {}
    release, (begin, end) = x509.identity(chain), x509.window(chain[0])
    return {
        f"begin of {release}": begin.isoformat(timespec="minutes"),
        f"end of {release}": end.isoformat(timespec="minutes"),
        f"names of {release}": " ".join(x509.names(chain[0])),
    }


def _shown(shown: Mapping[str | None, HandshakeResult]) -> str:
    """What all names are served, or which name is served what."""
    found = {name: served.reason or _identity(served.certificates) for name, served in shown.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{name or 'without a name'}: {value}" for name, value in found.items())
