"""The certificate: issued, renewed, distributed, switched and proven; rows S9, S13 to S16."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.blueprint import renewal, templates, ways
from reconciler.blueprint.effective import all_commands, right_clock
from reconciler.blueprint.node import PROBE_URL, parents, probe_text
from reconciler.blueprint.parts import once, part
from reconciler.environment.settings import CURVES, Environment, Host
from reconciler.kinds.certificate.answer import Answer
from reconciler.kinds.certificate.delivery_key import PINS, DeliveryKey, DeliveryPins
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.outside import Outside, Reachable
from reconciler.kinds.certificate.pair import GROUP, Trust
from reconciler.kinds.certificate.release import INCOMING, STORE, TOOL, Arrival, Current, Delivery, Release
from reconciler.kinds.certificate.serving import Serving, TlsService
from reconciler.kinds.cron import Cron
from reconciler.kinds.directory import Directory
from reconciler.kinds.effective.apache import ApacheSites
from reconciler.kinds.effective.postgresql import PostgresqlSettings
from reconciler.kinds.effective.tomcat import TomcatConnector
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.service import Service
from reconciler.kinds.symlink import Symlink
from reconciler.model import Joint, Ref, Resource, quote
from reconciler.questions.tls import COMPLAINT
from reconciler.refs import flat
from reconciler.subjects import Subject

LEDGER = "/var/lib/reconciler/orders"
"""The ledger of orders, which certificate.sh keeps."""


def trust(env: Environment) -> Trust:
    """What every certificate of the environment is checked against."""
    curve = CURVES.get(env.certificate.key_type)
    key = f"ECDSA {curve}" if curve else Trust.key
    return Trust(env.names, env.certificate.trusted, env.certificate.key_size, key)


def lineage(env: Environment) -> Ref:
    """The certificate as it was issued, on the primary."""
    return Ref(env.primary.name, Lineage.kind, env.router)


def _script(env: Environment) -> str:
    return f"{env.paths.letsencrypt}/renewal/certificate.sh"


def _hook(env: Environment, name: str) -> str:
    return f"{env.paths.letsencrypt}/renewal/manual-{name}-hook.sh"


def _renewal_script(env: Environment) -> str:
    settings = {
        "router": env.router,
        "names": " ".join(env.names),
        "hosts": " ".join(host.name for host in env.hosts),
        "folder": env.paths.letsencrypt,
        **renewal.variables(env.certificate),
        "auth_hook": _hook(env, "auth"),
        "cleanup_hook": _hook(env, "cleanup"),
    }
    return templates.script("certificate.sh", env.name, settings, part="caa.sh")


def _limits(env: Environment) -> str:
    values = renewal.variables(env.certificate)
    settings = {"ledger": LEDGER, **{name: values[name] for name in ("orders_a_week", "failures_an_hour")}}
    return f"{templates.functions('certificate.sh', ('say', 'limits'), settings)}\nlimits"


def _caa(env: Environment) -> str:
    values = renewal.variables(env.certificate)
    settings = {
        "names": " ".join(env.names),
        "folder": env.paths.letsencrypt,
        "router": env.router,
        "resolver": values["resolver"],
        "ca_bundle": values["ca_bundle"],
    }
    parts = ("caa", "caa_identities", "caa_accounts", "caa_answers", "caa_judged")
    return f"{templates.functions('caa.sh', parts, settings)}\ncaa {quote(env.certificate.server)}"


@part(Subject.CERTIFICATE)
def issued(env: Environment, host: Host) -> Iterable[Resource]:
    """S9: ordered on the primary once every host answers for every name; what counts is its files."""
    script = _script(env)
    yield File(
        host=host.name,
        path=script,
        content=_renewal_script(env) if host.primary else None,
        mode="0755",
        check="sh -n {}",
        absent=not host.primary,
    )
    if host.primary:
        yield Package(host=host.name, package="bind9-dnsutils")
    needs = [Ref(host.name, File.kind, script), Ref(host.name, Package.kind, "certbot")]
    if host.primary:
        needs += [Ref(host.name, Package.kind, "bind9-dnsutils"), right_clock(host), all_commands(host)]
        needs += [Ref(host.name, File.kind, _hook(env, name)) for name in ("auth", "cleanup")]
    else:
        # What this host serves from certbot's folder, it must serve from ours first.
        needs = [Ref(host.name, Serving.kind, env.router)]
    yield Lineage(
        host=host.name,
        router=env.router,
        folder=env.paths.letsencrypt,
        script=script,
        limits=_limits(env),
        caa=_caa(env) if host.primary else "",
        server=env.certificate.server,
        trust=trust(env),
        renewal=(
            ("server", env.certificate.server),
            ("authenticator", "manual"),
            *_key(env),
            ("pref_challs", "http-01,"),
            ("manual_auth_hook", _hook(env, "auth")),
            ("manual_cleanup_hook", _hook(env, "cleanup")),
        ),
        spare=f"{STORE}/current",
        contact=env.certificate.email,
        overdue=env.certificate.overdue / 100,
        needs=tuple(needs),
        for_order=tuple(_ready(env)) if host.primary else (),
        absent=not host.primary,
    )


def _key(env: Environment) -> Iterable[tuple[str, str]]:
    """What certbot's renewal file says of the key that the next renewal makes."""
    curve = CURVES.get(env.certificate.key_type)
    return (("key_type", "ecdsa"), ("elliptic_curve", curve)) if curve else (("key_type", "rsa"),)


