"""The services that use the certificate: rows S10, S11, S12 and S15's part of each."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.blueprint import templates
from reconciler.blueprint.brought import judged
from reconciler.blueprint.managed import on
from reconciler.blueprint.parts import part
from reconciler.environment.services import FORMS, Consumer
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.account import Account
from reconciler.kinds.apache import LOADS as APACHE_LOADS
from reconciler.kinds.apache import ApacheModule, ApacheSite
from reconciler.kinds.certificate.brought import BroughtKey
from reconciler.kinds.certificate.form import CertificateFile
from reconciler.kinds.certificate.pair import GROUP
from reconciler.kinds.certificate.pinned import Pinned
from reconciler.kinds.certificate.release import Current
from reconciler.kinds.certificate.store import Store
from reconciler.kinds.effective.apache import ApacheSites
from reconciler.kinds.effective.postgresql import PostgresqlSettings
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.property import Property
from reconciler.kinds.service import APACHE_CHECK, Service
from reconciler.kinds.symlink import Symlink
from reconciler.model import Ref, Resource
from reconciler.subjects import Subject


def current(env: Environment, host: Host) -> Ref:
    """What must exist before a service can be configured to use the certificate."""
    kind = Current.kind if env.paths.certificate == Current.path else Symlink.kind
    return Ref(host.name, kind, env.paths.certificate)


@part(Subject.SERVICES)
def apache(env: Environment, host: Host) -> Iterable[Resource]:
    """S15, Apache: reloaded, after its own check, if it has not loaded what is on disk."""
    yield Service(
        host=host.name,
        unit="apache2",
        enabled=True,
        ports=(80, 443) if env.certificate.manage else (80,),
        check=APACHE_CHECK,
        known_check=True,
        loads=APACHE_LOADS,
        judged=Ref(host.name, ApacheSites.kind, "apache2"),
        needs=(Ref(host.name, "package", "apache2"),),
    )


@part(Subject.SERVICES)
def port_443(env: Environment, host: Host) -> Iterable[Resource]:
    """S10: port 443 with the whole chain, the key and the clients' CAs; no pinned intermediate."""
    path = "/etc/apache2/sites-available/cn-ssl.conf"
    also = next((each.store.current for each in on(env, host) if each.of_apache and not each.is_own), None)
    values = {
        "router": env.router,
        "host": host.name,
        "certificate": env.paths.certificate,
        "also": also,
        "client_ca": env.services.client_ca,
    }
    content = templates.text("cn-ssl.conf", env.name, values)
    yield ApacheModule(host=host.name, module="ssl")
    needs = (current(env, host), *([Ref(host.name, Current.kind, also)] if also else []))
    yield File(host=host.name, path=path, content=content, mode="0644", needs=needs)
    yield ApacheSite(host=host.name, site="cn-ssl")


def _member(
    account: str, host: Host, brought: Iterable[Ref] = (), groups: tuple[str, ...] = (GROUP,)
) -> Account:
    """The account of a service that reads the key: in its group, otherwise as its package made it."""
    kept = "any"
    needs = (*brought, *(Ref(host.name, Package.kind, GROUP) for group in groups if group == GROUP))
    return Account(host=host.name, account=account, groups=groups, password=kept, create=False, needs=needs)


@part(Subject.SERVICES)
def postgresql(env: Environment, host: Host) -> Iterable[Resource]:
    """S16, its first check: PostgreSQL runs and listens. It is neither installed nor migrated
    from here: a version that is not installed is a service that does not start."""
    version = env.services.postgresql
    unit = f"postgresql@{version}-main"
    if not env.certificate.manage:
        yield Service(host=host.name, unit=unit, ports=(5432,))
        return
    folder = f"/etc/postgresql/{version}/main"
    yield _member("postgres", host)
    yield Service(
        host=host.name,
        unit=unit,
        ports=(5432,),
        check=f"runuser -u postgres -- /usr/lib/postgresql/{version}/bin/postgres -C ssl"
        f" -D {folder} >/dev/null",
        known_check=True,
        loads=(folder,),
        judged=Ref(host.name, PostgresqlSettings.kind, unit),
        group=GROUP,
        needs=(Ref(host.name, "account", "postgres"),),
    )


@part(Subject.SERVICES)
def postgresql_certificate(env: Environment, host: Host) -> Iterable[Resource]:
    """S11: certificate and key by settings, or by links in the data directory; always the full
    chain, because clients cannot verify the leaf alone."""
    version = env.services.postgresql
    files = {"crt": f"{env.paths.certificate}/fullchain.pem", "key": f"{env.paths.certificate}/privkey.pem"}
    data = f"/var/lib/postgresql/{version}/main"
    if env.services.postgresql_certificate == "links":
        for suffix, target in files.items():
            yield Symlink(
                host=host.name, path=f"{data}/server.{suffix}", target=target, needs=(current(env, host),)
            )
        files = {suffix: f"server.{suffix}" for suffix in files}
    yield File(
        host=host.name,
        path=f"/etc/postgresql/{version}/main/conf.d/zz-reconcile.conf",
        content=templates.text("postgresql.conf", env.name, files),
        mode="0644",
        needs=(current(env, host),),
    )


