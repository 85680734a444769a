"""Which actions on a lineage are about its next renewal alone. Pure."""

from __future__ import annotations

from typing import Final

from reconciler.kinds.certificate import profile
from reconciler.model import Action

FIELDS: Final = {"account", "files", "renewal file", profile.FIELD}


def concerns_renewals(pending: Action | None) -> bool:
    """Whether an action on a lineage is about how certbot renews it alone: what was issued already is brought
    to the hosts meanwhile, also where that action is refused or fails."""
    return pending is not None and all(
        each.field in FIELDS or each.field.startswith("renewal: ") for each in pending.deltas
    )
