"""What a coordinating node is: an environment in, resources out. Pure.

Reads like the published procedure, row by row; the numbers are those of docs/procedure.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from string import Template

from reconciler import texts
from reconciler.declared import Environment, Host
from reconciler.kinds import (
    Account,
    Acl,
    ApacheModule,
    ApacheSite,
    AuthorizedKeys,
    Directory,
    File,
    HostKey,
    Keypair,
    KnownHosts,
    Package,
    Property,
    Service,
    SshAccess,
    Sudoers,
)
from reconciler.model import Ref, Resource, quote


def resources(environment: Environment) -> list[Resource]:
    """Every resource of the environment: the blueprint's, then the YAML's own.

    One that the YAML declares itself stands in place of the blueprint's with the same ref.
    """
    found: dict[Ref, Resource] = {}
    if environment.blueprint:
        for host in environment.hosts:
            found |= {r.ref: r for r in _node(environment, host)}
        for host in environment.retired:
            found |= {r.ref: r for r in _retired(environment, host)}
    return list((found | {r.ref: r for r in environment.resources}).values())


def _node(env: Environment, host: Host) -> Iterable[Resource]:
    rows = [certbot, node_properties, sync_account, mesh, challenge_directory]
    if env.services.apache:
        rows += [port_80, apache]
    rows += [hooks, notice, others]
    for row in rows:
        for resource in row(env, host):
            yield replace(resource, place=resource.place or host.place)


def _home(env: Environment) -> str:
    return env.sync.home or f"/home/{env.sync.account}"


def _identity(env: Environment) -> str:
    return f"{_home(env)}/.ssh/id_ed25519"


def _text(template: Template, env: Environment, host: Host, **more: str) -> str:
    values = {
        "environment": env.name,
        "router": env.router,
        "host": host.name,
        "account": env.sync.account,
        "port": str(env.ssh.port),
        "home_word": quote(_home(env)),
        "challenge": env.paths.challenge,
        "challenge_word": quote(env.paths.challenge),
        "identity_word": quote(_identity(env)),
    }
    return template.substitute(values | more)


def certbot(env: Environment, host: Host) -> Iterable[Resource]:
    """S1: certbot on the primary; what the procedure itself calls, on every host."""
    for package in ("acl", "openssl", "rsync", "sudo"):
        yield Package(host=host.name, package=package)
    if host.primary:
        yield Package(host=host.name, package="certbot")


def node_properties(env: Environment, host: Host) -> Iterable[Resource]:
    """S2: the four keys of node.properties; every other byte of the file stays."""
    path = env.paths.node_properties
    values = {
        "cn.router.hostname": env.router,
        "cn.rsyncuser": env.sync.account,
        "cn.server.publiccert.filename": f"{env.paths.letsencrypt}/live/{env.router}/cert.pem",
        "environment.hosts": " ".join(each.name for each in env.hosts),
    }
    yield Directory(host=host.name, path=path.rsplit("/", 1)[0])
    for key, value in values.items():
        yield Property(host=host.name, path=path, key=key, value=value)


def sync_account(env: Environment, host: Host) -> Iterable[Resource]:
    """S3: the sync account, its key pair, its wrapper; and that it can never become root."""
    account, home = env.sync.account, _home(env)
    yield Account(host=host.name, account=account, home=home, shell="/bin/sh")
    yield Directory(host=host.name, path=f"{home}/.ssh", owner=account, group=account, mode="0700")
    yield Keypair(host=host.name, path=_identity(env), user=account, comment=f"{env.tag} {host.name}")
    yield Directory(host=host.name, path=f"{home}/bin", owner="root", group="root", mode="0755")
    yield File(
        host=host.name,
        path=f"{home}/bin/rsync-wrapper.sh",
        content=_text(texts.WRAPPER, env, host),
        owner="root",
        group="root",
        mode="0755",
        check="sh -n {}",
    )
    yield Sudoers(
        host=host.name,
        drop_in=f"zz-reconciler-{account.replace('.', '_')}",
        content=_text(texts.NO_SUDO, env, host),
        needs=(Ref(host.name, "account", account),),
    )


def mesh(env: Environment, host: Host) -> Iterable[Resource]:
    """S4: every other host's key authorised, every other host's host key pinned, and the
    way from each host to each other one proven."""
    account, ssh = env.sync.account, f"{_home(env)}/.ssh"
    peers = [other.name for other in env.hosts if other.name != host.name]
    host_key = HostKey(host=host.name)
    yield host_key
    yield AuthorizedKeys(
        host=host.name,
        path=f"{ssh}/authorized_keys",
        user=account,
        tag=env.tag,
        options=f'restrict,command="{_home(env)}/bin/rsync-wrapper.sh"',
        keys_of=tuple((peer, Ref(peer, Keypair.kind, _identity(env))) for peer in peers),
    )
    yield KnownHosts(
        host=host.name,
        path=f"{ssh}/known_hosts",
        user=account,
        tag=env.tag,
        keys_of=tuple((_pinned(env, peer), Ref(peer, HostKey.kind, host_key.path)) for peer in peers),
    )
    for peer in peers:
        yield SshAccess(
            host=host.name,
            destination=f"{account}@{peer}",
            user=account,
            identity=_identity(env),
            port=env.ssh.port,
            command="ping",
            needs=(
                Ref(host.name, KnownHosts.kind, f"{ssh}/known_hosts"),
                Ref(peer, AuthorizedKeys.kind, f"{ssh}/authorized_keys"),
                Ref(peer, File.kind, f"{_home(env)}/bin/rsync-wrapper.sh"),
                Ref(peer, Account.kind, account),
            ),
        )


def _pinned(env: Environment, peer: str) -> str:
    """A host's name as known_hosts spells it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return peer if env.ssh.port == 22 else f"[{peer}]:{env.ssh.port}"


