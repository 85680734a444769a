"""What a health check comes to, and how one is put into words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.environment.settings import Ssh
from reconciler.fleet.routes import Route
from reconciler.model import quote

MACHINE, FILE, SSH, KEYS, KNOWN_HOSTS = "this machine", "the file", "ssh", "keys", "known hosts"
HOSTS, DNS, CA, JOURNAL = "hosts", "DNS", "CA", "journal"
GROUPS = (MACHINE, FILE, SSH, KEYS, KNOWN_HOSTS, HOSTS, DNS, CA, JOURNAL)
"""In the order in which they are told: what stands first may be the reason for what comes later."""

OK, WARNING, UNCLEAR, PROBLEM = "ok", "warning", "cannot tell", "problem"
VERDICTS = (PROBLEM, UNCLEAR, WARNING, OK)
"""The worst first."""

YOU = "you, on this machine"
"""Whose matter it is."""


def owner_of(host: str) -> str:
    """Whose matter it is what a host is like."""
    return f"whoever administers {host}"


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """One thing that was checked. Of one that is not `ok`: what was expected, whose matter it is, and the
    command that mends it or shows more of it, to be run on this machine or, as root, on `host`. They are
    empty where it hangs on another check, which has them."""

    group: str
    subject: str
    verdict: str = OK
    found: str
    expected: str = ""
    owner: str = ""
    command: str = ""
    host: str | None = None


def unclear(group: str, subject: str, because: str) -> HealthCheck:
    """A check for which something is missing that another check has named."""
    return HealthCheck(group=group, subject=subject, verdict=UNCLEAR, found=because)


def count(checks: Iterable[HealthCheck]) -> Mapping[str, int]:
    """How many checks came to each verdict; the worst first, without those that none came to."""
    numbers = Counter(each.verdict for each in checks)
    return {verdict: numbers[verdict] for verdict in VERDICTS if numbers[verdict]}


def ssh_command(ssh: Ssh, route: Route, more: str = "", options: Iterable[str] = ()) -> str:
    """The command line with which OpenSSH reaches a host as we do; `more` runs there."""
    words = ["ssh", *options, "-o", f"UserKnownHostsFile={ssh.known_hosts}"]
    words += ["-o", f"HostKeyAlias={route.alias}"] if route.alias else []
    words += ["-p", str(route.port)] if route.port != 22 else []
    words += ["-i", route.identities[0]] if route.identities else []
    words += ["-J", route.jump] if route.jump else []
    words += [f"{route.user}@{route.address}", *([more] if more else [])]
    return " ".join(map(quote, words))


def pin_command(ssh: Ssh, route: Route) -> str:
    """The command that shows the fingerprint of a host's key, and adds it to known_hosts once it is
    confirmed."""
    # The machine's own list would keep ssh from asking, and us from knowing.
    ask = ("-o", "StrictHostKeyChecking=ask", "-o", "GlobalKnownHostsFile=/dev/null")
    return ssh_command(ssh, route, "true", ask)
