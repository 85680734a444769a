"""Whether what is declared counts: what each program would do with its configuration now. Nothing here
changes a host; what is not as desired is refused, with the file and line that decide otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.blueprint import tools, ways
from reconciler.blueprint.managed import on
from reconciler.blueprint.parts import part
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.release import Current
from reconciler.kinds.effective.apache import ApacheSites, Site
from reconciler.kinds.effective.clock import SystemClock
from reconciler.kinds.effective.commands import NeededCommands
from reconciler.kinds.effective.login import AccountAccess
from reconciler.kinds.effective.postgresql import PostgresqlSettings
from reconciler.kinds.effective.tomcat import TomcatConnector
from reconciler.kinds.effective.writable import WritableFolder
from reconciler.model import Ref, Resource
from reconciler.subjects import Subject


@part(Subject.PROGRAMS)
def clock(env: Environment, host: Host) -> Iterable[Resource]:
    """S16: the host's clock agrees with that of the machine that looks."""
    yield SystemClock(host=host.name, seconds=env.ssh.timeout)


def right_clock(host: Host) -> Ref:
    """What must be so before anything on the host judges a certificate by its date."""
    return Ref(host.name, SystemClock.kind, SystemClock.clock)


@part(Subject.PROGRAMS)
def commands(env: Environment, host: Host) -> Iterable[Resource]:
    """S1: what scripts and steps call on the host is there."""
    more = tools.ON_THE_PRIMARY if host.primary and env.certificate.manage else {}
    yield NeededCommands(host=host.name, packages=(*tools.EVERYWHERE.items(), *more.items()))


def all_commands(host: Host) -> Ref:
    """What must be so before anything on the host costs an order."""
    return Ref(host.name, NeededCommands.kind, NeededCommands.commands)


def _folders(env: Environment) -> tuple[str, ...]:
    """Where the certificate in use can be read: `paths.certificate` is our link, or leads to it."""
    return tuple(dict.fromkeys((env.paths.certificate, Current.path)))


@part(Subject.SERVICES)
def apache(env: Environment, host: Host) -> Iterable[Resource]:
    """S6 and S10: it is our vhosts that answer, for other hosts too."""
    sites = [Site(80, "/etc/apache2/sites-enabled/cn-port80.conf")]
    if env.certificate.manage:
        also = (each.store.current for each in on(env, host) if each.of_apache and not each.is_own)
        sites.append(Site(443, "/etc/apache2/sites-enabled/cn-ssl.conf", (*_folders(env), *also)))
    yield ApacheSites(host=host.name, names=(env.router, host.name), sites=tuple(sites))


@part(Subject.SERVICES)
def postgresql(env: Environment, host: Host) -> Iterable[Resource]:
    """S11: nothing overrides PostgreSQL's certificate and key, and it listens for other hosts."""
    links = env.services.postgresql_certificate == "links"
    folder = env.paths.certificate
    yield PostgresqlSettings(
        host=host.name,
        unit=f"postgresql@{env.services.postgresql}-main",
        version=str(env.services.postgresql),
        certificate="server.crt" if links else f"{folder}/fullchain.pem",
        key="server.key" if links else f"{folder}/privkey.pem",
    )


@part(Subject.SERVICES)
def tomcat(env: Environment, host: Host) -> Iterable[Resource]:
    """S12: Tomcat's connector for TLS is there, and names the certificate."""
    if env.services.tomcat_tls:
        yield TomcatConnector(
            host=host.name,
            unit=f"tomcat{env.services.tomcat}",
            path=f"/etc/tomcat{env.services.tomcat}/server.xml",
            port=env.services.tomcat_tls.port,
            certificates=_folders(env),
        )


@part(Subject.ACCOUNTS)
def sync_account(env: Environment, host: Host) -> Iterable[Resource]:
    """S3 to S5: the sync account can log in and write challenges, and its key leads no further."""
    account = env.sync.account
    yield WritableFolder(host=host.name, path=env.paths.challenge, account=account)
    peers = tuple(other.name for other in ways.proven_to(env, host))
    if peers:
        yield AccountAccess(
            host=host.name, account=account, home=env.sync.folder, peers=peers, keys=env.sync.authorized
        )