def challenge_directory(env: Environment, host: Host) -> Iterable[Resource]:
    """S5: where challenges lie, writable by the sync account."""
    account, path = env.sync.account, env.paths.challenge
    for parent in _parents(path):
        yield Directory(host=host.name, path=parent)
    yield Directory(host=host.name, path=path, owner=account, group=account, mode="2775")
    yield Acl(host=host.name, path=path, entries=(f"default:group:{account}:rw-",))


def _parents(path: str) -> list[str]:
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))][-2:]


def port_80(env: Environment, host: Host) -> Iterable[Resource]:
    """S6: port 80 redirects everything but challenges."""
    yield Package(host=host.name, package="apache2")
    yield ApacheModule(host=host.name, module="alias")
    yield File(
        host=host.name,
        path="/etc/apache2/sites-available/cn-port80.conf",
        content=_text(texts.PORT_80, env, host),
        mode="0644",
    )
    yield ApacheSite(host=host.name, site="cn-port80")
    yield ApacheSite(host=host.name, site="000-default", absent=True)


def hooks(env: Environment, host: Host) -> Iterable[Resource]:
    """S7: the hooks that carry a challenge to every host and take it away; primary only."""
    folder = f"{env.paths.letsencrypt}/renewal"
    peers = " ".join(quote(other.name) for other in env.hosts if other.name != host.name)
    if host.primary:
        yield Directory(host=host.name, path=env.paths.letsencrypt)
        yield Directory(host=host.name, path=folder)
    for name, values in (("auth", texts.AUTH_HOOK), ("cleanup", texts.CLEANUP_HOOK)):
        content = _text(texts.HOOK, env, host, peers=peers, **values)
        yield File(
            host=host.name,
            path=f"{folder}/manual-{name}-hook.sh",
            content=content,
            mode="0755",
            check="sh -n {}",
            absent=not host.primary,
        )


def notice(env: Environment, host: Host) -> Iterable[Resource]:
    """S8: administrators are told of a renewal, by a hook whose name run-parts accepts."""
    told = env.certificate.administrators
    folder = f"{env.paths.letsencrypt}/renewal-hooks/deploy"
    if host.primary and told:
        yield Directory(host=host.name, path=f"{env.paths.letsencrypt}/renewal-hooks")
        yield Directory(host=host.name, path=folder)
    yield File(
        host=host.name,
        path=f"{folder}/notify-administrators",
        content=_text(texts.NOTICE, env, host, administrators=quote(told)) if told else None,
        mode="0755",
        check="sh -n {}",
        absent=not (host.primary and told),
    )


def apache(env: Environment, host: Host) -> Iterable[Resource]:
    """S15, Apache's part: reloaded when it has not loaded what is on disk, after its
    configuration test."""
    yield Service(
        host=host.name,
        unit="apache2",
        enabled=True,
        ports=(80,),
        check="apache2ctl -t",
        loads=("/etc/apache2",),
        needs=(Ref(host.name, "package", "apache2"),),
    )


def others(env: Environment, host: Host) -> Iterable[Resource]:
    """S16, its first check: PostgreSQL and Tomcat run and listen. Neither is installed or
    migrated from here: a version that is not there yet is a service that does not start."""
    if env.services.postgresql:
        unit = f"postgresql@{env.services.postgresql}-main"
        yield Service(host=host.name, unit=unit, ports=(5432,))
    if env.services.tomcat:
        yield Service(host=host.name, unit=f"tomcat{env.services.tomcat}", ports=(8080,))


def _retired(env: Environment, host: Host) -> Iterable[Resource]:
    """What a retired host gives up: the keys that open its former peers, and its hooks."""
    for resource in (*mesh(env, host), *sync_account(env, host), *hooks(env, host)):
        if isinstance(resource, (AuthorizedKeys, KnownHosts, Keypair)) or (
            isinstance(resource, File) and resource.path.startswith(env.paths.letsencrypt)
        ):
            yield replace(resource, absent=True, needs=(), place=host.place)
