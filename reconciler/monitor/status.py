"""What is known of an environment from what this machine has recorded, and how far that can be trusted. Pure.

A look is kept by `drift` and `apply`; nothing here asks a host. What was seen to be in sync counts as unknown
once anything says that it may no longer be so: time, another file, a later run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from reconciler.approval.policy import expiries
from reconciler.blueprint.managed import managed, own
from reconciler.environment.settings import Environment
from reconciler.forecast.facts import brought_ends, kept_of, ordered_ends, ordered_lifetimes
from reconciler.journal.elsewhere import RunElsewhere
from reconciler.journal.journal import JournalEntry
from reconciler.kinds.certificate.ordering import BY
from reconciler.model import Observation
from reconciler.monitor.findings import Finding, last_moment
from reconciler.tls import verify
from reconciler.tls.status import of_certificate, urgency, utc

STATES = ("in sync", "drifted", "pending", "unknown")
UNCHANGED = (6, 7)
"""Exit codes of runs that have changed nothing: stale, locked."""
AHEAD = timedelta(minutes=5)
"""How far the clock may have been ahead when a look was recorded."""


@dataclass(frozen=True, kw_only=True)
class CertificateTimes:
    """Of the served certificate that ends first: its end, its lifetime, about when it is renewed, and when
    that was seen."""

    end: datetime
    lifetime: timedelta
    renewal: datetime
    seen: datetime

    def left(self, now: datetime) -> float:
        """The fraction of its lifetime that is left; below zero where it is over."""
        return (self.end - now) / self.lifetime


@dataclass(frozen=True, kw_only=True)
class BroughtEnd:
    """One of `certificates`: its end, None where that is not known, and from how long before it is warned.
    One that is `ordered` is renewed before that; nothing renews one that somebody brings."""

    name: str
    end: datetime | None
    warn: timedelta
    ordered: bool = False

    def urgency(self, now: datetime) -> str:
        """How bad its end is: `ok`, `warn`, `bad` once it is over, or `unknown`."""
        if self.end is None:
            return "unknown"
        return "bad" if self.end <= now else "warn" if self.end - now < self.warn else "ok"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the last look at a whole environment has found. `entry` is the journal's newest entry when it
    began, `digests` the SHA-256 of the environment file (under "") and of the files that it names, and `kept`
    what it has kept for `forecast` (see `forecast.facts`)."""

    at: datetime
    entry: int
    counts: Mapping[str, int]
    digests: Mapping[str, str]
    certificate: CertificateTimes | None
    told: int = 0
    """The newest line that hosts had told by then of runs elsewhere."""
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LastRun:
    """A run of this machine. `code` is how it ended: an exit code, None where it has not, or was
    interrupted; `alive` says whether its process is still there."""

    number: int
    command: str
    who: str
    began: datetime
    ended: datetime | None
    code: int | None
    alive: bool

    @property
    def result(self) -> str:
        """How it went, in a word or two."""
        if self.alive:
            return "under way"
        known = {None: "interrupted", 0: "done", 2: "done; the rest is waiting", 6: "stale", 7: "locked"}
        return known.get(self.code, f"ended with {self.code}")


@dataclass(frozen=True, kw_only=True)
class EnvironmentStatus:
    """An environment in the table. `state` is one of `STATES`, `reason` says why in words. `certificate` is
    None where its times are not known, and where it `owns` none."""

    environment: str
    file: str
    state: str
    reason: str
    look: Look | None = None
    owns: bool = False
    certificate: CertificateTimes | None = None
    overdue: float = 0.25
    run: LastRun | None = None
    elsewhere: RunElsewhere | None = None
    """The newest run of another machine, as hosts have told of it."""
    problems: Sequence[str] = ()
    router: str = ""
    unread: bool = False
    """Whether its file or the journal cannot be read: nothing at all is known then."""
    brought: Sequence[BroughtEnd] = ()
    """The further certificates, those that are ordered too."""
    ambiguous: bool = False
    """Whether another file declares an environment of the same name."""

    @property
    def label(self) -> str:
        """What names it in a list of several: its name, and its file where that is another's too."""
        return f"{self.environment} ({self.file})" if self.ambiguous else self.environment

    @property
    def lock(self) -> str | None:
        """The run of this machine that holds the hosts; None where none does. Others' are not known here."""
        return f"run {self.run.number} ({self.run.who})" if self.run and self.run.alive else None

    def urgency(self, now: datetime) -> str:
        """How bad the end of the certificate is: see `tls.status.urgency`, or `unknown`."""
        if self.certificate is None:
            return "unknown" if self.owns else "ok"
        return urgency(self.certificate.left(now), self.overdue)


# A look, when it is recorded and when it is read


