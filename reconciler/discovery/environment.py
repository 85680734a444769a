"""From the surveys of hosts to the environment that declares them as they are. Pure.

The primary is the host with certbot's lineage; the settings of the certificate are taken from there,
all others as most hosts have them. What cannot be determined becomes a remark, never a guess.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.discovery.further import Found, entries
from reconciler.discovery.parsing import key_settings, second_ca
from reconciler.environment.certificate import LETS_ENCRYPT, Certificate
from reconciler.environment.services import Services, TomcatTls
from reconciler.environment.settings import Environment, Host, Paths, Ssh, Sync
from reconciler.model import State, Value

UNDETERMINED = {
    "certificate.administrators": "who is notified of a renewal cannot be found out: no hook names anybody",
    "certificate.email": "the contact of the account at the CA cannot be found out: certbot did not keep it",
    "certificate.ping": "no host shows the path of its health check; DataONE's is /cn/v2/monitor/ping",
    "services.client_ca": "no vhost of this name has an SSLCACertificateFile",
    "services.tomcat_tls.reload": "cannot be found out; without it Tomcat is restarted for a certificate",
}
"""The remark for a setting that no host shows."""

Surveys = Mapping[str, State]
"""The states of `Survey`, by the names of the hosts."""


class Undetermined(ValueError):
    """The hosts do not show enough for an environment; the message says what is missing, and `setting` which
    field of `ImportInput` it is."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True)
class ImportInput:
    """What the command line says; it takes precedence over what hosts show."""

    name: str
    hosts: tuple[Host, ...]
    ssh: Ssh = field(default_factory=Ssh)
    primary: str | None = None
    router: str | None = None
    roots: str | None = None
    fallback_roots: str | None = None


@dataclass
class _Draft:
    """What there is to go by, and the remarks so far, by the setting they are about."""

    given: ImportInput
    surveys: Surveys
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def remark(self, name: str, remark: str) -> None:
        self.remarks.setdefault(name, []).append(remark)

    def majority(self, name: str) -> Value:
        """The value that most hosts have, with a remark for each host that has another."""
        values = {host: state[name] for host, state in self.surveys.items() if state.get(name) is not None}
        if not values:
            return None
        chosen = _most_common(values.values())
        for host, value in values.items():
            if value != chosen:
                self.remark(name, f"{host} has {value}, which is not what most hosts have")
        return chosen

    def hosts_with(self, name: str) -> list[str]:
        """The hosts that show a fact."""
        return [host for host, state in self.surveys.items() if state.get(name)]


def _most_common(values: Iterable[Value]) -> Value:
    """The value that occurs most often; of several such the last one by name."""
    counted = Counter(values)
    return max(counted, key=lambda value: (counted[value], str(value)))


def environment_name(surveys: Surveys) -> str:
    """The name of the environment that has written the files of most hosts.

    Raises `Undetermined` if no host has such files.
    """
    names = [state["environment"] for state in surveys.values() if state.get("environment")]
    if not names:
        raise Undetermined("these hosts belong to no environment yet; name the new one with --name", "name")
    return str(_most_common(names))


def environment(given: ImportInput, surveys: Surveys) -> tuple[Environment, dict[str, list[str]]]:
    """The environment, and the remarks by the setting that they are about ("" for none).

    Raises `Undetermined` if no router name can be found.
    """
    draft = _Draft(given, surveys)
    router = given.router or draft.majority("router") or _only_lineage(draft)
    if not router:
        raise Undetermined(
            "no host shows the router's name, neither as cn.router.hostname in"
            " /etc/dataone/node.properties nor as certbot's only lineage; give it with --router",
            "router",
        )
    hosts = _hosts(draft)
    primary = next((host.name for host in hosts if host.primary), hosts[0].name)
    certificate = _certificate(draft, str(router), primary)
    known = {host.name: surveys.get(host.name, {}) for host in hosts}
    made = Environment(
        name=given.name,
        router=str(router),
        hosts=hosts,
        ssh=given.ssh,
        sync=Sync(**_section(draft, Sync, "sync")),
        certificate=certificate,
        ordered=entries(Found(known, primary, str(router), certificate, draft.remark)),
        paths=Paths(**_section(draft, Paths, "paths")),
        services=_services(draft),
    )
    _remark_on_hosts(draft, made)
    return made, draft.remarks


def _only_lineage(draft: _Draft) -> Value:
    lineages = {state["lineage"] for state in draft.surveys.values() if state.get("lineage")}
    return lineages.pop() if len(lineages) == 1 else None


def _hosts(draft: _Draft) -> tuple[Host, ...]:
    """The hosts in the order in which node.properties names them, one of them the primary."""
    named = str(draft.majority("hosts") or "").split()
    given = {host.name: host for host in draft.given.hosts}
    missing = [name for name in named if name not in given]
    if missing:
        draft.remark("hosts", f"environment.hosts also names {', '.join(missing)}: not given with --host")
    order = [name for name in named if name in given]
    order += [name for name in given if name not in order]
    primary = _primary(draft, order)
    return tuple(replace(given[name], primary=name == primary) for name in order)


