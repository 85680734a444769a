"""The kind `serving`: the services of a host use the certificate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from reconciler import x509
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.renewals import concerns_renewals
from reconciler.kinds.certificate.store import OWN, Store
from reconciler.kinds.paths import unseen
from reconciler.kinds.service import just_started
from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Joint,
    Question,
    Ref,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
)
from reconciler.questions.files import FileEntry, StatQuestion
from reconciler.questions.system import UnitQuestion
from reconciler.questions.tls import (
    LOOPBACK,
    NOTHING,
    CertificatesQuestion,
    HandshakeQuestion,
    HandshakeResult,
)
from reconciler.refs import flat
from reconciler.subjects import Risk, Subject

LINKS = ("staged", "current", "proven")
OLDER = ", an older copy"
PATIENT = "waits for every host"
OVERDUE = "waits for no host"


@dataclass(frozen=True)
class TlsService:
    """A service that presents the certificate on a port of its host.

    `protocol` is one of `questions.tls.PROTOCOLS`; `check` and `reload` are shell commands, `unit` is
    systemd's name of the service; `names` are those that clients send (SNI), None for sending none.
    One that loads changed files by itself has no `reload`. Where the port has another certificate too, with
    a key of the other kind, `key` is this one's: clients that take no other are shown it.
    """

    service: str
    port: int
    protocol: str
    check: str | None
    reload: str | None
    unit: str
    names: tuple[str | None, ...]
    key: str = ""

    @property
    def label(self) -> str:
        """The field of a state that is about it."""
        return f"{self.service} on {self.port}"

    def question(self, name: str | None, host: str = LOOPBACK, elsewhere: bool = False) -> HandshakeQuestion:
        """A handshake with it for one of its names."""
        return HandshakeQuestion(self.port, self.protocol, name, host, self.key, elsewhere)


@dataclass(frozen=True, kw_only=True)
class Serving(Resource):
    """The staged release is in use on a host: every service that has the certificate completes
    handshakes with it, under every name.

    One action switches the host: first the link, then for one service after another the check, the
    reload and the proof. If one fails, the last proven release is restored and proven. `settle` and
    `deadline` are seconds: how long to wait before the second proof, and for a service to serve what
    it has loaded. `keep` is the number of releases that stay on the host.

    The rollout goes on without hosts that are lost or cannot be mended, but for the first `patience`
    hours of a certificate it waits for them, unless the one in use is about to expire (less than
    `overdue`, a fraction of its lifetime, is left). It stops once more than `max_failed` hosts have
    failed and are no worse for it; those that an earlier run left half way, and that cannot be
    brought on, are counted too. Where the certificate in use is about to expire, any number may.

    Of those that are `tried_first`, the canaries, none may fail: each of them that can be reached is
    proven before this one switches, unless the certificate in use here is about to expire. `waves` is
    a line about all of the rollout, for plans.
    """

    kind: ClassVar[str] = "serving"
    title: ClassVar[str] = "router"
    subject: ClassVar[str] = Subject.ROLLOUT
    declarable: ClassVar[bool] = False
    renews: ClassVar[bool] = True
    depends: ClassVar[bool] = True

    router: str
    lineage: Ref
    trust: Trust
    endpoints: tuple[TlsService, ...]
    settle: int = 0
    deadline: int = 60
    keep: int = 5
    max_failed: int = 1
    patience: int = 0
    overdue: float = 0.25
    store: Store = OWN
    tried_first: tuple[Ref, ...] = ()
    waves: str = field(default="", compare=False)
    rollout: tuple[Ref, ...] = field(default=(), compare=False)
    """The same of all hosts. What a run has left half way goes first: else more hosts would be away from what
    was proven than may."""

    def ask(self) -> Mapping[str, Question]:
        return {
            **{name: CertificatesQuestion(f"{self.store.folder}/{name}/fullchain.pem") for name in LINKS},
            **{f"link {name}": StatQuestion(f"{self.store.folder}/{name}") for name in LINKS},
            **service_questions(self.endpoints),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen_service(answers, self.endpoints):
            return hidden
        found = {name: identity_of(answers[name]) for name in LINKS}
        state: dict[str, Value] = {"current": found["current"], "proven": found["proven"]}
        if found["current"] == found["staged"] and _target(answers, "current") != _target(answers, "staged"):
            # The same release was staged again, because something was wrong with the copy in use.
            state["current"] = f"{found['current']}{OLDER}"
        for each in self.endpoints:
            results = {name: answers[f"{each.label} {name}"] for name in each.names}
            state[each.label] = _served(results)
            for result in results.values():
                state |= contents(result)
            coming = just_started(each.unit, answers[f"unit {each.unit}"], self.deadline)
            if coming and found["current"] not in ("none", state[each.label]):
                return coming
        return state | self._waiting(answers["staged"], answers["current"], now)

    def _waiting(self, staged: str | None, current: str | None, now: datetime) -> dict[str, Value]:
        """Whether it waits for hosts that cannot follow, by the certificates that are staged and in use."""
        try:
            new, old = x509.chain(staged or "")[0], x509.chain(current or "")[0]
        except x509.Unreadable:
            return {}
        if x509.left(old, now) <= self.overdue:
            return {OVERDUE: True}
        return {PATIENT: True} if now < x509.window(new)[0] + timedelta(hours=self.patience) else {}

    def with_pending(self, seen: State, pending: tuple[str, ...]) -> State:
        known = seen["current"] != "none" and not str(seen["current"]).endswith(OLDER)
        return {**seen, "current": f"{seen['current']}{OLDER}"} if pending and known else seen

    def want(self, look: View) -> State | None:
        release = look.value(self.lineage, "release")
        if isinstance(release, CannotSee):
            # The primary is unreachable: this host must at least serve what it has in use.
            own = look.own()
            release = own.get("current") if isinstance(own, Mapping) else None
            if release is None:
                return {}
        served = {each.label: release for each in self.endpoints}
        own = look.own()
        if isinstance(own, Mapping) and own["current"] == release:
            # A service that is down is reported by its own resource; it loads this one when it starts.
            served = {label: value for label, value in served.items() if own[label] != NOTHING}
        return {"current": release, **served, "proven": release}

    def following(self, seen: Mapping[Ref, Seen]) -> Iterable[Ref | Joint]:
        half = {ref for ref in self.rollout if self.is_away(seen.get(ref))}
        if self.ref not in half:
            return (*self.follows, *sorted(half))
        return tuple(ref for ref in flat(self.follows) if ref in half or ref.kind != self.kind)

    def is_local(self, change: Change) -> bool:
        # What is in use already is loaded once more: that is a repair of this host, and no switch.
        return "current" not in change.deltas

    def insists(self, change: Change) -> bool:
        return change.seen is not None and change.seen.get(PATIENT) is True

    def tolerates(self, seen: Seen) -> int:
        is_overdue = isinstance(seen, Mapping) and seen.get(OVERDUE) is True
        return len(self.rollout) if is_overdue else self.max_failed

    def canaries(self, seen: Seen) -> Collection[Ref]:
        # One that was switched already is led to its end, whatever becomes of the others.
        is_overdue = isinstance(seen, Mapping) and seen.get(OVERDUE) is True
        return () if is_overdue or self.is_away(seen) else self.tried_first

    def is_away(self, seen: Seen) -> bool:
        """Whether a host was switched, and not proven since."""
        if not isinstance(seen, Mapping):
            return False
        current, proven = _links(seen)
        return "none" not in (current, proven) and current != proven

    def is_worse(self, found: Seen, now: Seen) -> bool:
        if not isinstance(found, Mapping):
            return True
        if not isinstance(now, Mapping):
            return not self.is_away(found)  # one that was away before, and is lost
        if self.is_away(now) and not self.is_away(found):
            return True
        labels = [each.label for each in self.endpoints]
        good = {*_links(found), *_links(now)} - {"none"}
        return any(found.get(label) in good and now.get(label) not in good for label in labels)

    @classmethod
    def risks(cls, action: Action) -> Iterable[str]:
        if any("restart " in step.command for step in action.steps):  # a service's own `reload`
            yield Risk.RESTART

    def verb(self, change: Change) -> str:
        return "reload" if change.seen and change.seen["proven"] != "none" else "change"

    def notes(self, seen: State, change: Change | None) -> Iterable[str]:
        if self.waves and change and not self.is_local(change):
            yield self.waves

    def steps(self, change: Change) -> Iterable[Step]:
        if "current" in change.deltas:
            yield Step(self.store.run("use", "staged"), "services read the staged release from now on")
        touched = [each for each in self.endpoints if each.label in change.deltas]
        yield from loading(touched, self._proof)
        if self.settle and touched:
            yield Step(f"sleep {self.settle}", "waits, then proves it once more")
            yield from map(self._proof, self.endpoints)
        yield Step(
            self.store.run("proven", self.keep),
            f"records it as proven, and keeps the {self.keep} newest releases",
        )

    def _prove(self, each: TlsService, seconds: int) -> str:
        asked = f"{each.protocol}+{each.key}" if each.key else each.protocol
        return self.store.run("prove", seconds, each.port, asked, *(name or "" for name in each.names))

    def _proof(self, each: TlsService) -> Step:
        minutes = 1 + self.deadline // 60
        why = "proves by handshakes that it is served"
        if not each.reload:
            why = f"waits until {each.service} has loaded it by itself, and {why}"
        return Step(self._prove(each, self.deadline), why, minutes=minutes)

    def rescue(self, change: Change) -> Iterable[Step]:
        """Restores the last proven release, and proves it."""
        if change.seen is None or change.seen["proven"] == "none" or "current" not in change.deltas:
            return
        yield Step(self.store.run("use", "proven"), "restores the last proven release")
        for each in self.endpoints:
            if each.label in change.deltas:
                if not each.reload:
                    yield self._proof(each)
                    continue
                check = f"{each.check} && " if each.check else ""
                yield Step(
                    f"{self._prove(each, 1)} 2>/dev/null"
                    f" || {{ {check}{each.reload} && {self._prove(each, self.deadline)}; }}",
                    f"proves that {each.service} serves it, after a reload if needed",
                    minutes=1 + self.deadline // 60,
                )
        yield Step(
            f"openssl x509 -noout -enddate -in {self.store.folder}/current/cert.pem",
            "shows until when that one is valid",
        )

    def provides(self) -> Iterable[str]:
        return (f"path:{self.store.folder}/proven",)

    def refers(self) -> Iterable[Ref]:
        return (self.lineage,)

    def held_by(self, other: Ref, action: Action, pending: Action | None) -> bool:
        return other != self.lineage or not concerns_renewals(pending)

    def watches(self) -> Iterable[str]:
        return (f"{self.store.folder}/staged",)


def loading(services: Iterable[TlsService], proof: Callable[[TlsService], Step]) -> Iterable[Step]:
    """Each of these services loads the certificate, after its check and once for all ports of a unit, and is
    proven."""
    told: set[str] = set()
    for each in services:
        if each.reload and each.unit not in told:
            told.add(each.unit)
            if each.check:
                yield Step(each.check, f"checks the configuration of {each.service} first")
            yield Step(each.reload, f"{each.service} loads the certificate")
        yield proof(each)


def _links(seen: State) -> tuple[str, str]:
    """The releases that are in use and proven."""
    return str(seen.get("current")).removesuffix(OLDER), str(seen.get("proven"))


def _target(answers: Mapping[str, Any], name: str) -> str | None:
    entry: FileEntry | None = answers[f"link {name}"]
    return entry.target if entry else None


def identity_of(text: str | None, *, leaf: bool = False) -> str:
    """The release that a PEM text is, or the leaf alone; `none`, or why it is unreadable."""
    if text is None:
        return "none"
    try:
        return x509.identity(x509.chain(text)[: 1 if leaf else None])
    except x509.Unreadable as error:
        return f"unreadable: {error}"


def contents(result: HandshakeResult, *, leaf: bool = False) -> dict[str, Value]:
    """Dates and names of a certificate that is served, under its identity, or that of the leaf alone: for
    reports, never a delta."""
    try:
        chain = x509.chain(result.certificates)[: 1 if leaf else None]
    except x509.Unreadable:
        return {}
    release, (begin, end) = x509.identity(chain), x509.window(chain[0])
    return {
        f"begin of {release}": begin.isoformat(timespec="minutes"),
        f"end of {release}": end.isoformat(timespec="minutes"),
        f"names of {release}": " ".join(x509.names(chain[0])),
    }


def service_questions(endpoints: Collection[TlsService]) -> Mapping[str, Question]:
    """What to ask of services: their units, and a handshake under each of their names."""
    return {
        **{f"unit {each.unit}": UnitQuestion(each.unit) for each in endpoints},
        **{f"{each.label} {name}": each.question(name) for each in endpoints for name in each.names},
    }


def unseen_service(answers: Mapping[str, Any], endpoints: Iterable[TlsService]) -> CannotSee | None:
    """The first of the answers that could not be had: of those about a service, whose labels begin with its
    own, else of all others."""
    for each in endpoints:
        about = (answer for label, answer in answers.items() if label.startswith(each.label))
        if hidden := unseen(*about):
            return CannotSee(f"{each.label}: {hidden.reason}")
    return unseen(*answers.values())


def presented(result: HandshakeResult, *, leaf: bool = False) -> str:
    """The release, or the leaf alone, that was presented in a handshake, or why there was none."""
    return result.reason or identity_of(result.certificates, leaf=leaf)


def _served(results: Mapping[str | None, HandshakeResult]) -> str:
    """The release that is served under all names, or which name gets which."""
    found = {name: presented(result) for name, result in results.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{name or 'without a name'}: {value}" for name, value in found.items())