def digests(environment: Environment) -> dict[str, str]:
    """The digests of an environment's file and of those that it names."""
    return {"": environment.digest, **environment.sources}


def look_body(
    environment: Environment,
    found: Sequence[Finding],
    observation: Observation,
    before: Look | None,
    now: datetime,
    told: int = 0,
) -> dict[str, Any]:
    """What is kept of a look, as JSON. `before` is the last one: until when a certificate is valid is still
    true where it cannot be seen now, and so is what it kept for `forecast`. `told` is the newest line that
    hosts have told of runs elsewhere."""
    counts = dict.fromkeys(("drifted", "pending", "unseen", "expiring", "acknowledged"), 0)
    for each in found:
        counts["acknowledged" if each.acknowledged else each.verdict] += 1
    times = _times(environment, observation, now)
    # One that was seen not to be there is not one that could not be seen.
    hidden = times is None and verify.is_issued(environment, observation) is not False
    if hidden and before is not None and environment.owns_certificate:
        times = before.certificate
    certificate = times and {
        "end": times.end.isoformat(),
        "lifetime": times.lifetime.total_seconds(),
        "renewal": times.renewal.isoformat(),
        "seen": times.seen.isoformat(),
    }
    kept = {
        **(before.kept if before else {}),
        **kept_of(environment, observation),
    }
    return {
        "counts": counts,
        "digests": digests(environment),
        "certificate": certificate,
        "told": told,
        "kept": kept,
    }


def _times(environment: Environment, observation: Observation, now: datetime) -> CertificateTimes | None:
    if not environment.owns_certificate:
        return None
    served = [
        (each.end, each.begin)
        for each in of_certificate(own(environment), observation)
        if each.own and each.end is not None
    ]
    if not served:
        return None
    end, begin = min(served, key=lambda pair: pair[0])
    lifetime = timedelta(days=environment.certificate.days)
    if begin is not None and begin < end:
        lifetime = end - begin
    # cron renews the lineage on the primary, which may be newer than what is served.
    lineage = own(environment).lineage
    renewal = usual_renewal(expiries(observation.seen).get(lineage, end), lifetime)
    return CertificateTimes(end=end, lifetime=lifetime, renewal=renewal, seen=now)


def usual_renewal(end: datetime, lifetime: timedelta) -> datetime:
    """When certbot renews a certificate that ends then, unless the CA asks for it earlier (certbot 4.0.0,
    changelog)."""
    return end - lifetime * (1 / 2 if lifetime < timedelta(days=10) else 1 / 3)


def look_from(kept: tuple[str, int, Mapping[str, Any]] | None) -> Look | None:
    """The look that the journal keeps; None where there is none, or it cannot be read."""
    if kept is None:
        return None
    at, entry, body = kept
    with suppress(LookupError, TypeError, ValueError, AttributeError, OverflowError):
        counts = {name: int(number) for name, number in body["counts"].items()}
        certificate = body["certificate"]
        return Look(
            at=utc(at),
            entry=entry,
            counts={name: counts[name] for name in ("drifted", "pending", "unseen", "acknowledged")},
            digests={str(name): str(digest) for name, digest in body["digests"].items()},
            certificate=None if certificate is None else _times_from(certificate),
            told=int(body.get("told", 0)),
            kept={str(name): str(value) for name, value in body.get("kept", {}).items()},
        )
    return None


def _times_from(body: Mapping[str, Any]) -> CertificateTimes:
    lifetime = timedelta(seconds=body["lifetime"])
    if lifetime <= timedelta():
        raise ValueError("lifetime")
    end, renewal, seen = (utc(body[name]) for name in ("end", "renewal", "seen"))
    return CertificateTimes(end=end, lifetime=lifetime, renewal=renewal, seen=seen)


def last_run(entries: Sequence[JournalEntry], *, alive: bool) -> LastRun | None:
    """The run of these entries (all of one run); None where they do not begin one."""
    begin = next((each for each in entries if each.what == "begin"), None)
    end = next((each for each in entries if each.what == "end"), None)
    if begin is None:
        return None
    code = end.body.get("code") if end else None
    return LastRun(
        number=begin.run,
        command=str(begin.body.get("command")),
        who=str(begin.body.get("who")).partition(" (")[0],  # its process and since when are for a lock
        began=utc(begin.at),
        ended=utc(end.at) if end else None,
        code=code if isinstance(code, int) else None,
        alive=alive and end is None,
    )


# What follows from it


