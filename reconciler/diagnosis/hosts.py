"""What a look asks of hosts for `doctor`, and what the answers come to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from reconciler.blueprint.managed import managed
from reconciler.blueprint.renewal import variables
from reconciler.diagnosis.checks import (
    CA,
    HOSTS,
    OK,
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
from reconciler.diagnosis.keys import install_key, replace_pin
from reconciler.environment.settings import Environment, Host
from reconciler.fleet.routes import Route
from reconciler.kinds.effective.clock import SystemClock
from reconciler.kinds.effective.commands import NeededCommands
from reconciler.kinds.package import Package
from reconciler.messages import Message
from reconciler.model import CannotSee, Plan, Question, Ref, Resource, Seen, State, View, quote
from reconciler.questions.system import CommandQuestion, CommandResult, InstalledQuestion

NEW_CERTBOT = 4
"""The first version that goes by the lifetime of a certificate; before, certbot renews `FIXED` days before
its end (certbot 4.0.0, changelog)."""
FIXED = 30

PATIENCE = 8
"""Seconds that the CA may take to answer the primary."""


@dataclass(frozen=True, kw_only=True)
class CertbotVersion(Resource):
    """The version of certbot on the primary, as its package says: certbot itself would write a log. Observed
    only."""

    kind: ClassVar[str] = "certbot"
    title: ClassVar[str] = "package"
    declarable: ClassVar[bool] = False

    package: str = "certbot"

    def ask(self) -> Mapping[str, Question]:
        return {"version": InstalledQuestion(self.package)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        version = answers["version"]
        return version if version is None or isinstance(version, CannotSee) else {"version": version}

    def want(self, look: View) -> State | None:
        return {}


@dataclass(frozen=True, kw_only=True)
class AcmeDirectory(Resource):
    """The directory of an ACME server as the primary gets it, by the CA file that certbot goes by there.
    Observed only: a GET of the directory counts against no rate limit."""

    kind: ClassVar[str] = "directory of the CA"
    title: ClassVar[str] = "url"
    declarable: ClassVar[bool] = False

    url: str
    ca_bundle: str | None = None

    def ask(self) -> Mapping[str, Question]:
        trust = f" --cacert {quote(self.ca_bundle)}" if self.ca_bundle else ""
        curl = f"curl -sS -m {PATIENCE}{trust} -- {quote(self.url)}"
        # The answer to a question is cut off after 3000 characters, and a directory may have more.
        return {
            "answer": CommandQuestion(
                f"o=$({curl} 2>&1) || {{ s=$?; printf '%s\\n' \"$o\"; exit $s; }};"
                " case $o in *'\"newOrder\"'*) echo directory;;"
                " *) printf 'no directory, but %.100s' \"$o\";; esac"
            )
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        found: CommandResult | CannotSee = answers["answer"]
        if isinstance(found, CannotSee):
            return found
        if found.status != 0:
            return {"answer": found.output or f"curl ends with {found.status}"}
        return {"answer": True if found.output == "directory" else found.output}

    def want(self, look: View) -> State | None:
        return {}


def asked(environment: Environment, declared: Iterable[Resource]) -> list[Resource]:
    """What is looked at: of what is declared that which says what a host lacks, and the CA's directories."""
    kinds = (NeededCommands, SystemClock, Package)
    found = [each for each in declared if isinstance(each, kinds) and not each.absent]
    # What is left out of a look could not be waited for.
    resources: list[Resource] = [replace(each, needs=(), follows=()) for each in found]
    clocks = {each.host for each in resources if each.kind == SystemClock.kind}
    resources += [
        SystemClock(host=host.name, seconds=environment.ssh.timeout)
        for host in environment.all_hosts
        if host.name not in clocks
    ]
    if environment.owns_certificate:
        primary = environment.primary.name
        resources.append(CertbotVersion(host=primary))
        resources += [
            AcmeDirectory(host=primary, url=url, ca_bundle=bundle)
            for url, bundle in servers(environment).items()
        ]
    return resources


def servers(environment: Environment) -> dict[str, str | None]:
    """The directories of each CA, and of that at which orders are rehearsed, with the file by which it is
    trusted; none where nothing is ordered."""
    if not environment.owns_certificate:
        return {}
    found: dict[str, str | None] = {}
    for each in (one.settings for one in managed(environment)):
        settings = variables(each)
        for url in (settings["server"], settings["rehearsal"]):
            if url:
                found.setdefault(url, each.ca_bundle)
        if each.fallback:
            found.setdefault(each.fallback.server, each.fallback.ca_bundle)
    return found


