"""S16: whether every service of every host shows its clients what was issued.

From outside, as a client sees it, and from each host itself: what a service presents in a
handshake that was completed, leaf and chain, against the lineage on the primary. Each function is about one
of the certificates that are ordered: the environment's own, or another (`of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler import x509
from reconciler.blueprint.managed import Managed, own
from reconciler.blueprint.rollout import endpoints as blueprint_endpoints
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate import compromised
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.pair import is_good
from reconciler.kinds.certificate.serving import Serving
from reconciler.model import CannotSee, Observation
from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer
from reconciler.tls.names import NameCheck

INSIDE = "the host itself"
UNSEEN = CannotSee("it was not looked at")

KINDS = (Lineage.kind, Serving.kind)
"""What has to be looked at to know what is desired, and what the hosts see themselves."""


@dataclass(frozen=True)
class Check:
    """What was found at an endpoint. `verdict` is `ok`, `wrong` or `unknown`; `seen_from` is
    `outside` or `INSIDE`; `begins` and `expires` are times of ISO 8601 to the minute."""

    endpoint: Endpoint
    seen_from: str
    verdict: str
    detail: str
    expires: str | None = None
    begins: str | None = None


def endpoints(environment: Environment, of: Managed | None = None) -> list[Endpoint]:
    """Every service of every host that uses it, under every name that clients use."""
    of = of or own(environment)
    return [
        Endpoint(host.name, host.address or host.name, each.service, each.port, each.protocol, name, each.key)
        for host in of.hosts
        for each in blueprint_endpoints(of, host)
        for name in each.names
    ]


ANOTHER_KEY = "no certificate with another key"
"""In place of a release: what was issued while the key of the lineage is declared compromised."""


def wanted(environment: Environment, sight: Observation, of: Managed | None = None) -> str | None:
    """The release that all should serve: the lineage's; None where it is not good or not seen, and
    `ANOTHER_KEY` where it is compromised, so that nothing serves what it should."""
    of = of or own(environment)
    seen = sight.seen.get(of.lineage)
    if not isinstance(seen, Mapping) or not is_good(seen, of.trust):
        return None
    if seen.get(compromised.FIELD) is True:
        return ANOTHER_KEY
    return str(seen["release"])


def is_issued(environment: Environment, sight: Observation) -> bool | None:
    """Whether the primary has the environment's own certificate, good or not; None: not seen."""
    seen = sight.seen.get(own(environment).lineage, UNSEEN)
    if isinstance(seen, CannotSee) or environment.primary.name in sight.unreachable:
        return None
    return seen is not None and (seen.get("lineage") != "absent" or seen.get("release") != "none")


def outside(
    environment: Environment,
    answers: Mapping[Endpoint, TlsAnswer | NoHandshake],
    release: str | None,
    now: datetime,
    of: Managed | None = None,
) -> Iterable[Check]:
    """Judges the answers of the services, against the release that was issued (None: unknown)."""
    of = of or own(environment)
    for endpoint, answer in answers.items():
        if isinstance(answer, NoHandshake):
            yield Check(endpoint, "outside", "wrong", answer.reason)
        else:
            yield _check_outside(of, endpoint, answer, release, now)


def _check_outside(
    of: Managed, endpoint: Endpoint, answer: TlsAnswer, release: str | None, now: datetime
) -> Check:
    def check(verdict: str, detail: str) -> Check:
        return Check(endpoint, "outside", verdict, detail, expires, begins)

    begins = expires = None
    try:
        chain = x509.chain_der(answer.chain)
    except x509.Unreadable as error:
        return check("wrong", f"what it presents is not a certificate: {error}")
    begins, expires = (each.isoformat(timespec="minutes") for each in x509.window(chain[0]))
    for name in (each.replace("*", "any", 1) for each in of.names):
        why_not = x509.why_not_trusted(chain, of.settings.anchors, name, now)
        if why_not:
            return check("wrong", why_not)
    ping = of.settings.ping
    if ping and endpoint.port == 443 and answer.ping != 200:
        return check("wrong", f"{ping} answers {answer.ping or 'nothing'}, not 200")
    identity = x509.identity(chain)
    if release is None:
        return check(
            "unknown", f"it serves {identity}; what it should serve cannot be determined on the primary"
        )
    if identity != release:
        return check("wrong", f"it serves {identity}, but {release} was issued")
    return check("ok", f"it serves {identity}")


def inside(
    environment: Environment, sight: Observation, release: str | None, of: Managed | None = None
) -> Iterable[Check]:
    """Judges what each host saw when it asked its own services."""
    of = of or own(environment)
    for host in of.hosts:
        for each in blueprint_endpoints(of, host):
            endpoint = Endpoint(host.name, "127.0.0.1", each.service, each.port, each.protocol, None)
            yield _check_inside(endpoint, _observed(of, host, sight), each.label, release)


def _observed(of: Managed, host: Host, sight: Observation) -> Mapping[str, object] | str:
    if host.name in sight.unreachable:
        return sight.unreachable[host.name]
    seen = sight.seen.get(of.serving(host))
    return seen if isinstance(seen, Mapping) else getattr(seen, "reason", "it was not looked at")


def _check_inside(
    endpoint: Endpoint, seen: Mapping[str, object] | str, label: str, release: str | None
) -> Check:
    if isinstance(seen, str):
        return Check(endpoint, INSIDE, "unknown", seen)
    found = str(seen.get(label))
    if release is None:
        return Check(
            endpoint, INSIDE, "unknown", f"it serves {found}; what it should serve cannot be determined"
        )
    if found == release:
        return Check(endpoint, INSIDE, "ok", f"it serves {found}")
    return Check(endpoint, INSIDE, "wrong", f"{found}, but {release} was issued")


def summary(environment: Environment, checks: Sequence[Check], names: Sequence[NameCheck] = ()) -> str:
    """The last line of the output: how many checks, and how many of them failed."""
    verdicts = [each.verdict for each in checks] + [each.verdict for each in names]
    wrong, unknown, bare = (verdicts.count(verdict) for verdict in ("wrong", "unknown", "open"))
    if wrong or unknown:
        return f"Verified: {len(verdicts)} checks, {wrong} wrong, {unknown} could not be judged."
    whole = f"Verified: {len(verdicts)} checks of {environment.name}"
    return f"{whole}, none wrong; names not bound by CAA: {bare}." if bare else f"{whole}, all as desired."
