"""How bad a fact is. It is judged here alone, so that the page, the table of `status` and the lines for
monitoring show the same of the same. Pure.

`ok`; `warn` where something waits, differs or is not known; `bad` where clients are refused, or will be soon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from reconciler.monitor.status import BroughtEnd, EnvironmentStatus, LastRun
from reconciler.tls.status import ServiceStatus
from reconciler.tls.verify import Check

OK, WARN, BAD = TONES = ("ok", "warn", "bad")

STATES = {"in sync": OK, "drifted": WARN, "pending": WARN, "unknown": WARN}
"""Of an environment's `state`."""
HARMLESS = (0, 2, 6, 7)
"""Exit codes of runs after which nobody has to look: done, the rest is waiting, stale, locked."""


def worst(tones: Iterable[str]) -> str:
    """The worst of several; `ok` of none."""
    return max(tones, key=TONES.index, default=OK)


def of_service(each: ServiceStatus, issued: bool | None) -> tuple[str, str]:
    """Of what a service serves, and in words. `issued`: whether there is a certificate that it could serve;
    without one it only waits for the first."""
    if each.as_wanted is not None:
        return (OK, "as desired") if each.as_wanted else (BAD, "not as desired")
    return (WARN, "not yet") if issued is False else (WARN, "not known")


def of_check(each: Check, issued: bool | None, away: Collection[str] = ()) -> tuple[str, str]:
    """Of a check of `verify`, and in words; `issued` as in `of_service`. `away` are the hosts that could not
    be looked at: that one of them answers nobody is the same fact once more, or a mistake of this machine."""
    if each.verdict == "ok":
        return OK, "ok"
    if issued is False:
        return WARN, "not yet"
    if each.endpoint.host in away and each.expires is None:
        return WARN, "no answer" if each.verdict == "wrong" else "unknown"
    return (BAD, "wrong") if each.verdict == "wrong" else (WARN, "unknown")


def of_certificate(certificate: EnvironmentStatus | BroughtEnd, now: datetime) -> str:
    """Of the end of an environment's certificate, or of a brought one; not known is a warning, and without
    one of its own all is well."""
    urgency = certificate.urgency(now)
    return WARN if urgency == "unknown" else urgency


def of_run(run: LastRun) -> str:
    """Of how the last run went."""
    if run.alive or run.code in HARMLESS:
        return OK
    return WARN if run.code is None else BAD