def _primary(draft: _Draft, hosts: Sequence[str]) -> str:
    """The host with certbot's lineage; of several, since the procedure copies it to every host, the
    one that renews it."""
    if draft.given.primary:
        return draft.given.primary
    candidates = [host for host in hosts if host in draft.hosts_with("lineage")]
    for fact in ("renewed by", "timer"):
        if len(candidates) > 1:
            candidates = [host for host in candidates if host in draft.hosts_with(fact)] or candidates
    if len(candidates) == 1:
        return candidates[0]
    why = (
        f"certbot's lineage is on each of {', '.join(candidates)}"
        if candidates
        else "certbot's lineage is on none of them"
    )
    draft.remark("hosts", f"the primary cannot be found out: {why}; check the one chosen here (--primary)")
    return (candidates or list(hosts))[0]


def _section(draft: _Draft, cls: type[Any], section: str) -> dict[str, Any]:
    """The settings of a section, as most hosts have them."""
    found = {}
    for each in dataclasses.fields(cls):
        name = f"{section}.{each.name}"
        value = draft.majority(name) if "doc" in each.metadata else None
        if value is not None:
            found[each.name] = value
        elif name in UNDETERMINED:
            draft.remark(name, UNDETERMINED[name])
    return found


def _certificate(draft: _Draft, router: str, primary: str) -> Certificate:
    """What the primary shows; copies of certbot's folder on other hosts do not count."""
    own = _only(draft, primary)
    found = _section(own, Certificate, "certificate")
    mine = draft.surveys.get(primary, {})
    known = {router.lower(), *(host.name.lower() for host in draft.given.hosts)}
    found["names"] = tuple(name for name in str(mine.get("names", "")).split() if name not in known)
    found |= key_settings(mine.get("key"), found)
    if draft.majority("services.portal"):
        found.pop("key_type", None)  # the portal takes RSA alone: the plan replaces the certificate
    if found.get("key_type", "rsa") != "rsa":
        found.pop("key_size", None)
    if draft.given.roots:
        found["roots"] = draft.given.roots
    elif found.get("server", LETS_ENCRYPT) != LETS_ENCRYPT:
        draft.remark(
            "certificate.roots", "the CA is not Let's Encrypt's; its roots cannot be found out (--roots)"
        )
    of = {name.removeprefix("certificate."): value for name, value in mine.items()}
    if second := second_ca(of, found.get("email")):
        found["fallback"] = replace(second, roots=draft.given.fallback_roots)
        if not draft.given.fallback_roots and second.server != LETS_ENCRYPT:
            why = "the second CA is not Let's Encrypt's; its roots cannot be found out (--fallback-roots)"
            draft.remark("certificate.fallback", why)
    if not mine.get("lineage"):
        draft.remark("certificate.names", f"{primary} has no lineage of {router}; one will be ordered")
    return Certificate(**found)


def _only(draft: _Draft, host: str) -> _Draft:
    """The draft as if there were no other host; its remarks are the same."""
    return _Draft(draft.given, {host: draft.surveys.get(host, {})}, draft.remarks)


def _services(draft: _Draft) -> Services:
    found = _section(draft, Services, "services")
    port = draft.majority("services.tomcat_tls.port")
    if port is not None:
        found["tomcat_tls"] = TomcatTls(port=int(port))
        draft.remark("services.tomcat_tls.reload", UNDETERMINED["services.tomcat_tls.reload"])
    return Services(**found)


def _remark_on_hosts(draft: _Draft, made: Environment) -> None:
    """Remarks on what no plan shows: things in its way that no environment declares."""
    for host, state in draft.surveys.items():
        written, lineage = state.get("environment"), state.get("lineage")
        for text in _not_declared(state):
            draft.remark("", f"{host}: {text}")
        if written not in (None, made.name):
            draft.remark("", f"{host} belongs to the environment {written}, not to {made.name}")
        if lineage not in (None, made.router):
            text = f"certbot's lineage is named {lineage}; a new one named {made.router} will be ordered"
            draft.remark("", f"{host}: {text}")


def _not_declared(state: State) -> Iterable[str]:
    if left := state.get("left alone"):
        yield f"not changed: certbot is also run by {left}; remove that once our own job is there"
    if sites := state.get("other sites"):
        yield f"not changed: {sites} also make Apache answer to this name; disable them once ours are there"
    if keys := state.get("other keys"):
        opened = f"{keys} keys that are not ours open {state.get('sync.account')}"
        yield f"not changed: {opened}; once ours are there they open nothing"
    if state.get("without root"):
        yield "observed without root; settings that only root can see are missing here"
    if hidden := state.get("hidden"):
        yield f"the login account may not see: {hidden}"
