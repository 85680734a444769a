"""What each service of each host serves, and until when, from what was seen. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.blueprint.managed import Managed, managed
from reconciler.blueprint.rollout import endpoints
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.serving import TlsService
from reconciler.model import Observation, Value
from reconciler.tls import verify
from reconciler.tls.verify import INSIDE, Check

RELEASE = re.compile(r"\b[0-9a-f]{32}\b")


@dataclass(frozen=True)
class ServiceStatus:
    """What one service of one host shows. `detail` says so in words; `release` is None where it
    is not one release under all names. `as_wanted` is None where that cannot be judged; `own` says whether
    the certificate is the environment's, and no other that a service happens to have."""

    host: str
    service: str
    port: int
    detail: str
    release: str | None = None
    names: tuple[str, ...] = ()
    begin: datetime | None = None
    end: datetime | None = None
    as_wanted: bool | None = None
    own: bool = False


def from_observation(environment: Environment, sight: Observation) -> list[ServiceStatus]:
    """What the hosts saw when they asked their own services, in the order of the file."""
    if not environment.owns_certificate:
        return []
    return [found for each in managed(environment) for found in of_certificate(each, sight)]


def of_certificate(each: Managed, sight: Observation) -> list[ServiceStatus]:
    """The same of the services that use one of the certificates that are ordered."""
    wanted = verify.wanted(each.env, sight, each)
    return [
        _from_inside(each, host, service, sight, wanted)
        for host in each.hosts
        for service in endpoints(each, host)
    ]


def _from_inside(
    certificate: Managed, on: Host, of: TlsService, sight: Observation, wanted: str | None
) -> ServiceStatus:
    host, service, port = on.name, of.service, of.port
    if host in sight.unreachable:
        return ServiceStatus(host, service, port, sight.unreachable[host])
    state = sight.seen.get(certificate.serving(on))
    if not isinstance(state, Mapping):
        return ServiceStatus(host, service, port, getattr(state, "reason", "it was not looked at"))
    detail = str(state.get(of.label))
    shown = RELEASE.findall(detail)
    one = detail if shown == [detail] else None
    own = [each for each in shown if each == wanted or certificate.names[0] in _names(state, each)]
    ends = [(moment(state.get(f"end of {each}")), each) for each in own or shown]
    # Of several, the one that ends first is what somebody has to care about.
    end, first = min(((end, each) for end, each in ends if end), default=(None, ""))
    return ServiceStatus(
        host, service, port, detail, one,
        names=_names(state, first),
        begin=moment(state.get(f"begin of {first}")),
        end=end,
        as_wanted=None if wanted is None else one == wanted,
        own=bool(own),
    )  # fmt: skip


def _names(state: Mapping[str, Value], release: str) -> tuple[str, ...]:
    return tuple(str(state.get(f"names of {release}") or "").split())


def moment(text: Value) -> datetime | None:
    """The time in a text of ISO 8601, in UTC; None where it is none."""
    try:
        return utc(str(text))
    except ValueError:
        return None


def utc(text: str) -> datetime:
    """The time in a text of ISO 8601, in UTC; without a zone it is one in UTC. Raises `ValueError`."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def urgency(left: float, overdue: float) -> str:
    """How bad it is that this fraction of a certificate's lifetime is left: `ok`, `warn` where it is below
    `overdue`, and a renewal so, `bad` where it is over soon."""
    return "ok" if left >= overdue else "warn" if left >= overdue / 3 else "bad"


def from_checks(checks: Iterable[Check]) -> list[ServiceStatus]:
    """What clients were shown from outside: of each service the worst, and what ends first."""
    groups: dict[tuple[str, str, int], list[Check]] = {}
    for each in checks:
        if each.seen_from != INSIDE:
            groups.setdefault((each.endpoint.host, each.endpoint.service, each.endpoint.port), []).append(
                each
            )
    return [_from_outside(*where, group) for where, group in groups.items()]


def _from_outside(host: str, service: str, port: int, group: Sequence[Check]) -> ServiceStatus:
    verdicts = {each.verdict for each in group}
    worst = next((each for each in group if each.verdict != "ok"), group[0])
    ends = [(end, each) for each in group if (end := moment(each.expires))]
    end, first = min(ends, key=lambda pair: pair[0], default=(None, worst))
    return ServiceStatus(
        host, service, port, worst.detail,
        begin=moment(first.begins),
        end=end,
        as_wanted=False if "wrong" in verdicts else None if "unknown" in verdicts else True,
    )  # fmt: skip


def proven(served: Iterable[ServiceStatus]) -> set[str]:
    """The hosts all of whose services were just seen to serve the desired certificate."""
    found: dict[str, bool] = {}
    for each in served:
        found[each.host] = found.get(each.host, True) and each.as_wanted is True
    return {host for host, is_so in found.items() if is_so}
