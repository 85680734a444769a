"""Whether there are keys to log in and to approve with, and known_hosts has one of each host. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from reconciler.approval.signatures import NAMESPACE
from reconciler.diagnosis.checks import (
    KEYS,
    KNOWN_HOSTS,
    PROBLEM,
    UNCLEAR,
    WARNING,
    YOU,
    HealthCheck,
    owner_of,
    pin_command,
    ssh_command,
    unclear,
)
from reconciler.diagnosis.machine import MachineFile, ProgramResult
from reconciler.environment.settings import Environment, Ssh
from reconciler.fleet import known_hosts
from reconciler.fleet.routes import Route
from reconciler.model import quote

_SIGNER = re.compile(
    r'^(?P<who>"[^"]*"|[^\s"]+)\s+(?P<options>(?:[^\s"]|"[^"]*")*\s+)??'
    r"(?P<type>(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+)\s+(?P<key>AAAA\S+)"
)
"""A line of ssh-keygen(1), ALLOWED SIGNERS."""


def identity(subject: str, path: str, file: MachineFile, fault: str | None) -> HealthCheck:
    """A file with a key to log in with; `fault` is why it cannot be used."""
    check = HealthCheck(group=KEYS, subject=subject, found=path, owner=YOU)
    name = quote(path)
    if fault is not None:
        command = f"ssh-keygen -y -f {name}"  # says what is wrong with it
        if file.missing:
            command = f"ssh-keygen -t ed25519 -f {name}"
        elif "passphrase" in fault:
            command = f"ssh-add {name}"
        expected = "a private key without a passphrase, or one in an agent and no `ssh.identity`"
        return replace(check, verdict=PROBLEM, found=fault, expected=expected, command=command)
    if file.mode & 0o077:
        return replace(
            check,
            verdict=PROBLEM,
            found=f"{path} has mode {file.mode:04o}: others may read or change it",
            expected="0600: whoever has it can log in on every host",
            command=f"chmod 0600 {name}",
        )
    return check


def agent(found: ProgramResult | None) -> HealthCheck:
    """The keys of the agent; `found` is how `ssh-add -l` ends."""
    check = HealthCheck(
        group=KEYS, subject="ssh agent", found="", owner=YOU, expected="a key in the agent, or `ssh.identity`"
    )
    if found is None:
        command = "apt-get install openssh-client"
        return replace(check, verdict=UNCLEAR, found="ssh-add is not here", command=command)
    if found.status == 0:  # ssh-add(1), EXIT STATUS: 1 for no key, 2 for no agent
        return replace(check, found=f"{len(found.output.splitlines())} keys")
    if found.status == 1:
        return replace(check, verdict=PROBLEM, found="it holds no key", command="ssh-add")
    start = 'eval "$(ssh-agent -s)" && ssh-add'
    return replace(check, verdict=PROBLEM, found=found.output or "no agent answers", command=start)


def allowed_signers(
    environment: Environment, file: MachineFile | None, now: datetime
) -> Iterable[HealthCheck]:
    """Whether as many people can approve as must."""
    policy = environment.policy
    if file is None:
        return
    check = HealthCheck(group=KEYS, subject="allowed_signers", found=file.path, owner=YOU)
    edit = f"${{EDITOR:-vi}} {quote(file.path)}"
    expected = f"at least {policy.approvers} who can approve, each with a key (`policy: approvers`)"
    if file.fault:
        bad = PROBLEM if policy.approvers else WARNING
        yield replace(check, verdict=bad, found=f"{file.path}: {file.fault}", expected=expected, command=edit)
        return
    number, authority = _people(file.text, now)
    if number < policy.approvers and not authority:
        found = f"{number} with a key that counts now, in {file.path}"
        yield replace(check, verdict=PROBLEM, found=found, expected=expected, command=edit)
    else:
        people = "whoever a certificate authority vouches for" if authority else f"{number} can approve"
        yield replace(check, found=f"{people}; {policy.approvers} must")
    yield from _written_by_others(KEYS, file, "decides who may approve")


def _people(text: str, now: datetime) -> tuple[int, bool]:
    """How many names with keys of their own can sign an approval now, and whether an authority is named,
    which vouches for more."""
    lines = [_SIGNER.match(line) for line in text.splitlines() if not line.lstrip().startswith("#")]
    counted = [each for each in lines if each and _counts((each["options"] or "").strip(), now)]
    authority = any("cert-authority" in (each["options"] or "").lower().split(",") for each in counted)
    return min(
        len({each["who"].lower() for each in counted}), len({each["key"] for each in counted})
    ), authority


def _counts(options: str, now: datetime) -> bool:
    given = {
        name.lower(): value for name, value in re.findall(r'([\w-]+)="?([^",\s]+(?:,[^"=\s]+)?)"?', options)
    }
    patterns = given.get("namespaces", "*").split(",")
    if not any(fnmatchcase(NAMESPACE, each) for each in patterns):
        return False
    after, before = (_moment(given.get(f"valid-{name}")) for name in ("after", "before"))
    return (after is None or after <= now) and (before is None or now < before)


def _moment(text: str | None) -> datetime | None:
    """YYYYMMDD[HHMM[SS]][Z] of ssh-keygen(1); taken for UTC: a day more or less is no matter here."""
    digits = (text or "").rstrip("Zz")
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    try:
        return datetime.strptime(digits, form).replace(tzinfo=UTC) if form else None
    except ValueError:
        return None


def _written_by_others(group: str, file: MachineFile, what: str) -> Iterable[HealthCheck]:
    if file.mode & 0o002:
        yield HealthCheck(
            group=group,
            subject="its permissions",
            verdict=PROBLEM,
            found=f"{file.path} has mode {file.mode:04o}",
            expected=f"nobody else may write it: it {what}",
            owner=YOU,
            command=f"chmod o-w {quote(file.path)}",
        )


def pinned(
    ssh: Ssh, routes: Mapping[str, Route], refused: Collection[str], file: MachineFile
) -> Iterable[HealthCheck]:
    """Whether known_hosts has a key of each host, and of the jump hosts, at its port, that is not revoked."""
    if file.fault and not file.missing:
        yield HealthCheck(
            group=KNOWN_HOSTS,
            subject=file.path,
            verdict=PROBLEM,
            found=f"it cannot be read: {file.fault}",
            expected="a file with the pinned keys of the hosts",
            owner=YOU,
            command=f"ls -l {quote(file.path)}",
        )
        for host in (*routes, *refused):
            yield unclear(KNOWN_HOSTS, host, f"{file.path} cannot be read")
        return
    known = known_hosts.PinnedKeys(file.text.splitlines())
    hops = dict.fromkeys(hop for route in routes.values() for hop in route.hops)
    for route in dict.fromkeys((*hops, *routes.values())):
        yield _pinned(ssh, route, known, file)
    for host in refused:
        yield unclear(KNOWN_HOSTS, host, "how it is reached cannot be told (see ssh)")
    yield from _written_by_others(KNOWN_HOSTS, file, "decides which machine is taken for a host")


def _pinned(ssh: Ssh, route: Route, pins: known_hosts.PinnedKeys, file: MachineFile) -> HealthCheck:
    known = pins.find_host(route.labels)
    label = route.labels[0]
    check = HealthCheck(group=KNOWN_HOSTS, subject=route.name, found="")
    if known.pinned:
        types = ", ".join(sorted({key.split(" ")[0] for key in known.pinned}))
        return replace(check, found=f"{types}; others are revoked" if known.revoked else types)
    if known.revoked:
        return replace(
            check,
            verdict=PROBLEM,
            found=f"every key of {label} is marked as @revoked in {file.path}",
            expected="a key that is pinned and not revoked; whoever has a revoked one can pose as the host",
            owner=owner_of(route.name),
            command="rm /etc/ssh/ssh_host_*key*; ssh-keygen -A; systemctl restart ssh",
            host=route.name,
        )
    found = f"{file.path} is not there" if file.missing else f"no key of {label} in {file.path}"
    if known.authorities:
        found = f"{file.path} has only an authority for {label} (@cert-authority), which cannot be asked"
    return replace(
        check,
        verdict=PROBLEM,
        found=found,
        expected="its key; answer `yes` only if the fingerprint is the one on its console",
        owner=YOU,
        command=pin_command(ssh, route),
    )


def replace_pin(ssh: Ssh, route: Route, file: str) -> str:
    """The command that takes the pinned keys of a host away, and pins the one that it has now."""
    # `-R` keeps a copy beside the file: ssh-keygen(1).
    remove = " && ".join(f"ssh-keygen -f {quote(file)} -R {quote(label)}" for label in route.labels)
    return f"{remove} && {pin_command(ssh, route)}"


def install_key(ssh: Ssh, route: Route) -> str:
    """The command that lets the key log in, for whoever can log in by another way."""
    if not route.identities:
        return ssh_command(ssh, route, "true", ("-v",))
    words = ["ssh-copy-id", "-i", f"{route.identities[0]}.pub", "-o", f"UserKnownHostsFile={ssh.known_hosts}"]
    words += ["-p", str(route.port)] if route.port != 22 else []
    words += ["-o", f"ProxyJump={route.jump}"] if route.jump else []
    return " ".join(map(quote, [*words, f"{route.user}@{route.address}"]))
