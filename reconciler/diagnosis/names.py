"""Whether the certificate's names lead to the hosts, and the CA answers, as this machine sees it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.diagnosis.checks import CA, DNS, PROBLEM, UNCLEAR, WARNING, HealthCheck
from reconciler.diagnosis.hosts import server_name
from reconciler.diagnosis.machine import SECONDS, AcmeAnswer, AcmeResult, Addresses, Unresolved
from reconciler.environment.settings import Environment
from reconciler.fleet.routes import Route
from reconciler.messages import Message
from reconciler.model import quote


def looked_up(environment: Environment, routes: Mapping[str, Route]) -> list[str]:
    """The names to resolve: those of the certificate, and where the hosts are reached."""
    names = environment.names if _matter(environment) else ()
    return list(dict.fromkeys((*names, *addresses(routes).values())))


def _matter(environment: Environment) -> bool:
    """Whether the CA asks whoever the names lead to."""
    return environment.owns_certificate and environment.certificate.on_port_80


def addresses(routes: Mapping[str, Route]) -> dict[str, str]:
    """By host, where it is reached from this machine; without those that a jump host reaches."""
    return {host: route.address for host, route in routes.items() if route.via is None}


def lost(routes: Mapping[str, Route], found: Mapping[str, Addresses]) -> dict[str, str]:
    """By host, why it cannot be asked: its name does not resolve here. A connection would wait for that,
    as long as the resolver likes."""
    reasons = {}
    for host, address in addresses(routes).items():
        answer = found[address]
        if isinstance(answer, Unresolved):
            hint = f"set `address:` for it, or fix the DNS {Message.NO_ADDRESS}"
            reasons[host] = f"its name does not resolve ({address}: {answer.reason}); {hint}"
    return reasons


def judge(
    environment: Environment, routes: Mapping[str, Route], found: Mapping[str, Addresses]
) -> Iterable[HealthCheck]:
    """Whether each name of the certificate resolves, and to the declared hosts: the CA asks there."""
    if not _matter(environment):
        return
    ours: set[str] = set()
    unknown = []
    for host, address in addresses(routes).items():
        answer = found[address]
        if isinstance(answer, Unresolved):
            unknown.append(host)
        else:
            ours |= set(map(_plain, answer))
    for name in environment.names:
        yield _judged(name, found[name], ours, unknown, environment.certificate.resolver)


def _judged(
    name: str, answer: Addresses, ours: set[str], unknown: list[str], resolver: str | None
) -> HealthCheck:
    check = HealthCheck(
        group=DNS,
        subject=name,
        found="",
        expected="addresses of the declared hosts: the CA asks there for the challenge",
        owner=f"whoever keeps the DNS zone of {name}",
        command=f"dig +trace {quote(name)}",
    )
    if isinstance(answer, Unresolved):
        found = f"does not resolve from here: {answer.reason}"
        if resolver:  # what this machine is told says nothing of what the CA is
            found = f"{found}; an order asks {resolver} (`certificate.resolver`)"
            return replace(check, verdict=UNCLEAR, found=found, command=f"dig @{resolver} {quote(name)}")
        return replace(check, verdict=PROBLEM if answer.certain else UNCLEAR, found=found)
    mine = [each for each in map(_plain, answer) if each in ours]
    others = [each for each in map(_plain, answer) if each not in ours]
    if not others:
        return HealthCheck(group=DNS, subject=name, found=", ".join(mine))
    if not ours and not unknown:
        return HealthCheck(
            group=DNS, subject=name, found=f"{', '.join(others)}; hosts have theirs behind the jump host"
        )
    if unknown:
        found = f"{', '.join(others)}: the addresses of {', '.join(unknown)} are not known"
        return replace(check, verdict=UNCLEAR, found=found)
    found = f"{', '.join(others)}: of no declared host; right only behind a load balancer or NAT"
    return replace(check, verdict=WARNING, found=found)


def _plain(address: str) -> str:
    """An address in one form, without the zone of a link-local one."""
    try:
        return str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return address


def ca_from_here(environment: Environment, found: Mapping[str, AcmeResult]) -> Iterable[HealthCheck]:
    """Whether the CA answers this machine, where the primary could not be asked."""
    for url, answer in found.items():
        check = HealthCheck(
            group=CA,
            subject=f"{server_name(url)} from here",
            found="answers this machine with its directory",
            owner="whoever keeps the network here, or the CA (its status page)",
        )
        if isinstance(answer, AcmeAnswer) and answer.is_directory:
            yield check
            continue
        said = "what it answers is no ACME directory" if isinstance(answer, AcmeAnswer) else answer.reason
        # The CA file of the environment lies on the primary: only there it can be told.
        private = bool(environment.certificate.ca_bundle)
        untrusted = private and not isinstance(answer, AcmeAnswer) and answer.untrusted
        yield replace(
            check,
            verdict=UNCLEAR if untrusted else PROBLEM,
            found=f"{said}; it is trusted on the primary (`ca_bundle`)" if untrusted else said,
            expected=f"its directory, over trusted TLS, within {SECONDS} s",
            command=f"curl -v -m {SECONDS} {quote(url)}",
        )