def _ready(env: Environment) -> Iterable[Ref]:
    """What every host must have before an order, because the CA may ask any of them."""
    for host in env.hosts:
        yield Ref(host.name, "directory", env.paths.challenge)
        yield Ref(host.name, "acl", env.paths.challenge)
        if env.services.apache:
            yield Ref(host.name, Answer.kind, PROBE_URL)
        for other in ways.proven_to(env, host):
            yield Ref(other.name, "ssh_access", f"{env.sync.account}@{host.name}")


@part(Subject.CERTIFICATE)
def renewed(env: Environment, host: Host) -> Iterable[Resource]:
    """S13: cron renews on the primary; certbot's own timer runs nowhere."""
    yield Cron(
        host=host.name,
        job="reconcile-certificate",
        schedule=env.certificate.schedule,
        command=f"sh {_script(env)} renew {env.certificate.jitter}",
        absent=not host.primary,
    )
    if host.primary:
        # A schedule that nothing reads is noticed when the certificate has expired.
        yield Service(host=host.name, unit="cron", enabled=True)
    timer = "certbot.timer"
    yield Service(host=host.name, unit=timer, absent=True)
    yield Symlink(
        host=host.name,
        path=f"/etc/systemd/system/{timer}",
        target="/dev/null",
        needs=(Ref(host.name, Service.kind, timer),),
    )


def _tool(env: Environment, host: Host) -> File:
    settings = {"store": STORE, "group": GROUP, "keys": env.sync.keys, "complaint": COMPLAINT}
    content = templates.script("release.sh", env.name, settings)
    return File(host=host.name, path=TOOL, content=content, mode="0755", check="sh -n {}")


@part(Subject.DISTRIBUTION)
def distributed(env: Environment, host: Host) -> Iterable[Resource]:
    """S14: from the primary to every host, into a new folder, checked there before it is used."""
    incoming = f"{env.sync.folder}/{INCOMING}"
    yield Package(host=host.name, package=GROUP)
    yield Directory(host=host.name, path=TOOL.rsplit("/", 1)[0])
    yield _tool(env, host)
    pins = Ref(host.name, DeliveryPins.kind, PINS)
    yield Release(
        host=host.name,
        router=env.router,
        lineage=lineage(env),
        trust=trust(env),
        users=_users(env),
        source=f"{env.paths.letsencrypt}/live/{env.router}" if host.primary else incoming,
        account=None if host.primary else env.sync.account,
        sender=None if host.primary else env.primary.name,
        needs=(
            Ref(host.name, Package.kind, GROUP),
            Ref(host.name, File.kind, TOOL),
            *(Ref(host.name, "account", user) for user in _users(env)),
            *(() if host.primary else (Ref(env.primary.name, Delivery.kind, host.name), pins)),
        ),
    )
    yield Current(host=host.name, needs=(Ref(host.name, Release.kind, env.router),))
    if env.paths.certificate != Current.path:
        for parent in parents(env.paths.certificate):
            # Services that do not run as root must be able to pass.
            yield Directory(host=host.name, path=parent, mode="0755")
        yield Symlink(host=host.name, path=env.paths.certificate, target=Current.path)


@part(Subject.DISTRIBUTION)
def delivered(env: Environment, host: Host) -> Iterable[Resource]:
    """S14: the pair on its way to the replicas: signed by root on the primary and encrypted to root over
    there, by keys that the hosts are told of each other; the sync account carries it."""
    if not env.replicas:
        return
    key = DeliveryKey(host=host.name)
    peers = env.replicas if host.primary else (env.primary,)
    pins = DeliveryPins(
        host=host.name,
        path=PINS,
        tag=env.tag,
        keys_of=tuple((peer.name, Ref(peer.name, DeliveryKey.kind, key.path)) for peer in peers),
    )
    yield from (key, pins)
    account, incoming = env.sync.account, f"{env.sync.folder}/{INCOMING}"
    if not host.primary:
        sender = env.primary.name
        yield Arrival(host=host.name, folder=incoming, account=account, sender=sender, trust=trust(env))
        return
    for peer in env.replicas:
        yield Delivery(
            host=host.name,
            peer=peer.name,
            lineage=lineage(env),
            arrival=Ref(peer.name, Arrival.kind, incoming),
            account=account,
            identity=env.sync.identity,
            known_hosts=env.sync.known_hosts,
            port=env.sshd_port(peer),
            needs=(
                Ref(host.name, Release.kind, env.router),
                Ref(host.name, "ssh_access", f"{account}@{peer.name}"),
                pins.ref,
            ),
        )


