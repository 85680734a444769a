"""S16: whether every service of every host shows its clients what was issued.

From outside, as a client sees it, and from each host itself: what a service presents in a
handshake that was completed, leaf and chain, against the lineage on the primary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from reconciler import x509
from reconciler.blueprint.certificate import endpoints as blueprint_endpoints
from reconciler.blueprint.certificate import trust
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.pair import is_good
from reconciler.kinds.certificate.serving import Serving
from reconciler.model import Observation, Ref

INSIDE = "the host itself"

KINDS = (Lineage.kind, Serving.kind)
"""What has to be looked at to know what is wanted, and what the hosts see themselves."""


class ShownProtocol(Protocol):
    """What was shown in a handshake: `handshake.ShownProtocol`."""

    @property
    def chain(self) -> tuple[bytes, ...]: ...
    @property
    def ping(self) -> int | None: ...


@dataclass(frozen=True)
class Asked:
    """One question to one service: over which address, under which name (None: without)."""

    host: str
    address: str
    service: str
    port: int
    protocol: Literal["tls", "postgresql"]
    name: str | None


@dataclass(frozen=True)
class Check:
    """The answer. `verdict` is `ok`, `wrong` or `unknown`; `seen_from` is where it was asked."""

    asked: Asked
    seen_from: str
    verdict: str
    detail: str
    expires: str | None = None
    begins: str | None = None


def questions(environment: Environment) -> list[Asked]:
    """Every host × service × name."""
    return [
        Asked(host.name, host.address or host.name, each.service, each.port, each.protocol, name)
        for host in environment.hosts
        for each in blueprint_endpoints(environment, host)
        for name in each.names
    ]


def wanted(environment: Environment, sight: Observation) -> str | None:
    """The release that all shall show: the lineage's, if it is good and could be seen."""
    seen = sight.seen.get(Ref(environment.primary.name, Lineage.kind, environment.router))
    if not isinstance(seen, Mapping) or not is_good(seen, trust(environment)):
        return None
    return str(seen["release"])


def outside(
    environment: Environment,
    answers: Mapping[Asked, ShownProtocol | Exception],
    release: str | None,
    now: datetime,
) -> Iterable[Check]:
    """What the answers of the services come to."""
    for asked, shown in answers.items():
        if isinstance(shown, Exception):
            yield Check(asked, "outside", "wrong", str(shown))
        else:
            yield _judged(environment, asked, shown, release, now)


def _judged(
    environment: Environment, asked: Asked, shown: ShownProtocol, release: str | None, now: datetime
) -> Check:
    def check(verdict: str, detail: str) -> Check:
        return Check(asked, "outside", verdict, detail, expires, begins)

    begins = expires = None
    try:
        chain = x509.chain_der(shown.chain)
    except x509.Unreadable as error:
        return check("wrong", f"what it presents is no certificate: {error}")
    begins, expires = (each.isoformat(timespec="minutes") for each in x509.window(chain[0]))
    for name in environment.names:
        why_not = x509.why_not_trusted(chain, environment.certificate.trusted, name, now)
        if why_not:
            return check("wrong", why_not)
    ping = environment.certificate.ping
    if ping and asked.port == 443 and shown.ping != 200:
        return check("wrong", f"{ping} answers {shown.ping or 'nothing'}, not 200")
    identity = x509.identity(chain)
    if release is None:
        return check("unknown", f"it serves {identity}; what it should serve cannot be seen on the primary")
    if identity != release:
        return check("wrong", f"it serves {identity}, and {release} was issued")
    return check("ok", f"it serves {identity}")


def inside(environment: Environment, sight: Observation, release: str | None) -> Iterable[Check]:
    """What each host saw when it asked its own services."""
    for host in environment.hosts:
        for each in blueprint_endpoints(environment, host):
            asked = Asked(host.name, "127.0.0.1", each.service, each.port, each.protocol, None)
            yield _inside(asked, _seen(environment, host, sight), each.label, release)


def _seen(environment: Environment, host: Host, sight: Observation) -> Mapping[str, object] | str:
    if host.name in sight.unreachable:
        return sight.unreachable[host.name]
    seen = sight.seen.get(Ref(host.name, Serving.kind, environment.router))
    return seen if isinstance(seen, Mapping) else getattr(seen, "reason", "it was not looked at")


def _inside(asked: Asked, seen: Mapping[str, object] | str, label: str, release: str | None) -> Check:
    if isinstance(seen, str):
        return Check(asked, INSIDE, "unknown", seen)
    found = str(seen.get(label))
    if release is None:
        return Check(asked, INSIDE, "unknown", f"it serves {found}; what it should serve cannot be seen")
    if found == release:
        return Check(asked, INSIDE, "ok", f"it serves {found}")
    return Check(asked, INSIDE, "wrong", f"{found}, and {release} was issued")


def summary(environment: Environment, checks: Sequence[Check]) -> str:
    """The last line: what it comes to."""
    count = {verdict: sum(each.verdict == verdict for each in checks) for verdict in ("wrong", "unknown")}
    if not any(count.values()):
        return f"Verified: {len(checks)} checks of {environment.name}, all as wanted."
    return f"Verified: {len(checks)} checks, {count['wrong']} wrong, {count['unknown']} could not be judged."