def environment_status(
    environment: Environment,
    look: Look | None,
    run: LastRun | None,
    later: Sequence[JournalEntry],
    *,
    now: datetime,
    oldest: timedelta,
    elsewhere: Sequence[RunElsewhere] = (),
    told: Sequence[RunElsewhere] = (),
) -> EnvironmentStatus:
    """What is known. `later` are the entries of runs that are newer than the look, and `oldest` is the age
    from which a look says nothing of today. `elsewhere` are the runs of other machines, and `told` those of
    which a host has told since the look."""
    state, reason = "unknown", f"no look is recorded here: `reconcile drift {environment.file}` looks"
    if look is not None:
        state, reason = _seen(look)
        doubt = _doubt(environment, look, run, later, now, oldest)
        if not doubt and told:
            doubt = f"run {told[-1].run} by {told[-1].machine} became known after the last look"
        if doubt:
            state, reason = "unknown", f"{doubt}; it was {state} then"
    reason = "; ".join(filter(None, (reason, *_of_second_ca(environment, look))))
    owns = environment.owns_certificate
    return EnvironmentStatus(
        environment=environment.name,
        file=environment.file,
        state=state,
        reason=reason,
        look=look,
        owns=owns,
        certificate=look.certificate if look and owns else None,
        overdue=environment.certificate.overdue / 100,
        run=run,
        elsewhere=elsewhere[-1] if elsewhere else None,
        router=environment.router,
        brought=_brought(environment, look),
    )


def _of_second_ca(environment: Environment, look: Look | None) -> Iterable[str]:
    """The certificates that the last look saw to be of a second CA."""
    for each in managed(environment) if look and environment.owns_certificate else ():
        by = look.kept.get(f"{BY} {each.store.name}".strip()) if look else None
        second = each.settings.fallback
        if second and by == second.server:
            yield f"{'the certificate' if each.is_own else each.name} is of the second CA, {by}"


def _brought(environment: Environment, look: Look | None) -> list[BroughtEnd]:
    found = brought_ends(environment, look.kept if look else {})
    return [
        BroughtEnd(name=each.name, end=found[each.name], warn=timedelta(days=each.warn))
        for each in environment.certificates
    ] + _ordered(environment, look)


def _ordered(environment: Environment, look: Look | None) -> list[BroughtEnd]:
    kept = look.kept if look else {}
    found, lifetimes = ordered_ends(environment, kept), ordered_lifetimes(environment, kept)
    return [
        BroughtEnd(
            name=each.name,
            end=found[each.name],
            warn=lifetimes[each.name] * (each.settings.overdue / 100),
            ordered=True,
        )
        for each in environment.ordered
    ]


def _seen(look: Look) -> tuple[str, str]:
    counts = {name: number for name, number in look.counts.items() if number}
    reason = ", ".join(f"{number} {name}" for name, number in counts.items())
    if "drifted" in counts:
        return "drifted", reason
    if "pending" in counts:
        return "pending", reason
    return ("unknown", f"{reason}: not all could be looked at") if "unseen" in counts else ("in sync", reason)


def _doubt(
    environment: Environment,
    look: Look,
    run: LastRun | None,
    later: Sequence[JournalEntry],
    now: datetime,
    oldest: timedelta,
) -> str | None:
    """Why the look may not describe the hosts any more; None where nothing says so."""
    nothing_done = {each.run for each in later if each.what == "end" and each.body.get("code") in UNCHANGED}
    # An interrupted run is closed by the next command, which changes nothing itself.
    acting = [
        each.run
        for each in later
        if each.run not in nothing_done and not (each.what == "end" and each.body.get("code") is None)
    ]
    if acting:
        newest = acting[-1]
        how = run.result if run is not None and run.number == newest else "went on"
        return f"run {newest} was after the last look ({how})"
    current = digests(environment)
    if current != look.digests:
        named = {name for name in {*current, *look.digests} if current.get(name) != look.digests.get(name)}
        changed = ", ".join(sorted(name or environment.file for name in named))
        return f"{changed} changed after the last look"
    if look.at > now + AHEAD:
        return "the last look is dated in the future, so a clock is wrong"
    if now - look.at > oldest:
        return "the last look is too old"
    over = [each for each in environment.acknowledged if look.at <= last_moment(each) < now]
    if look.counts["acknowledged"] and over:
        return "drift was acknowledged until then, and counts again"
    return None


def mark_ambiguous(found: Sequence[EnvironmentStatus]) -> list[EnvironmentStatus]:
    """The same; where two files declare one name, both are unknown, for the journal goes by the name."""
    count = Counter(each.environment for each in found)
    return [
        replace(
            each,
            ambiguous=True,
            state="unknown",
            reason=f"{each.reason or each.state}; {count[each.environment]} files declare `environment:"
            f" {each.environment}`, and the journal cannot tell them apart: give each its own",
        )
        if count[each.environment] > 1
        else each
        for each in found
    ]
