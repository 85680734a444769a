"""The result of a command, as a text file for node_exporter's textfile collector. Pure.

The form is Prometheus' text format, version 0.0.4. All times are Unix times: an age is
`time() - …`. What only time can tell (since when there is drift, when all was last well) is
taken over from the file of the run before, so nothing else has to be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Plan
from reconciler.printable import printable
from reconciler.tls.names import NameCheck
from reconciler.tls.status import ServiceStatus, proven
from reconciler.tls.verify import Check

FAMILIES = {
    "reconcile_last_run_timestamp_seconds": "When the hosts were last looked at.",
    "reconcile_last_success_timestamp_seconds": "When everything could last be judged.",
    "reconcile_host_unreachable": "1 where a host could not be looked at.",
    "reconcile_unknown_resources": "Resources of a host that could not be seen.",
    "reconcile_pending_actions": "Actions that would make a host as declared.",
    "reconcile_drift_since_timestamp_seconds": "Since when a host has not been as declared.",
    "reconcile_checks": "Checks of what a host's services show, by verdict.",
    "reconcile_names": "Names of the certificate, by what CAA records of the DNS allow for them.",
    "reconcile_certificate_expiry_timestamp_seconds": "Until when the certificate that is served is valid.",
    "reconcile_certificate_lifetime_seconds": "How long the certificate that is served is valid in all.",
    "reconcile_last_proof_timestamp_seconds": "When a host last served the right certificate everywhere.",
}
"""Every metric, all of them gauges, in the order of the file."""

LAST_SUCCESS, SINCE, PROOF = (
    f"reconcile_{name}_timestamp_seconds" for name in ("last_success", "drift_since", "last_proof")
)


@dataclass(frozen=True)
class MetricsInput:
    """What one run of `drift` (with its plan) or `verify` (with its checks) found."""

    command: str
    environment: str
    now: datetime
    served: Sequence[ServiceStatus]
    plan: Plan | None = None
    checks: Sequence[Check] = ()
    names: Sequence[NameCheck] = ()

    @property
    def success(self) -> bool:
        """Whether all could be judged."""
        unknown = "unknown" in {each.verdict for each in self.checks} | {each.verdict for each in self.names}
        return not unknown and (self.plan is None or self.plan.complete)


Labels = Mapping[str, str | int]


class _Samples:
    """Samples by their family, and those of the run before."""

    def __init__(self, run: MetricsInput, before: Mapping[str, float]) -> None:
        self.fixed = {"command": run.command, "environment": run.environment}
        self.before = before
        self.lines: dict[str, list[str]] = {family: [] for family in FAMILIES}

    def add(self, family: str, value: float, **labels: str | int) -> None:
        self.lines[family].append(f"{self._key(family, labels)} {number(value)}")

    def earlier(self, family: str, **labels: str | int) -> float | None:
        return self.before.get(self._key(family, labels))

    def keep(self, family: str, **labels: str | int) -> None:
        """What it was before, if it was anything."""
        value = self.earlier(family, **labels)
        if value is not None:
            self.add(family, value, **labels)

    def _key(self, family: str, labels: Labels) -> str:
        pairs = {**self.fixed, **labels}
        inner = ",".join(f'{name}="{escaped(value)}"' for name, value in pairs.items())
        return f"{family}{{{inner}}}"


def metrics_text(run: MetricsInput, before: Mapping[str, float]) -> str:
    """The whole file. `before` is what `samples` took from the one that it replaces."""
    samples = _Samples(run, before)
    now = run.now.timestamp()
    samples.add("reconcile_last_run_timestamp_seconds", now)
    if run.success:
        samples.add(LAST_SUCCESS, now)
    else:
        samples.keep(LAST_SUCCESS)
    if run.plan is not None:
        _plan(samples, run.plan, now)
    _checks(samples, run.checks)
    _names(samples, run.names)
    _certificates(samples, run.served)
    well = proven(run.served)
    for host in dict.fromkeys(each.host for each in run.served):
        if host in well:
            samples.add(PROOF, now, host=host)
        else:
            samples.keep(PROOF, host=host)
    return "".join(_text(family, lines) for family, lines in samples.lines.items() if lines)


def _text(family: str, lines: Iterable[str]) -> str:
    head = f"# HELP {family} {FAMILIES[family]}\n# TYPE {family} gauge\n"
    return head + "".join(f"{line}\n" for line in lines)


def _plan(samples: _Samples, plan: Plan, now: float) -> None:
    pending = Counter(action.ref.host for action in plan.actions)
    unknown = Counter(ref.host for ref in plan.unknown)
    for host in plan.hosts:
        away = host in plan.unreachable
        samples.add("reconcile_host_unreachable", away, host=host)
        if away:
            # Not to be seen is not settled: drift that was known goes on until it is seen to be over.
            samples.keep(SINCE, host=host)
            continue
        samples.add("reconcile_unknown_resources", unknown[host], host=host)
        samples.add("reconcile_pending_actions", pending[host], host=host)
        if pending[host]:
            since = samples.earlier(SINCE, host=host)
            samples.add(SINCE, now if since is None else since, host=host)


def _checks(samples: _Samples, checks: Sequence[Check]) -> None:
    count = Counter((each.endpoint.host, each.verdict) for each in checks)
    for host in dict.fromkeys(each.endpoint.host for each in checks):
        for verdict in ("ok", "wrong", "unknown"):
            samples.add("reconcile_checks", count[host, verdict], host=host, verdict=verdict)


def _names(samples: _Samples, names: Sequence[NameCheck]) -> None:
    count = Counter(each.verdict for each in names)
    for verdict in ("ok", "open", "wrong", "unknown") if names else ():
        samples.add("reconcile_names", count[verdict], verdict=verdict)


def _certificates(samples: _Samples, served: Iterable[ServiceStatus]) -> None:
    for each in served:
        where: Labels = {"host": each.host, "service": each.service, "port": each.port}
        if each.end:
            end = each.end.timestamp()
            samples.add("reconcile_certificate_expiry_timestamp_seconds", end, **where)
            if each.begin:
                lifetime = end - each.begin.timestamp()
                samples.add("reconcile_certificate_lifetime_seconds", lifetime, **where)


def escaped(value: str | int) -> str:
    """The value of a label: a backslash, a quote and a line's end are escaped."""
    return printable(str(value)).replace("\\", "\\\\").replace('"', '\\"')


def number(value: float) -> str:
    """Whole where it is whole."""
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def samples(text: str) -> dict[str, float]:
    """The samples of an earlier file; what cannot be read is left out."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        key, _, value = line.rpartition(" ")
        if key and not line.startswith("#"):
            try:
                found[key] = float(value)
            except ValueError:
                continue
    return found
