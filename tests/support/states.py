"""States of a fleet for the page, from all well to a rollout that stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from reconciler.blueprint import resources as blueprint_resources
from reconciler.environment.load import load
from reconciler.environment.settings import Environment
from reconciler.model import Observation, Ref, Resource, Seen, Value
from reconciler.monitor.findings import want_digest
from reconciler.monitor.status import LastRun, look_body, look_from
from reconciler.output.documents.observation import observation_from, read_observation
from reconciler.output.html import Event, Facts, Frame
from reconciler.output.html.past import Kept, facts_from
from reconciler.plan.order import edges, ordered
from reconciler.plan.planner import plan
from reconciler.tls import verify
from reconciler.tls.endpoint import Endpoint
from reconciler.tls.verify import Check
from tests import CASES

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OLD, NEW = "3b9d0c4471fe6a25" * 2, "9f3c5a7d1e2b4c60" * 2
UCSB, ORC, UNM = (f"cn-stage-{name}-1.test.dataone.org" for name in ("ucsb", "orc", "unm"))
ROUTER = "cn-stage.test.dataone.org"
DOWN = "it does not answer on port 22 within 30 s; is it up?"
SNAKEOIL = "5a54469e92151937"
FRAME = Frame(made=NOW, again="reconcile report stage -o stage.html")
NOTHING = Kept()
VHOST = "/etc/apache2/sites-available/cn-port80.conf"


@cache
def environment() -> Environment:
    return load(CASES / "page" / "fleet.yaml")


@cache
def resources() -> tuple[Resource, ...]:
    return tuple(blueprint_resources(environment()))


class _Wishes:
    """What a resource is told of others while everything is as desired."""

    def __init__(self, ref: Ref, seen: dict[Ref, Seen], release: str) -> None:
        self.ref, self.seen, self.release = ref, seen, release

    def own(self) -> Any:
        return self.seen.get(self.ref)

    def is_unreachable(self, host: str) -> bool:
        return False

    def value(self, ref: Ref, name: str) -> Value:
        found = self.seen.get(ref)
        value = found.get(name) if isinstance(found, dict) else None
        return self.release if name == "release" else value or f"ssh-ed25519 {name} of {ref.host}"


def as_declared(release: str = NEW) -> dict[Ref, Seen]:
    """What is seen of a fleet that is as declared and serves a release."""
    seen: dict[Ref, Any] = {}
    by_ref = {each.ref: each for each in resources()}
    for ref in ordered(edges(resources())):
        want = by_ref[ref].want(_Wishes(ref, seen, release))  # type: ignore[arg-type]
        seen[ref] = None if want is None else dict(want)
    seen[Ref(UCSB, "certificate", ROUTER)] |= {"release": release, "fresh": True}
    for host in (UCSB, ORC, UNM):
        serving(seen, host, release)
    # What is not there yet (a key pair's public half) is made up where it is asked for first.
    pending = plan("stage", resources(), seen, {}).actions
    for action in pending:
        state = seen[action.ref]
        assert isinstance(state, dict), action
        state |= {delta.field: delta.want for delta in action.deltas}
    return seen


def serving(seen: dict[Ref, Any], host: str, release: str, left: float | None = None) -> None:
    """From now on, a host serves a release on all ports."""
    left = left if left is not None else {OLD: 27.0, NEW: 89.4}.get(release, 1.0)
    end = NOW + timedelta(days=left)
    names = " ".join(sorted(environment().names))
    state = seen[Ref(host, "serving", ROUTER)]
    state |= dict.fromkeys(("current", "proven", "apache on 443", "postgresql on 5432"), release)
    state |= {"tomcat on 8443": release, f"end of {release}": end.isoformat(timespec="minutes")}
    (outside,) = (ref for ref in seen if ref.kind == "outside" and ref.name == host)
    seen[outside] = {label: release for label in state if " on " in label} | {"port 80": "answers"}
    state |= {f"begin of {release}": (end - timedelta(days=90)).isoformat(), f"names of {release}": names}


def well() -> Observation:
    return Observation(dict(as_declared()))


def drifted() -> Observation:
    """Somebody was at one host, and another is down."""
    seen: dict[Ref, Any] = dict(as_declared(OLD))
    seen[Ref(ORC, "property", "/etc/dataone/node.properties environment.hosts")]["value"] = f"{UCSB} {ORC}"
    vhost = seen[Ref(ORC, "file", VHOST)]
    wanted = next(each for each in resources() if each.ref == Ref(ORC, "file", VHOST))
    text = str(wanted.content).replace("RedirectMatch permanent", "RedirectMatch temp")  # type: ignore[attr-defined]
    vhost |= {"content": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", "text": text}
    for ref in [ref for ref in seen if ref.host == UNM]:
        del seen[ref]
    return Observation(seen, {UNM: DOWN})


def stopped() -> Observation:
    """A new release is on one host; the second has gone back to the old one, and the third waits."""
    seen: dict[Ref, Any] = dict(as_declared(NEW))
    for host in (UNM, UCSB):
        serving(seen, host, OLD)
    return Observation(seen)


def events(*rows: tuple[float, str, str, str]) -> tuple[Event, ...]:
    """Made events: hours ago, what, detail, result."""
    return tuple(
        Event(NOW - timedelta(hours=ago), what, detail, result) for ago, what, detail, result in rows
    )


QUIET = events(
    (1, "drift", "3 hosts, nothing to do", "in sync"),
    (13.5, "renewal", f"{NEW} was issued for 4 names", "done"),
    (13.2, "apply", "12 actions on 3 hosts; every service proven", "done"),
    (25, "drift", "3 hosts, nothing to do", "in sync"),
)
FOUND = (
    *events((0.2, "drift", f"{ORC}: 3 actions pending; {UNM} could not be looked at", "drift")),
    *QUIET[2:],
)
STOPPED = (
    *(
        Event(NOW - timedelta(minutes=at), "apply", "2 actions", how, idle=True)
        for at, how in ((1, "locked"), (2, "stale"), (3, "locked"))
    ),
    *events(
        (
            0.1,
            "apply",
            f"{UNM} serving: postgresql on 5432 refused the handshake; {OLD} was put back",
            "failed",
        ),
        (0.5, "renewal", f"{NEW} was issued for 4 names", "done"),
    ),
    *QUIET[3:],
)


def facts(
    sight: Observation,
    happened: tuple[Event, ...] = (),
    *,
    asked: bool = True,
    kept: Kept = NOTHING,
    env: Environment | None = None,
    declared: Sequence[Resource] = (),
    frame: Frame = FRAME,
) -> Facts:
    """The facts about what was seen; `asked`: verify's checks from the hosts are among them."""
    env, declared = env or environment(), declared or resources()
    release = verify.wanted(env, sight)
    checks = list(verify.inside(env, sight, release)) if asked else None
    made = plan(env.name, declared, sight.seen, sight.unreachable)
    told = facts_from(env, made, sight, kept, frame, checks=checks)
    return replace(told, events=happened)


