"""Whether every service that uses a brought certificate shows its clients the one on its host's disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from reconciler import x509
from reconciler.blueprint import brought as blueprint
from reconciler.environment.brought import Brought
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.brought import BroughtCertificate
from reconciler.kinds.certificate.brought_serving import BroughtServing
from reconciler.kinds.certificate.serving import TlsService
from reconciler.model import Observation, Ref
from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer
from reconciler.tls.verify import INSIDE, Check

KINDS = (BroughtCertificate.kind, BroughtServing.kind)
"""What has to be looked at to know what is on disk, and what the hosts see themselves."""


def endpoints(environment: Environment) -> dict[Endpoint, Brought]:
    """Every service of every host that uses one, under each of its names."""
    return {
        Endpoint(host.name, host.address or host.name, each.service, each.port, each.protocol, name): brought
        for host, brought, each in _services(environment)
        for name in each.names
    }


def _services(environment: Environment) -> Iterator[tuple[Host, Brought, TlsService]]:
    for host in environment.hosts:
        for brought in environment.certificates_on(host):
            for each in blueprint.endpoints(environment, host, brought):
                yield host, brought, each


def _on_disk(host: str, brought: Brought, observation: Observation) -> str | None:
    """The leaf that should be served; None where it is not good, or was not seen."""
    seen = observation.seen.get(Ref(host, BroughtCertificate.kind, brought.name))
    return str(seen["release"]) if isinstance(seen, Mapping) and seen.get("good") is True else None


def outside(
    asked: Mapping[Endpoint, Brought],
    answers: Mapping[Endpoint, TlsAnswer | NoHandshake],
    observation: Observation,
    now: datetime,
) -> Iterable[Check]:
    """Judges the answers of the services."""
    for endpoint, answer in answers.items():
        if isinstance(answer, NoHandshake):
            yield Check(endpoint, "outside", "wrong", answer.reason)
            continue
        try:
            chain = x509.chain_der(answer.chain)
        except x509.Unreadable as error:
            yield Check(endpoint, "outside", "wrong", f"what it presents is not a certificate: {error}")
            continue
        begins, expires = (each.isoformat(timespec="minutes") for each in x509.window(chain[0]))
        brought = asked[endpoint]
        wanted = _on_disk(endpoint.host, brought, observation)
        why_not = x509.why_not_from(chain, brought.trusted, now)
        lacking = [name for name in brought.names if not x509.carries(chain[0], name)]
        if why_not or lacking:
            detail = why_not or f"it does not carry {', '.join(lacking)}"
            yield Check(endpoint, "outside", "wrong", detail, expires, begins)
            continue
        verdict, detail = _judged(x509.identity(chain[:1]), wanted, brought)
        yield Check(endpoint, "outside", verdict, detail, expires, begins)


def _judged(shown: str, wanted: str | None, brought: Brought) -> tuple[str, str]:
    if wanted is None:
        return "unknown", f"it serves {shown}; what is in {brought.file} is no good, or was not seen"
    if shown == wanted:
        return "ok", f"it serves {shown}"
    return "wrong", f"it serves {shown}, but {wanted} is in {brought.file}"


def inside(environment: Environment, observation: Observation) -> Iterable[Check]:
    """Judges what each host saw when it asked its own services."""
    for host, brought, each in _services(environment):
        endpoint = Endpoint(host.name, "127.0.0.1", each.service, each.port, each.protocol, None)
        seen = observation.seen.get(Ref(host.name, BroughtServing.kind, brought.name))
        if not isinstance(seen, Mapping):
            hidden = str(getattr(seen, "reason", "it was not looked at"))
            yield Check(endpoint, INSIDE, "unknown", observation.unreachable.get(host.name, hidden))
            continue
        verdict, detail = _judged(
            str(seen.get(each.label)), _on_disk(host.name, brought, observation), brought
        )
        yield Check(endpoint, INSIDE, verdict, detail)
