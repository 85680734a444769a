"""Whether the DNS lets our account, and no other, get a certificate for each name (CAA). Pure.

It is asked on the primary, which orders: its account is the one that a record binds, its resolver the one
that the preflight goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.environment.settings import Environment
from reconciler.kinds.certificate import caa
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.model import Observation, Ref

VERDICTS = {"bound": "ok", "open": "open", "none": "open", "forbidden": "wrong", "untold": "unknown"}


@dataclass(frozen=True)
class NameCheck:
    """What the DNS has for a name of the certificate. `verdict` is `ok`, `open` (others may get a certificate
    for it too), `wrong` (the next renewal will be refused) or `unknown`; `record`, as a line of a zone file,
    is the one to publish."""

    name: str
    verdict: str
    detail: str
    record: str | None = None


def name_checks(environment: Environment, observation: Observation) -> list[NameCheck]:
    """A check for each name of the certificate; none where the primary was not to be looked at."""
    ref = Ref(environment.primary.name, Lineage.kind, environment.router)
    seen = observation.seen.get(ref)
    hidden = observation.unreachable.get(ref.host, getattr(seen, "reason", None))
    if hidden is not None:
        return [NameCheck(name, "unknown", hidden) for name in environment.names]
    if not isinstance(seen, Mapping):
        return []
    return [
        NameCheck(
            each.name,
            VERDICTS[each.verdict],
            each.detail,
            None if each.verdict == "untold" else each.record,
        )
        for each in caa.allowances(seen, environment.names)
    ]
