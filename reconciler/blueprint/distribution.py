"""The distribution: from the primary to every host that gets a certificate, checked there before it is used;
row S14."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.blueprint import templates
from reconciler.blueprint.managed import Managed, on, own
from reconciler.blueprint.node import parents
from reconciler.blueprint.parts import part
from reconciler.blueprint.revocation import compromised
from reconciler.blueprint.ways import WRAPPER
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.arrival import Arrival
from reconciler.kinds.certificate.delivery_key import PINS, DeliveryKey, DeliveryPins
from reconciler.kinds.certificate.form import CertificateFile
from reconciler.kinds.certificate.pair import GROUP
from reconciler.kinds.certificate.release import Current, Delivery, Release
from reconciler.kinds.certificate.store import INCOMING, STORE, TOOL
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.symlink import Symlink
from reconciler.model import Ref, Resource
from reconciler.questions.tls import COMPLAINT, KEYS
from reconciler.subjects import Subject


def _tool(each: Managed, host: Host) -> File:
    settings = {
        "store": each.store.folder,
        "group": GROUP,
        "keys": each.env.sync.keys,
        "forms": " ".join(each.env.forms_on(host, each.consumers)),
        "complaint": COMPLAINT,
        "rsa": KEYS["RSA"],
        "ecdsa": KEYS["ECDSA"],
    }
    content = templates.script("release.sh", each.env.name, settings, instead=_delivery(each))
    return File(host=host.name, path=each.store.tool, content=content, mode="0755", check="sh -n {}")


def _delivery(each: Managed) -> Mapping[str, str]:
    """Several certificates are delivered into one folder, so each has a file of its own there. The account
    that owns the folder could exchange them, so what is staged has to be the one that was asked for."""
    if not each.others:
        return {}
    return {
        'rm -rf -- "$2"': f'rm -f -- "$2/{each.store.sealed}"',
        **({} if each.is_own else {"/delivery.cms": f"/{each.store.sealed}"}),
    }


@part(Subject.DISTRIBUTION)
def distributed(env: Environment, host: Host) -> Iterable[Resource]:
    """S14: from the primary to every host, into a new folder, checked there before it is used."""
    yield Package(host=host.name, package=GROUP)
    yield Directory(host=host.name, path=TOOL.rsplit("/", 1)[0])
    for each in on(env, host):
        if not each.is_own:
            # Services that do not run as root must be able to pass.
            yield Directory(host=host.name, path=f"{STORE}s", mode="0755")
        yield from _distributed(each, host)
    if env.paths.certificate != Current.path:
        for parent in parents(env.paths.certificate):
            yield Directory(host=host.name, path=parent, mode="0755")
        yield Symlink(host=host.name, path=env.paths.certificate, target=Current.path)


def _distributed(each: Managed, host: Host) -> Iterable[Resource]:
    env, script = each.env, _tool(each, host)
    yield script
    pins, users = Ref(host.name, DeliveryPins.kind, PINS), _users(each, host)
    yield Release(
        host=host.name,
        router=each.name,
        lineage=each.lineage,
        trust=each.trust,
        users=users,
        source=f"{env.paths.letsencrypt}/live/{each.name}" if host.primary else _incoming(env),
        account=None if host.primary else env.sync.account,
        sender=None if host.primary else env.primary.name,
        store=each.store,
        needs=(
            Ref(host.name, Package.kind, GROUP),
            script.ref,
            *(() if each.is_own else (Ref(host.name, Directory.kind, f"{STORE}s"),)),
            *(Ref(host.name, "account", user) for user in users),
            *(() if host.primary else (_delivery_to(each, host), pins)),
        ),
    )
    current = Current(host=host.name, store=each.store, path=each.store.current, needs=(each.release(host),))
    yield current
    for file in env.forms_on(host, each.consumers):
        yield CertificateFile(host=host.name, file=file, store=each.store, needs=(current.ref, script.ref))


def _incoming(env: Environment) -> str:
    return f"{env.sync.folder}/{INCOMING}"


def _delivery_to(each: Managed, peer: Host) -> Ref:
    name = f"{peer.name} {each.store.name}".strip()
    return Ref(each.env.primary.name, Delivery.kind, name)


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
    # One that is retired gets none any more, and is asked for the environment's own only.
    for each in on(env, host) if host in env.hosts else [own(env)]:
        if host.primary:
            yield from _deliveries(each, host, pins)
        else:
            yield _arrival(each, host)


def _arrival(each: Managed, host: Host) -> Arrival:
    env = each.env
    return Arrival(
        host=host.name,
        folder=_incoming(env),
        account=env.sync.account,
        sender=env.primary.name,
        trust=each.trust,
        store=each.store,
        lineage=each.lineage,
        peers=each.arrivals,
        compromised=compromised(each),
        overdue=each.settings.overdue / 100,
        needs=(
            Ref(host.name, File.kind, WRAPPER),
            Ref(host.name, File.kind, each.store.tool),
            Ref(host.name, DeliveryPins.kind, PINS),
        ),
    )


def _deliveries(each: Managed, host: Host, pins: DeliveryPins) -> Iterable[Delivery]:
    env, account = each.env, each.env.sync.account
    for peer in each.replicas:
        yield Delivery(
            host=host.name,
            peer=peer.name,
            lineage=each.lineage,
            arrival=_arrival(each, peer).ref,
            account=account,
            identity=env.sync.identity,
            known_hosts=env.sync.known_hosts,
            port=env.sshd_port(peer),
            store=each.store,
            needs=(
                each.release(host),
                Ref(host.name, "ssh_access", f"{account}@{peer.name}"),
                pins.ref,
            ),
        )


def _users(each: Managed, host: Host) -> tuple[str, ...]:
    used: dict[str, str | None] = {}
    if each.is_own:
        used = {"postgres": each.env.services.postgresql, "tomcat": each.env.services.tomcat}
    used |= {one.user: one.user for one in each.env.consumers_on(host, each.consumers) if one.user}
    return tuple(user for user, version in used.items() if version)
