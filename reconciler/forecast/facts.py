"""What the rules of a forecast ask of an environment: its file, and what the last look has kept. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from reconciler import x509
from reconciler.approval.policy import expiries, lifetimes
from reconciler.blueprint.managed import Managed, managed
from reconciler.environment.certificate import LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Certificate
from reconciler.environment.ordered import Ordered
from reconciler.environment.services import Services
from reconciler.environment.settings import Environment
from reconciler.kinds.certificate.brought import BroughtCertificate, ends
from reconciler.kinds.certificate.ordering import BY
from reconciler.kinds.package import Package
from reconciler.model import Observation, Ref
from reconciler.tls.status import moment, of_certificate

KEPT: Mapping[str, str] = {
    "certbot": "which version of certbot is installed",
    "anchor": "to which root the chain in use leads",
    "usages": "what the certificate in use may be used for",
}
"""What a look keeps for rules (text), and how it is called where it is not known."""
WHOLE_LIFETIME = "until when the certificate in use is valid"
CLASSIC_IS_45 = date(2028, 2, 16)
"""From then on Let's Encrypt's default profile has the lifetime of `tlsserver` (45 days)."""


class NotKnown(Exception):
    """What a rule needs is not known on this machine; the message names it."""


@dataclass(frozen=True, kw_only=True)
class ForecastFacts:
    """All that is known of an environment without contacting a host.

    `kept` holds what the last look has kept (see `KEPT`), `end` and `renewal` are those of the certificate
    that is served and ends first. What is not known raises `NotKnown` when it is asked for.
    """

    environment: Environment
    now: datetime
    kept: Mapping[str, str] = field(default_factory=dict)
    end: datetime | None = None
    renewal: datetime | None = None
    further: Mapping[str, ForecastFacts] = field(default_factory=dict)
    """The same of each further certificate that is ordered, by its name; see `as_environment`."""

    @property
    def certificate(self) -> Certificate:
        """The settings of `certificate:`."""
        return self.environment.certificate

    @property
    def lets_encrypt(self) -> bool:
        """Whether its certificate is Let's Encrypt's."""
        ours = self.environment.owns_certificate
        return ours and self.certificate.server in (LETS_ENCRYPT, LETS_ENCRYPT_STAGING)

    @property
    def other_public_ca(self) -> bool:
        """Whether its certificate comes from another CA that browsers trust: no `roots:` are declared."""
        return self.environment.owns_certificate and not self.lets_encrypt and self.certificate.roots is None

    @property
    def profile(self) -> str:
        """The declared profile, else that of Let's Encrypt that gives certificates of the declared lifetime:
        `shortlived` for ten days or less, `tlsserver` for 45 or less as long as the default does not, else
        `classic`."""
        if self.certificate.profile:
            return self.certificate.profile
        if self.certificate.lifetime <= 10:
            return "shortlived"
        early = self.now.date() < CLASSIC_IS_45
        return "tlsserver" if early and self.certificate.lifetime <= 45 else "classic"

    @property
    def asked(self) -> str:
        """The setting by which that profile is asked for, in words."""
        if self.certificate.profile:
            return f"`certificate: profile` is {self.profile}"
        return f"`certificate: lifetime` is {self.certificate.lifetime}"

    @property
    def gap(self) -> timedelta:
        """The longest time between two tries of cron's to renew."""
        if self.certificate.schedule == Certificate.schedule:
            return timedelta(hours=12)
        from reconciler.environment.cron import longest_gap  # noqa: PLC0415 - most files have the default

        return longest_gap(self.certificate.schedule)

    @property
    def roots(self) -> Sequence[tuple[str, datetime]]:
        """The certificates in the file of `certificate: roots`: common name and end; none where none is
        declared."""
        return x509.described(self.certificate.trusted) if self.certificate.roots else ()

    def seen(self, name: str) -> str:
        """What the last look has kept under one of the names of `KEPT`. Raises `NotKnown`."""
        if name not in self.kept:
            raise NotKnown(KEPT[name])
        return self.kept[name]

    @property
    def certbot(self) -> tuple[int, int]:
        """The version of certbot on the primary, as far as `4.1`. Raises `NotKnown`."""
        found = re.match(r"(?:\d+:)?(\d+)\.(\d+)", self.seen("certbot"))
        if found is None:
            raise NotKnown(KEPT["certbot"])
        return int(found[1]), int(found[2])

    def times(self) -> tuple[datetime, datetime]:
        """When the certificate in use ends, and about when it is renewed. Raises `NotKnown`."""
        if self.end is None or self.renewal is None:
            raise NotKnown(WHOLE_LIFETIME)
        return self.end, self.renewal

    @property
    def brought(self) -> Mapping[str, datetime | None]:
        """When each of `certificates` ends, of several hosts the first; None where that is not known."""
        return brought_ends(self.environment, self.kept)