def _users(env: Environment) -> tuple[str, ...]:
    used = {"postgres": env.services.postgresql, "tomcat": env.services.tomcat}
    return tuple(user for user, version in used.items() if version)


@part(Subject.ROLLOUT)
def served(env: Environment, host: Host) -> Iterable[Resource]:
    """S15, S16: no host switches before all have it that can; then one host after another, the
    primary last. If a service does not prove it, that host gets the old one back."""
    yield Serving(
        host=host.name,
        router=env.router,
        lineage=lineage(env),
        trust=trust(env),
        endpoints=tuple(endpoints(env, host)),
        settle=env.certificate.settle,
        deadline=env.certificate.deadline,
        keep=env.certificate.keep,
        max_failed=env.certificate.max_failed,
        patience=env.certificate.wait_for_hosts,
        overdue=env.certificate.overdue / 100,
        needs=tuple(_on_this_host(env, host)),
        follows=tuple(_elsewhere(env, host)),
        rollout=_rollout(env)[0],
    )


@part(Subject.ROLLOUT)
def proven_outside(env: Environment, host: Host) -> Iterable[Resource]:
    """S15, S16: what a host's clients get is looked at from the next host."""
    other = ways.next_to(env, host).name
    mine = tuple(endpoints(env, host))
    serving, answer = Ref(host.name, Serving.kind, env.router), None
    services = tuple(ref for ref in _on_this_host(env, host) if ref.kind == Service.kind)
    outside = Outside(
        host=other, peer=host.name, router=env.router, endpoints=mine, needs=(serving, *services)
    )
    if env.services.apache:
        answer = Ref(host.name, Answer.kind, PROBE_URL)
        outside = replace(outside, web=(PROBE_URL, probe_text(env, host)), needs=(*outside.needs, answer))
    yield outside
    yield Reachable(
        host=host.name,
        seen_from=other,
        outside=outside.ref,
        serving=serving,
        answer=answer,
        endpoints=mine,
        names=(env.router, host.name),
        needs=(serving, *([answer] if answer else [])),
    )


@once
def _rollout(env: Environment) -> tuple[tuple[Ref, ...], Joint, list[Joint]]:
    """What switches the hosts; that all have it staged; and for each wave, that it has switched, and those
    before it."""
    size = env.certificate.max_unavailable
    replicas = [Ref(each.name, Serving.kind, env.router) for each in env.replicas]
    releases = tuple(Ref(each.name, Release.kind, env.router) for each in env.hosts)
    waves: list[Joint] = []
    for start in range(0, len(replicas), size):
        wave = replicas[start : start + size]
        waves.append(Joint(f"serving on the first {start + len(wave)} hosts", (*waves[-1:], *wave)))
    serving = tuple(Ref(each.name, Serving.kind, env.router) for each in env.hosts)
    return serving, Joint("release on every host", releases), waves


def _elsewhere(env: Environment, host: Host) -> Iterable[Ref | Joint]:
    """The other hosts have it staged, and those before this one in the rollout have switched. Of many hosts
    that is said once for all, or there would be as many refs as there are pairs."""
    _, staged, waves = _rollout(env)
    before = len(waves) if host.primary else _place(env)[host.name] // env.certificate.max_unavailable
    named = (staged, *waves[max(before - 1, 0) : before])
    if not ways.are_few(env):
        return named
    own = Ref(host.name, Release.kind, env.router)
    return [ref for ref in flat(named) if ref != own]


@once
def _place(env: Environment) -> dict[str, int]:
    """Where in the rollout each replica comes."""
    return {each.name: number for number, each in enumerate(env.replicas)}


def _on_this_host(env: Environment, host: Host) -> Iterable[Ref]:
    yield Ref(host.name, Release.kind, env.router)
    yield Ref(host.name, Current.kind, Current.path)
    services = env.services
    units = (
        ("apache2", services.apache, ApacheSites.kind),
        (f"postgresql@{services.postgresql}-main", services.postgresql, PostgresqlSettings.kind),
        (f"tomcat{services.tomcat}", services.tomcat, TomcatConnector.kind),
    )
    for unit, used, judged in units:
        if used:
            yield Ref(host.name, Service.kind, unit)
            # A reload with a configuration that is void would serve another certificate, or end the service.
            yield Ref(host.name, judged, unit)


def endpoints(env: Environment, host: Host) -> Iterable[TlsService]:
    """The services of a host that use the certificate, in the order in which they switch."""
    services = env.services
    names = (env.router, host.name, None)
    if services.apache:
        yield TlsService("apache", 443, "tls", "apache2ctl -t", "systemctl reload apache2", "apache2", names)
    if services.postgresql:
        unit = f"postgresql@{services.postgresql}-main"
        yield TlsService("postgresql", 5432, "postgresql", None, f"systemctl reload {unit}", unit, (None,))
    if services.tomcat and services.tomcat_tls:
        tls = services.tomcat_tls
        unit = f"tomcat{services.tomcat}"
        reload = tls.reload or f"systemctl restart {unit}"
        yield TlsService("tomcat", tls.port, "tls", None, reload, unit, names)
