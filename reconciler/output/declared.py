"""What an environment declares otherwise than it was last approved, as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.approval.precedent import Declaration
from reconciler.model import Value
from reconciler.printable import printable

SHOWN = 3


def declared_lines(declared: Sequence[Declaration]) -> Iterable[str]:
    """One line for each setting; what was not approved before is counted."""
    for each in declared:
        if each.field:
            then, now = map(_setting_text, (each.was, each.now))
            yield f"! {printable(each.subject)}: {printable(each.field)}: {then} → {now}"
    new = [printable(each.subject) for each in declared if not each.field]
    if new:
        more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
        yield f"! may run without approval once this is approved: {', '.join(new[:SHOWN])}{more}"
    if declared:
        yield "These settings are not the ones last approved, as far as this machine knows."


def _setting_text(value: Value) -> str:
    if value is None:
        return "(not set)"
    return str(value) if isinstance(value, int) else f'"{printable(value)}"'