def kept_of(environment: Environment, observation: Observation) -> dict[str, str]:
    """What of an observation is kept for rules; without what was not seen."""
    found = _kept_of_brought(observation)
    if not environment.owns_certificate:
        return found
    primary = environment.primary.name
    package = observation.seen.get(Ref(primary, Package.kind, "certbot"))
    if isinstance(package, Mapping) and package.get("version"):
        found["certbot"] = str(package["version"])
    for each in managed(environment):
        lineage = observation.seen.get(each.lineage)
        if isinstance(lineage, Mapping):
            told = {name: str(lineage[name]) for name in ("anchor", "usages") if name in lineage}
            if each.settings.fallback and BY in lineage:
                told[BY] = str(lineage[BY])
            found |= {f"{name} {each.store.name}".strip(): text for name, text in told.items()}
        if not each.is_own and (window := _window(each, observation)):
            end, lifetime = window
            found[ORDERED + each.name] = end.astimezone(UTC).isoformat(timespec="minutes")
            found[LIFETIME + each.name] = str(int(lifetime.total_seconds()))
    return found


ORDERED = "ordered "
"""How what a look keeps of a further certificate that is ordered begins, before its name: when it ends."""
LIFETIME = "lifetime "
"""The same of the seconds for which it is valid in all."""


def _window(each: Managed, observation: Observation) -> tuple[datetime, timedelta] | None:
    """When what is served of a certificate ends first, or what is staged of it, where nothing serves it; and
    its lifetime."""
    declared = timedelta(days=each.settings.days)
    served = [
        (one.end, one.end - one.begin if one.begin and one.begin < one.end else declared)
        for one in of_certificate(each, observation)
        if one.own and one.end
    ]
    own, of_it = lifetimes(observation.seen), {each.release(host) for host in each.hosts}
    ends = expiries(observation.seen)
    staged = [(end, own.get(ref, declared)) for ref, end in ends.items() if ref in of_it]
    return min(served or staged, default=None)


def ordered_ends(environment: Environment, kept: Mapping[str, str]) -> dict[str, datetime | None]:
    """What `kept` says of each of the environment's further certificates that are ordered."""
    texts = {each.name: kept.get(ORDERED + each.name) for each in environment.ordered}
    return {name: moment(text) for name, text in texts.items()}


def ordered_lifetimes(environment: Environment, kept: Mapping[str, str]) -> dict[str, timedelta]:
    """For how long each of them is valid in all: as it says itself, else as is declared."""
    told = {each.name: kept.get(LIFETIME + each.name, "") for each in environment.ordered}
    return {
        each.name: timedelta(seconds=int(text))
        if (text := told[each.name]).isdecimal() and int(text)
        else timedelta(days=each.settings.days)
        for each in environment.ordered
    }


def as_environment(environment: Environment, entry: Ordered) -> Environment:
    """What rules about a certificate have to know of a further one, as if it were an environment's own."""
    return replace(
        environment,
        router=entry.names[0],
        hosts=(),
        certificate=replace(entry.settings, names=entry.names[1:]),
        services=Services(apache=False),
        certificates=(),
        ordered=(),
        acknowledged=(),
    )


BROUGHT = "brought "
"""How what a look keeps of a brought certificate begins, in front of its name: when it ends."""


def _kept_of_brought(observation: Observation) -> dict[str, str]:
    found: dict[str, str] = {}
    for ref, state in observation.seen.items():
        if ref.kind == BroughtCertificate.kind and isinstance(state, Mapping):
            found.setdefault(BROUGHT + ref.name, "")
    for ref, end in ends(observation.seen).items():
        name = BROUGHT + ref.name
        found[name] = min(filter(None, (found[name], end.astimezone(UTC).isoformat(timespec="minutes"))))
    return found


def brought_ends(environment: Environment, kept: Mapping[str, str]) -> dict[str, datetime | None]:
    """What `kept` says of each of the environment's brought certificates."""
    texts = {each.name: kept.get(BROUGHT + each.name) for each in environment.certificates}
    return {name: moment(text) for name, text in texts.items()}