@part(Subject.SERVICES)
def tomcat(env: Environment, host: Host) -> Iterable[Resource]:
    """S12 and S16: Tomcat runs and listens; its process may read the key."""
    services = env.services
    unit = f"tomcat{services.tomcat}"
    if not env.certificate.manage:
        yield Service(host=host.name, unit=unit, ports=(8080,))
        return
    yield Package(host=host.name, package=GROUP)
    yield _member("tomcat", host)
    ports = (8080, services.tomcat_tls.port) if services.tomcat_tls else (8080,)
    yield Service(
        host=host.name,
        unit=unit,
        ports=ports,
        group=GROUP,
        on_change="restart",
        starts_within=env.certificate.deadline,
        needs=(Ref(host.name, "account", "tomcat"), current(env, host)),
    )


@part(Subject.SERVICES)
def consumers(env: Environment, host: Host) -> Iterable[Resource]:
    """Further services that use the certificate, or a brought one: each runs, listens, and has loaded its
    configuration."""
    by_unit: dict[str, list[Consumer]] = {}
    theirs = [each.name for each in env.certificates_on(host)]
    for name in (None, *theirs, *(each.name for each in env.ordered)):
        for each in env.consumers_on(host, name):
            by_unit.setdefault(each.unit, []).append(each)
    for unit, ports in by_unit.items():
        brought, accounts = [], []
        named = [each.certificate for each in ports if each.certificate in theirs]
        for package in sorted({each.package for each in ports if each.package}):
            yield Package(host=host.name, package=package)
            brought.append(Ref(host.name, Package.kind, package))
        readers = _readers(env, ports)
        for user, groups_of_it in sorted(readers.items()):
            yield _member(user, host, brought, tuple(groups_of_it))
            accounts.append(Ref(host.name, Account.kind, user))
        groups = [group for groups_of_it in readers.values() for group in groups_of_it]
        yield Service(
            host=host.name,
            unit=unit,
            ports=tuple(dict.fromkeys(each.port for each in ports)),
            check=ports[0].check,
            loads=ports[0].loads,
            on_change=ports[0].on_change,
            starts_within=env.certificate.deadline,
            # A reload for another reason would load a brought pair that is no good, or end the service.
            judged=judged(host, named[0]) if named else None,
            group=next(iter(groups), None),
            needs=(*_used(env, host, ports, theirs), *brought, *accounts, *_forms(host, ports)),
        )


def _used(env: Environment, host: Host, ports: list[Consumer], brought: list[str]) -> list[Ref]:
    """What is there of each certificate that the ports of a service serve, for the service to start."""
    found = []
    for name in dict.fromkeys(each.certificate for each in ports):
        if name is None:
            found.append(current(env, host))
        elif name in brought:
            found.append(Ref(host.name, BroughtKey.kind, name))
        else:
            found.append(Ref(host.name, Current.kind, Store(name).current))
    return found


def _forms(host: Host, ports: list[Consumer]) -> list[Ref]:
    """The files of each certificate in the forms that the ports of a service read."""
    found = [
        CertificateFile(host=host.name, file=file, store=Store(each.certificate or "")).ref
        for each in ports
        for file in FORMS.get(each.form or "", ())
    ]
    return list(dict.fromkeys(found))


def _readers(env: Environment, ports: Iterable[Consumer]) -> dict[str, list[str]]:
    """The accounts of a service that read a key by a group, and these groups; who owns its key needs none."""
    certificates = {each.name: each for each in env.certificates}
    found: dict[str, list[str]] = {}
    for each in ports:
        brought = certificates.get(each.certificate or "")
        group = brought.group if brought else GROUP
        if each.user and group and not (brought and brought.owner == each.user):
            found.setdefault(each.user, []).append(group)
    return {user: list(dict.fromkeys(groups)) for user, groups in found.items()}


@part(Subject.SERVICES)
def portal(env: Environment, host: Host) -> Iterable[Resource]:
    """S12: both portal.properties; the key that CILogon has pinned is reported, not changed."""
    webapps = f"/var/lib/tomcat{env.services.tomcat}/webapps"
    keys = {"publiccert": "cert", "privatekey": "privkey"}
    for path in (
        f"{webapps}/portal/WEB-INF/portal.properties",
        f"{webapps}/cn/WEB-INF/classes/org/dataone/configuration/portal.properties",
    ):
        for key, name in keys.items():
            yield Property(
                host=host.name,
                path=path,
                key=f"cn.server.{key}.filename",
                value=f"{env.paths.certificate}/{name}.pem",
                create=False,
            )
    for name in ("privkey.pem.pk8", "cert.pem.pk8publickey"):
        path = f"/etc/letsencrypt/live/{env.router}/{name}"
        yield Pinned(host=host.name, path=path, key=f"{Current.path}/privkey.pem")