def server_name(url: str) -> str:
    """The host, and port, of a URL."""
    return url.partition("://")[2].partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class HostLook:
    """What one look has shown, by host and by resource. `unreachable` has the reason, and `blocked` that
    for which a host was not asked at all, as another check tells."""

    environment: Environment
    resources: Iterable[Resource]
    seen: Mapping[Ref, Seen]
    unreachable: Mapping[str, str]
    without_root: Mapping[str, str]
    plan: Plan
    blocked: Mapping[str, str]
    routes: Mapping[str, Route]

    def hidden(self, host: str) -> str:
        """Why a host was not seen; "" where it was."""
        why = self.blocked.get(host) or self.unreachable.get(host)
        return why or ("" if any(ref.host == host for ref in self.seen) else "it was not looked at")


def judge(look: HostLook) -> Iterable[HealthCheck]:
    """Whether each host can be logged in to, lets us become root, and has what it needs."""
    environment = look.environment
    for host in environment.all_hosts:
        if why := look.blocked.get(host.name):
            yield unclear(HOSTS, f"{host.name} login", why)
        elif why := look.hidden(host.name):
            yield _unreachable(environment, look.routes[host.name], host, why)
        if look.hidden(host.name):
            yield unclear(HOSTS, f"{host.name} needs", "it could not be looked at")
            continue
        yield HealthCheck(
            group=HOSTS, subject=f"{host.name} login", found=f"as {look.routes[host.name].user}"
        )
        yield _root(environment, look.routes[host.name], look.without_root.get(host.name))
        for resource in look.resources:
            if resource.host == host.name:
                yield from _needs(look, resource)


def _unreachable(environment: Environment, route: Route, host: Host, reason: str) -> HealthCheck:
    ssh = environment.ssh
    code = re.search(r"\[[a-z-]+\]", reason)
    known = next((each for each in Message if code and str(each) == code[0]), None)
    debug = ssh_command(ssh, route, "true", ("-v",))
    check = HealthCheck(
        group=HOSTS,
        subject=f"{host.name} login",
        verdict=PROBLEM,
        found=reason,
        expected=f"a login as {route.user}, with the host key that is pinned",
        owner=owner_of(host.name),
        command=debug,
    )
    if known is Message.HOST_KEY_CHANGED:
        again = f"if {host.name} was rebuilt, the new key; if not, another machine is answering in its place"
        return replace(check, expected=again, command=replace_pin(ssh, route, ssh.known_hosts))
    if known is Message.COMMAND_MISSING:
        return replace(check, command="apt-get install coreutils findutils sed libc-bin", host=host.name)
    if known is Message.HOST_KEY_UNKNOWN:
        return replace(check, verdict=UNCLEAR, owner=YOU, command=pin_command(ssh, route))
    if known is Message.NO_KEY:
        return replace(check, owner=YOU, command="ssh-add")
    if known is Message.LOGIN_REFUSED:
        return replace(check, command=install_key(ssh, route))
    if known is Message.NO_ADDRESS:
        line = f"+{host.place.line} " if host.place else ""
        return replace(check, owner=YOU, command=f"${{EDITOR:-vi}} {line}{quote(environment.file)}")
    return check


def _root(environment: Environment, route: Route, warning: str | None) -> HealthCheck:
    check = HealthCheck(group=HOSTS, subject=f"{route.name} root", found="yes")
    if warning is None:
        return check
    user = route.user
    if not environment.ssh.sudo:
        found = f"no: `ssh.sudo` is false, and {user} is not root"
        expected = "root, to apply; without it a look is incomplete"
        edit = f"${{EDITOR:-vi}} {quote(environment.file)}"
        return replace(check, verdict=WARNING, found=found, expected=expected, owner=YOU, command=edit)
    rule = quote(f"{user} ALL=(ALL) NOPASSWD: ALL")
    # sudo passes over a file that others may write (sudoers(5), "Including other files").
    return replace(
        check,
        verdict=PROBLEM,
        found=f"no: {warning}",
        expected=f"`sudo -n` lets {user} become root",
        owner=owner_of(route.name),
        command=f"(umask 0337; echo {rule} >/etc/sudoers.d/reconcile)",
        host=route.name,
    )


def _needs(look: HostLook, resource: Resource) -> Iterable[HealthCheck]:
    seen = look.seen.get(resource.ref)
    name = {"commands": "commands", "clock": "clock", "certbot": "certbot"}.get(resource.kind)
    if name is None:
        return
    subject = f"{resource.host} {name}"
    if isinstance(seen, CannotSee):
        yield unclear(HOSTS, subject, seen.reason)
    elif resource.ref not in look.seen:
        yield unclear(HOSTS, subject, "it was not seen")
    elif isinstance(resource, NeededCommands):
        yield from _commands(look, resource, seen or {})
    elif isinstance(resource, SystemClock):
        yield _clock(resource, seen or {}, subject)
    else:
        yield _certbot(look.environment, seen, subject)


