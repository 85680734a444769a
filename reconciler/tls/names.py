"""Whether the DNS lets our account, and no other, get a certificate for each name (CAA). Pure.

It is asked on the primary, which orders: its account is the one that a record binds, its resolver the one
that the preflight goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.blueprint.managed import Managed, managed
from reconciler.environment.settings import Environment
from reconciler.kinds.certificate import caa
from reconciler.model import Observation

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
    """A check for each name of each certificate that is ordered; none where the primary was not to be looked
    at."""
    return [check for each in managed(environment) for check in _of(each, observation)]


def _of(each: Managed, observation: Observation) -> list[NameCheck]:
    seen = observation.seen.get(each.lineage)
    hidden = observation.unreachable.get(each.lineage.host, getattr(seen, "reason", None))
    if hidden is not None:
        return [NameCheck(name, "unknown", hidden) for name in each.names]
    if not isinstance(seen, Mapping):
        return []
    return [
        NameCheck(
            one.name,
            VERDICTS[one.verdict],
            one.detail,
            None if one.verdict == "untold" else one.record,
        )
        for one in caa.allowances(seen, each.names)
    ]
