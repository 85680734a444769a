"""The certificates that are ordered: how each is issued and renewed; rows S9 and S13."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.blueprint import renewal, templates, ways
from reconciler.blueprint.effective import all_commands, right_clock
from reconciler.blueprint.managed import Managed, ended, managed
from reconciler.blueprint.node import PROBE_URL, REDIRECTED_URL, redirects
from reconciler.blueprint.parts import part
from reconciler.blueprint.revocation import compromised
from reconciler.environment.certificate import CURVES, Certificate
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.answer import Answer
from reconciler.kinds.certificate.compromised import NONE
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.ordering import SecondAuthority
from reconciler.kinds.certificate.returning import Returning
from reconciler.kinds.certificate.store import INCOMING, Store
from reconciler.kinds.cron import Cron
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.service import Service
from reconciler.kinds.symlink import Symlink
from reconciler.model import Ref, Resource, quote
from reconciler.subjects import Subject

PARTS = ("caa.sh", "revoke.sh")
"""The scripts whose functions the renewal script has."""


def _renewal_script(each: Managed) -> str:
    settings = {
        "router": each.name,
        "names": " ".join(each.names),
        "hosts": " ".join(host.name for host in each.hosts),
        "folder": each.env.paths.letsencrypt,
        **renewal.variables(each.settings),
        "auth_hook": each.hook("auth"),
        "cleanup_hook": each.hook("cleanup"),
        **renewal.optional(each.settings),
    }
    parts, instead = [*PARTS], {**_kept(each.store)}
    if each.settings.profile:
        parts.append("profile.sh")
        instead["  allowed || return 1\n"] = "  allowed && profile_can_be_had || return 1\n"
    if each.env.certificate.redirects:
        instead |= _not_to_itself(each.env.primary.name)
    if each.settings.fallback:
        parts.append("fallback.sh")
        instead |= AT_EITHER
    return templates.script("certificate.sh", each.env.name, settings, parts, instead)


AT_EITHER: Final = {
    '[ -n "$now" ] && [ -s "$ledger" ] || return 0': (
        '[ -n "$now" ] && [ -s "$ledger" ] && ! second_has_issued "$now" || return 0'
    ),
    "  force=\n": "  at_home || return 1\n  force=\n",
    'preflight | limits | begun) "$1" ;;': (
        'preflight | limits) "$1" ;;\nbegun) [ "${RECONCILE_CA:-}" != second ] || second; begun ;;'
    ),
    'order) order "': 'order) either order "',
    'renew) renew "': 'renew) either renew "',
    'revoke) revoke "': 'revoke) ! second_has_issued "${2:?SERIAL}" || second; revoke "',
}
"""Texts of the script, and what stands in their place where a second CA is declared (fallback.sh)."""


def _not_to_itself(primary: str) -> Mapping[str, str]:
    """Hosts redirect challenges to the primary: one that is asked by the primary's name would send the
    preflight back to itself. The CA asks for that name only where the DNS says that it is."""
    fetch = 'fetch "$name" "$address" "${whose:-no host of ours}" &'
    asked = f'[ "$name" != {quote(primary)} ] || printf \'%s\\n\' "$found" | grep -qxF -- "$address"'
    return {fetch: f"if {asked}; then {fetch} fi"}


def _kept(store: Store) -> Mapping[str, str]:
    """What the script keeps of one that is not the environment's own; the lock stays one, for certbot does
    one thing at a time."""
    if not store.name:
        return {}
    return {"ledger=$state/orders": f"ledger={store.ledger}", "$state/ari": store.ari}


def _limits(each: Managed, ledger: str) -> str:
    values = renewal.variables(each.settings)
    limits = {name: values[name] for name in ("orders_a_week", "failures_an_hour")}
    settings = {"ledger": ledger, **limits}
    return f"{templates.functions('certificate.sh', ('say', 'limits'), settings)}\nlimits"


def _caa(each: Managed, server: str, ca_bundle: str | None) -> str:
    values = renewal.variables(each.settings)
    settings = {
        "names": " ".join(each.names),
        "folder": each.env.paths.letsencrypt,
        "router": each.name,
        **{name: values[name] for name in ("challenge", "resolver")},
        "ca_bundle": ca_bundle or "",
    }
    parts = ("caa", "caa_identities", "caa_accounts", "caa_answers", "caa_asked", "caa_judged")
    return f"{templates.functions('caa.sh', parts, settings)}\ncaa {quote(server)}"


def _second(each: Managed) -> SecondAuthority | None:
    if (of := each.settings.fallback) is None:
        return None
    ledger = f"{each.store.ledger}.second"
    caa = _caa(each, of.server, of.ca_bundle)
    return SecondAuthority(of.server, ledger=ledger, limits=_limits(each, ledger), caa=caa)


@part(Subject.CERTIFICATE)
def issued(env: Environment, host: Host) -> Iterable[Resource]:
    """S9: ordered on the primary once every host answers for every name; what counts is its files."""
    for each in (*managed(env), *ended(env)):
        yield from _issued(each, host)


def _issued(each: Managed, host: Host) -> Iterable[Resource]:
    env, settings = each.env, each.settings
    here = host.primary and not each.absent
    script = File(
        host=host.name,
        path=each.script,
        content=_renewal_script(each) if here else None,
        mode="0755",
        check="sh -n {}",
        absent=not here,
    )
    yield script
    if here:
        yield Package(host=host.name, package="bind9-dnsutils")
    yield Lineage(
        host=host.name,
        router=each.name,
        folder=env.paths.letsencrypt,
        script=each.script,
        limits=_limits(each, each.store.ledger),
        caa=_caa(each, settings.server, settings.ca_bundle) if here else "",
        second=_second(each) if here else None,
        server=settings.server,
        trust=each.trust,
        renewal=(
            ("server", settings.server),
            ("authenticator", "manual"),
            *_key(settings),
            ("pref_challs", f"{settings.challenge},"),
            ("manual_auth_hook", each.hook("auth")),
            ("manual_cleanup_hook", each.hook("cleanup")),
        ),
        spare=each.store.current,
        contact=settings.email,
        profile=settings.profile,
        overdue=settings.overdue / 100,
        needs=tuple(_before(each, host)),
        for_order=tuple(_ready(each)) if here and settings.on_port_80 else (),
        hook=settings.dns_hook,
        ari=each.store.ari,
        compromised=compromised(each) if here else NONE,
        returning=_returning(each) if here and each.replicas else None,
        absent=not here,
    )


def _returning(each: Managed) -> Returning:
    sync = each.env.sync
    ports = ((peer.name, each.env.sshd_port(peer)) for peer in each.replicas)
    return Returning(
        peers=each.arrivals,
        folder=f"{sync.folder}/{INCOMING}",
        account=sync.account,
        identity=sync.identity,
        known_hosts=sync.known_hosts,
        ports=tuple(each for each in ports if each[1] != 22),
        store=each.store,
    )


def _before(each: Managed, host: Host) -> Iterable[Ref]:
    if host.primary and not each.absent:
        yield from (Ref(host.name, File.kind, each.script), Ref(host.name, Package.kind, "certbot"))
        yield from (Ref(host.name, Package.kind, "bind9-dnsutils"), right_clock(host), all_commands(host))
        yield from (Ref(host.name, File.kind, each.hook(name)) for name in ("auth", "cleanup"))
    elif host in each.hosts and not each.absent:
        # What this host serves from certbot's folder, it must serve from ours first.
        yield each.serving(host)


def _key(settings: Certificate) -> Iterable[tuple[str, str]]:
    """What certbot's renewal file says of the key that the next renewal makes."""
    if curve := CURVES.get(settings.key_type):
        return ("key_type", "ecdsa"), ("elliptic_curve", curve)
    # certbot's own is 2048 (constants.py, CLI_DEFAULTS), and its file need not say that.
    size = settings.key_size
    return ("key_type", "rsa"), *([("rsa_key_size", str(size))] if size > 2048 else [])


def _ready(each: Managed) -> Iterable[Ref]:
    """What every host must have before an order, because the CA may ask any of them."""
    env = each.env
    for host in env.hosts:
        yield Ref(host.name, "directory", env.paths.challenge)
        yield Ref(host.name, "acl", env.paths.challenge)
        if env.services.apache:
            yield Ref(host.name, Answer.kind, PROBE_URL)
        if redirects(env, host):
            yield Ref(host.name, Answer.kind, REDIRECTED_URL)
        if env.certificate.redirects:
            continue
        for other in ways.proven_to(env, host):
            yield Ref(other.name, "ssh_access", f"{env.sync.account}@{host.name}")


@part(Subject.CERTIFICATE)
def renewed(env: Environment, host: Host) -> Iterable[Resource]:
    """S13: cron renews on the primary; certbot's own timer runs nowhere."""
    for each in (*managed(env), *ended(env)):
        yield Cron(
            host=host.name,
            job=each.job,
            schedule=each.settings.schedule,
            command=f"sh {each.script} renew {each.settings.jitter}",
            absent=not host.primary or each.absent,
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
