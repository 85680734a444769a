"""What the rules of a forecast ask of an environment: its file, and what the last look has kept. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from reconciler import x509
from reconciler.environment.settings import LETS_ENCRYPT, LETS_ENCRYPT_STAGING, Certificate, Environment
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.package import Package
from reconciler.model import Observation, Ref

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
        """The profile of Let's Encrypt that gives certificates of the declared lifetime: `shortlived` for
        ten days or less, `tlsserver` for 45 or less as long as the default does not, else `classic`."""
        if self.certificate.lifetime <= 10:
            return "shortlived"
        early = self.now.date() < CLASSIC_IS_45
        return "tlsserver" if early and self.certificate.lifetime <= 45 else "classic"

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


def kept_of(environment: Environment, observation: Observation) -> dict[str, str]:
    """What of an observation is kept for rules; without what was not seen."""
    if not environment.owns_certificate:
        return {}
    primary = environment.primary.name
    found: dict[str, str] = {}
    package = observation.seen.get(Ref(primary, Package.kind, "certbot"))
    if isinstance(package, Mapping) and package.get("version"):
        found["certbot"] = str(package["version"])
    lineage = observation.seen.get(Ref(primary, Lineage.kind, environment.router))
    if isinstance(lineage, Mapping):
        found |= {name: str(lineage[name]) for name in ("anchor", "usages") if name in lineage}
    return found