def settled() -> Kept:
    """The journal of a fleet that was as declared: what is otherwise now has drifted since."""
    wants = plan("stage", resources(), as_declared(OLD), {}).wants
    known = {str(ref): want_digest(want) for ref, want in wants.items()}
    found = facts(drifted(), kept=Kept(settled=known)).findings
    return Kept(settled=known, since=dict.fromkeys((each.id for each in found), NOW - timedelta(hours=3)))


def bare() -> Facts:
    """Three hosts on which nothing was set up yet; PostgreSQL has the certificate that Debian gives it."""
    env = load(CASES / "screens" / "lab.yaml")
    text = (CASES / "screens" / "bare.json").read_text(encoding="utf-8")
    # They were observed when the names of releases were half as long.
    text = text.replace(SNAKEOIL, SNAKEOIL * 2)
    sight = observation_from(read_observation(json.loads(text)))
    declared = blueprint_resources(env)
    seen = {each.ref: sight.seen.get(each.ref) for each in declared}
    return facts(
        Observation(seen),
        env=env,
        declared=declared,
        frame=replace(FRAME, made=datetime(2026, 11, 25, 4, 29, tzinfo=UTC)),
    )


def away() -> Facts:
    """One host is down, and the others are as declared."""
    sight = well()
    for ref in [ref for ref in sight.seen if ref.host == UNM]:
        del sight.seen[ref]
    sight.unreachable[UNM] = DOWN
    return facts(sight, QUIET)


def blind() -> Facts:
    """Our own file of pinned host keys is missing, so that no host was looked at; yesterday all was well."""
    why = "the pinned host keys in known_hosts cannot be read (No such file or directory); see `ssh.known_hosts`"
    sight = Observation({}, dict.fromkeys((UCSB, ORC, UNM), why))
    begin = NOW - timedelta(hours=20)
    body = look_body(environment(), (), well(), None, begin)
    asked = [
        Check(Endpoint(host, host, "apache", 443, "tls", host), "outside", "wrong", "its name does not resolve")
        for host in (UCSB, ORC, UNM)
    ]  # fmt: skip
    told = facts(sight, QUIET, kept=Kept(look=look_from((begin.isoformat(), 0, body))))
    return replace(told, checks=[*asked, *(told.checks or ())])


FAILED = LastRun(
    number=12, command="apply", who="ada", began=NOW - timedelta(hours=0.1), ended=NOW, code=4, alive=False
)
STATES = {
    "well": lambda: facts(well(), QUIET),
    "drift": lambda: facts(drifted(), FOUND, kept=settled()),
    "bare": bare,
    "away": away,
    "blind": blind,
    "stopped": lambda: facts(stopped(), STOPPED, kept=Kept(run=FAILED)),
}
