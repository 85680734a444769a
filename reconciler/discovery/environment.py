"""From what hosts show to the environment that declares them as they are. Pure.

The primary is the host on which certbot's lineage lives; what only it shows counts from there.
All else is as most of the hosts have it. What cannot be told is a remark, never a guess.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.environment.settings import (
    LETS_ENCRYPT,
    Certificate,
    Environment,
    Host,
    Paths,
    Services,
    Ssh,
    Sync,
    TomcatTls,
)
from reconciler.model import State, Value

UNTOLD = {
    "certificate.administrators": "who is told of a renewal cannot be found out: no hook names anybody",
    "certificate.email": "the contact of the account at the CA cannot be found out: certbot did not keep it",
    "certificate.ping": "hosts do not tell by which path they are well; DataONE's is /cn/v2/monitor/ping",
    "services.client_ca": "no vhost of this name has an SSLCACertificateFile",
    "services.tomcat_tls.reload": "cannot be found out; without it Tomcat is restarted for a certificate",
}
"""What to say of a setting that no host has told."""

Surveys = Mapping[str, State]


class Undetermined(ValueError):
    """The hosts do not show enough for an environment; the message says what is missing."""


@dataclass(frozen=True)
class ImportInput:
    """What somebody has said on the command line; it counts before what hosts show."""

    name: str
    hosts: tuple[Host, ...]
    ssh: Ssh = field(default_factory=Ssh)
    primary: str | None = None
    router: str | None = None
    roots: str | None = None


@dataclass
class _Draft:
    """The settings so far, and what is to be said of them."""

    given: ImportInput
    surveys: Surveys
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def say(self, name: str, remark: str) -> None:
        self.remarks.setdefault(name, []).append(remark)

    def agreed(self, name: str) -> Value:
        """The value that most hosts have; of those that have another the remark tells."""
        told = {host: state[name] for host, state in self.surveys.items() if state.get(name) is not None}
        if not told:
            return None
        chosen = _most(told.values())
        for host, value in told.items():
            if value != chosen:
                self.say(name, f"{host} has {_shown(value)}, which is not what most hosts have")
        return chosen

    def having(self, name: str) -> list[str]:
        """The hosts that show a fact."""
        return [host for host, state in self.surveys.items() if state.get(name)]


def _most(values: Iterable[Value]) -> Value:
    """The value that occurs most often; of equals always the same one."""
    counted = Counter(values)
    return max(counted, key=lambda value: (counted[value], str(value)))


def named(surveys: Surveys) -> str:
    """What the environment is called by which most of the hosts have been written.

    Raises `Undetermined` where none has been.
    """
    names = [state["environment"] for state in surveys.values() if state.get("environment")]
    if not names:
        raise Undetermined(
            "no environment has written these hosts yet; say with --name what it shall be called"
        )
    return str(_most(names))


def environment(given: ImportInput, surveys: Surveys) -> tuple[Environment, dict[str, list[str]]]:
    """The environment, and remarks by the settings that they are about.

    Raises `Undetermined` where there is no router name to be had.
    """
    draft = _Draft(given, surveys)
    router = given.router or draft.agreed("router") or _only_lineage(draft)
    if not router:
        raise Undetermined(
            "no host tells the router's name: neither cn.router.hostname in /etc/dataone/node.properties"
            " nor the one lineage of certbot does; say it with --router"
        )
    hosts = _hosts(draft)
    primary = next((host.name for host in hosts if host.primary), hosts[0].name)
    made = Environment(
        name=given.name,
        router=str(router),
        hosts=hosts,
        ssh=given.ssh,
        sync=Sync(**_section(draft, Sync, "sync")),
        certificate=_certificate(draft, str(router), primary),
        paths=Paths(**_section(draft, Paths, "paths")),
        services=_services(draft),
    )
    _look_back(draft, made)
    return made, draft.remarks


def _only_lineage(draft: _Draft) -> Value:
    lineages = {state["lineage"] for state in draft.surveys.values() if state.get("lineage")}
    return lineages.pop() if len(lineages) == 1 else None


def _hosts(draft: _Draft) -> tuple[Host, ...]:
    """The hosts in the order in which node.properties names them, one of them the primary."""
    named = str(draft.agreed("hosts") or "").split()
    given = {host.name: host for host in draft.given.hosts}
    missing = [name for name in named if name not in given]
    if missing:
        draft.say("hosts", f"environment.hosts also names {', '.join(missing)}: not given with --host")
    order = [name for name in named if name in given]
    order += [name for name in given if name not in order]
    primary = _primary(draft, order)
    return tuple(replace(given[name], primary=name == primary) for name in order)


def _primary(draft: _Draft, hosts: Sequence[str]) -> str:
    """Where certbot's lineage lives. The procedure copies it to every host, so among several
    the one that renews it counts."""
    if draft.given.primary:
        return draft.given.primary
    candidates = [host for host in hosts if host in draft.having("lineage")]
    for fact in ("renewed by", "timer"):
        if len(candidates) > 1:
            candidates = [host for host in candidates if host in draft.having(fact)] or candidates
    if len(candidates) == 1:
        return candidates[0]
    why = (
        f"certbot's lineage lies on {', '.join(candidates)} alike"
        if candidates
        else "certbot's lineage lies on none of them"
    )
    draft.say("hosts", f"the primary cannot be found out: {why}; the first is taken, check it (--primary)")
    return (candidates or list(hosts))[0]


def _section(draft: _Draft, cls: type[Any], section: str) -> dict[str, Any]:
    """The settings of a section on which the hosts agree."""
    found = {}
    for each in dataclasses.fields(cls):
        name = f"{section}.{each.name}"
        value = draft.agreed(name) if "doc" in each.metadata else None
        if value is not None:
            found[each.name] = value
        elif name in UNTOLD:
            draft.say(name, UNTOLD[name])
    return found


def _certificate(draft: _Draft, router: str, primary: str) -> Certificate:
    """What the primary alone shows; copies of certbot's folder on other hosts do not count."""
    own = _alone(draft, primary)
    found = _section(own, Certificate, "certificate")
    mine = draft.surveys.get(primary, {})
    known = {router.lower(), *(host.name.lower() for host in draft.given.hosts)}
    found["names"] = tuple(name for name in str(mine.get("names", "")).split() if name not in known)
    key = str(mine.get("key", ""))
    if "key_size" not in found and key in ("RSA 3072", "RSA 4096"):
        found["key_size"] = int(key.split()[1])
    if draft.given.roots:
        found["roots"] = draft.given.roots
    elif found.get("server", LETS_ENCRYPT) != LETS_ENCRYPT:
        draft.say(
            "certificate.roots", "the CA is not Let's Encrypt's; its roots cannot be found out (--roots)"
        )
    if not mine.get("lineage"):
        draft.say("certificate.names", f"{primary} has no lineage of {router}; one will be ordered")
    return Certificate(**found)