def _commands(look: HostLook, resource: NeededCommands, seen: State) -> Iterable[HealthCheck]:
    packages, host = dict(resource.packages), resource.host
    pending = {
        each.ref.name for each in look.plan.actions if each.ref.host == host and each.ref.kind == "package"
    }
    missing = [name for name, found in seen.items() if found is not True]
    coming = [name for name in missing if packages[name] in pending]
    lost = [name for name in missing if name not in coming]
    check = HealthCheck(
        group=HOSTS,
        subject=f"{host} commands",
        found=f"{len(packages)} are there",
        owner=owner_of(host),
        host=host,
    )
    if lost:
        wanted = " ".join(sorted({packages[name] for name in lost}))
        yield replace(
            check,
            verdict=PROBLEM,
            found=f"{', '.join(lost)}: missing",
            expected="every command that is called there later",
            command=f"apt-get install --reinstall {wanted}",
        )
    if coming:
        yield replace(
            check,
            verdict=WARNING,
            found=f"{', '.join(coming)}: missing, and the next apply installs them",
            expected="every command that is called there later",
            owner=YOU,
            command=f"reconcile apply {quote(look.environment.file)}",
            host=None,
        )
    if not missing:
        yield check


def _clock(resource: SystemClock, seen: State, subject: str) -> HealthCheck:
    agrees = seen.get("agrees")
    return HealthCheck(
        group=HOSTS,
        subject=subject,
        verdict=OK if agrees is True else PROBLEM,
        found="agrees" if agrees is True else str(agrees).removeprefix("no: "),
        expected="the time of this machine, unless that is wrong (see this machine)",
        owner=owner_of(resource.host),
        command="" if agrees is True else "timedatectl set-ntp true",
        host=resource.host,
    )


def _certbot(environment: Environment, seen: Seen, subject: str) -> HealthCheck:
    """Whether certbot would renew in time, and not at every opportunity."""
    if not isinstance(seen, Mapping):
        return unclear(HOSTS, subject, "its version: there is no package certbot")
    version, days = str(seen["version"]), min(each.settings.days for each in managed(environment))
    check = HealthCheck(group=HOSTS, subject=subject, found=version)
    major = re.match(r"(?:[0-9]+:)?([0-9]+)\.", version)
    if major is None:
        return unclear(HOSTS, subject, f"its version: {version}")
    if int(major[1]) >= NEW_CERTBOT:
        return check
    found = f"{version} renews {FIXED} days before the end, whatever the lifetime ({days} days)"
    if days >= 2 * FIXED:
        return replace(check, found=found)
    return replace(
        check,
        verdict=PROBLEM if days <= FIXED else WARNING,
        found=found,
        expected=f"certbot {NEW_CERTBOT}.0 or newer, which goes by the lifetime",
        owner=owner_of(environment.primary.name),
        command="apt-get install certbot",
        host=environment.primary.name,
    )


def ca_from_primary(look: HostLook) -> Iterable[HealthCheck]:
    """Whether the host that orders gets the CA's directory."""
    primary = look.environment.primary.name
    for resource in look.resources:
        if not isinstance(resource, AcmeDirectory):
            continue
        subject = server_name(resource.url)
        seen = look.seen.get(resource.ref)
        if look.hidden(primary):
            yield unclear(CA, subject, f"{primary} could not be looked at")
        elif not isinstance(seen, Mapping):
            yield unclear(CA, subject, seen.reason if seen else "it was not seen")
        elif seen["answer"] is True:
            yield HealthCheck(group=CA, subject=subject, found=f"answers {primary} with its directory")
        else:
            yield HealthCheck(
                group=CA,
                subject=subject,
                verdict=PROBLEM,
                found=f"from {primary}: {seen['answer']}",
                expected=f"its directory, over TLS that {primary} trusts, within {PATIENCE} s",
                owner=f"whoever keeps the network of {primary}, or the CA (its status page)",
                command=f"curl -v -m {PATIENCE} {quote(resource.url)}",
                host=primary,
            )


def clocks(look: HostLook) -> tuple[list[str], list[str]]:
    """The hosts whose clock agrees with this machine's, and those whose clock does not."""
    states = {each.host: look.seen.get(each.ref) for each in look.resources if each.kind == SystemClock.kind}
    seen = {host: state["agrees"] is True for host, state in states.items() if isinstance(state, Mapping)}
    return [host for host in seen if seen[host]], [host for host in seen if not seen[host]]


def not_asked(check: HealthCheck) -> bool:
    """Whether the primary could not be asked for the CA's directory."""
    return check.group == CA and check.verdict == UNCLEAR
