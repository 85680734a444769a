"""The rollout: hosts switch one after another, and what their clients get is proven; rows S15 and S16."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.blueprint import ways
from reconciler.blueprint.managed import Managed, on
from reconciler.blueprint.node import PROBE_URL, probe_text
from reconciler.blueprint.outside import named, of_consumer, proven
from reconciler.blueprint.parts import part
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.answer import Answer
from reconciler.kinds.certificate.outside import Outside, Reachable
from reconciler.kinds.certificate.release import Current
from reconciler.kinds.certificate.serving import Serving, TlsService
from reconciler.kinds.effective.apache import ApacheSites
from reconciler.kinds.effective.postgresql import PostgresqlSettings
from reconciler.kinds.effective.tomcat import TomcatConnector
from reconciler.kinds.service import Service
from reconciler.model import Joint, Ref, Resource
from reconciler.refs import flat
from reconciler.subjects import Subject


@part(Subject.ROLLOUT)
def served(env: Environment, host: Host) -> Iterable[Resource]:
    """S15, S16: no host switches before all have it that can; then one host after another, the
    primary last. If a service does not prove it, that host gets the old one back. Each certificate has a
    rollout of its own, and what goes wrong with one holds up no other."""
    for each in on(env, host):
        yield Serving(
            host=host.name,
            router=each.name,
            lineage=each.lineage,
            trust=each.trust,
            endpoints=tuple(endpoints(each, host)),
            settle=each.settings.settle,
            deadline=each.settings.deadline,
            keep=each.settings.keep,
            max_failed=each.settings.max_failed,
            patience=each.settings.wait_for_hosts,
            overdue=each.settings.overdue / 100,
            store=each.store,
            needs=tuple(_on_this_host(each, host)),
            follows=tuple(_before(each, host)),
            tried_first=each.rollout.canaries_before(host),
            waves=each.rollout.words if _is_told(each) else "",
            rollout=each.rollout.serving,
        )


@part(Subject.ROLLOUT)
def proven_outside(env: Environment, host: Host) -> Iterable[Resource]:
    """S15, S16: what a host's clients get is looked at from the next host."""
    for each in on(env, host):
        if each.is_own:
            yield from _proven_own(each, host)
        elif endpoints(each, host):
            yield from _proven(each, host)


def _proven_own(each: Managed, host: Host) -> Iterable[Resource]:
    env = each.env
    outside, reachable = _proven(each, host)
    if env.services.apache and each.settings.on_port_80:
        answer = Ref(host.name, Answer.kind, PROBE_URL)
        web = (PROBE_URL, probe_text(env, host))
        outside = replace(outside, web=web, needs=(*outside.needs, answer))
        reachable = replace(reachable, answer=answer, needs=(*reachable.needs, answer))
    yield from (outside, reachable)


def _proven(each: Managed, host: Host) -> tuple[Outside, Reachable]:
    return proven(
        each.env,
        host,
        tuple(endpoints(each, host)),
        each.serving(host),
        (ref for ref in _on_this_host(each, host) if ref.kind == Service.kind),
        certificate=each.store.name,
        names=(each.env.router, host.name) if each.is_own else (),
    )


def _before(each: Managed, host: Host) -> Iterable[Ref | Joint]:
    """What comes before a host's switch on others. Of many hosts that is said once for all, or there would be
    as many refs as there are pairs."""
    named = each.rollout.before(host)
    if not ways.are_few(each.env):
        return named
    own = each.release(host)
    return [ref for ref in flat(named) if ref != own]


def _is_told(each: Managed) -> bool:
    """Whether the file has more to say of the waves than a number at a time."""
    return each.settings.canary > 0 or isinstance(each.settings.max_unavailable, str)


def _on_this_host(each: Managed, host: Host) -> Iterable[Ref]:
    yield each.release(host)
    yield Ref(host.name, Current.kind, each.store.current)
    yield from _own_services(each, host)
    for unit in dict.fromkeys(one.unit for one in each.env.consumers_on(host, each.consumers)):
        yield Ref(host.name, Service.kind, unit)


def _own_services(each: Managed, host: Host) -> Iterable[Ref]:
    services, own = each.env.services, each.is_own
    units = (
        ("apache2", each.of_apache, ApacheSites.kind),
        (f"postgresql@{services.postgresql}-main", own and services.postgresql, PostgresqlSettings.kind),
        (f"tomcat{services.tomcat}", own and services.tomcat, TomcatConnector.kind),
    )
    for unit, used, judged in units:
        if used:
            yield Ref(host.name, Service.kind, unit)
            # A reload with a configuration that is void would serve another certificate, or end the service.
            yield Ref(host.name, judged, unit)


def endpoints(each: Managed, host: Host) -> list[TlsService]:
    """The services of a host that use a certificate, in the order in which they switch."""
    env, names = each.env, each.asked_as(host)
    further = env.consumers_on(host, each.consumers)
    return [
        *_own_endpoints(each, names),
        *(of_consumer(one, names, env.key_asked(one)) for one in further),
    ]


def _own_endpoints(each: Managed, names: tuple[str | None, ...]) -> Iterable[TlsService]:
    services = each.env.services
    if each.of_apache:
        key = each.settings.key if services.apache_also else ""
        check, reload = "apache2ctl -t", "systemctl reload apache2"
        yield TlsService(named("apache", key), 443, "tls", check, reload, "apache2", names, key)
    if not each.is_own:
        return
    if services.postgresql:
        unit = f"postgresql@{services.postgresql}-main"
        yield TlsService("postgresql", 5432, "postgresql", None, f"systemctl reload {unit}", unit, (None,))
    if services.tomcat and services.tomcat_tls:
        tls = services.tomcat_tls
        unit = f"tomcat{services.tomcat}"
        reload = tls.reload or f"systemctl restart {unit}"
        yield TlsService("tomcat", tls.port, "tls", None, reload, unit, names)