def _alone(draft: _Draft, host: str) -> _Draft:
    """The same draft, of which one host is all that is seen."""
    return _Draft(draft.given, {host: draft.surveys.get(host, {})}, draft.remarks)


def _services(draft: _Draft) -> Services:
    found = _section(draft, Services, "services")
    port = draft.agreed("services.tomcat_tls.port")
    if port is not None:
        found["tomcat_tls"] = TomcatTls(port=int(port))
        draft.say("services.tomcat_tls.reload", UNTOLD["services.tomcat_tls.reload"])
    return Services(**found)


def _look_back(draft: _Draft, made: Environment) -> None:
    """What the plan cannot say: things that no environment declares, and that are in its way."""
    for host, state in draft.surveys.items():
        written, lineage = state.get("environment"), state.get("lineage")
        for text in _asides(state):
            draft.say("", f"{host}: {text}")
        if written not in (None, made.name):
            draft.say("", f"{host} has been written by an environment called {written}, not {made.name}")
        if lineage not in (None, made.router):
            draft.say(
                "", f"{host}: certbot's lineage is called {lineage}; {made.router} will be ordered anew"
            )


def _asides(state: State) -> Iterable[str]:
    if left := state.get("left alone"):
        yield f"left alone: certbot is also called by {left}; remove that once our own job is there"
    if sites := state.get("other sites"):
        yield f"left alone: Apache answers for this name by {sites} too; disable it once ours are there"
    if keys := state.get("other keys"):
        account = state.get("sync.account")
        yield f"left alone: {keys} keys that are not ours open {account}; remove them once ours are there"
    if state.get("without root"):
        yield "it was looked at without root; settings that only root can see are missing here"
    if hidden := state.get("hidden"):
        yield f"the account may not see all that was asked for: {hidden}"


def _shown(value: Value) -> str:
    return "none" if value is None else str(value)
