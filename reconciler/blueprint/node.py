"""The node: packages, challenges, port 80, hooks; rows S1, S2 and S5 to S8 of the procedure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.blueprint import templates
from reconciler.blueprint.managed import Managed, managed, on
from reconciler.blueprint.parts import part
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.acl import Acl
from reconciler.kinds.apache import LOADS as APACHE_LOADS
from reconciler.kinds.apache import ApacheModule, ApacheSite
from reconciler.kinds.certificate.answer import Answer
from reconciler.kinds.certificate.release import Current
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.property import Property
from reconciler.kinds.service import Service
from reconciler.kinds.ssh_access import SshAccess
from reconciler.model import Ref, Resource
from reconciler.subjects import Subject


@part(Subject.PROGRAMS)
def packages(env: Environment, host: Host) -> Iterable[Resource]:
    """S1: certbot on the primary; on every host the programs that the procedure calls."""
    for package in ("acl", "openssl", "rsync", "sudo"):
        yield Package(host=host.name, package=package)
    if host.primary:
        mask = (Ref(host.name, "symlink", "/etc/systemd/system/certbot.timer"),)
        yield Package(host=host.name, package="certbot", needs=mask if env.certificate.manage else ())
    elif env.certificate.manage:
        yield Package(host=host.name, package="certbot", absent=True)


@part(Subject.NODE)
def node_properties(env: Environment, host: Host) -> Iterable[Resource]:
    """S2: the four keys of node.properties; every other byte of the file stays."""
    path = env.paths.node_properties
    live = f"{env.paths.letsencrypt}/live/{env.router}"
    certificate = env.paths.certificate if env.certificate.manage else live
    values = {
        "cn.router.hostname": env.router,
        "cn.rsyncuser": env.sync.account,
        "cn.server.publiccert.filename": f"{certificate}/cert.pem",
        "environment.hosts": " ".join(each.name for each in env.hosts),
    }
    yield Directory(host=host.name, path=path.rsplit("/", 1)[0])
    for key, value in values.items():
        yield Property(host=host.name, path=path, key=key, value=value)


@part(Subject.CHALLENGE)
def challenge_directory(env: Environment, host: Host) -> Iterable[Resource]:
    """S5: the directory of challenges, writable by the sync account."""
    account, path = env.sync.account, env.paths.challenge
    for parent in parents(path):
        yield Directory(host=host.name, path=parent)
    yield Directory(host=host.name, path=path, owner=account, group=account, mode="2775")
    yield Acl(host=host.name, path=path, entries=(f"default:group:{account}:rw-",))


def parents(path: str) -> list[str]:
    """The two folders above a path, the outer one first."""
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))][-2:]


@part(Subject.CHALLENGE)
def port_80(env: Environment, host: Host) -> Iterable[Resource]:
    """S6: port 80 redirects everything but challenges."""
    values = {
        "router": env.router,
        "host": host.name,
        "challenge": env.paths.challenge,
        "probe": PROBE,
        "elsewhere": env.primary.name if redirects(env, host) else None,
    }
    yield Package(host=host.name, package="apache2")
    yield ApacheModule(host=host.name, module="alias")
    yield File(
        host=host.name,
        path="/etc/apache2/sites-available/cn-port80.conf",
        content=templates.text("cn-port80.conf", env.name, values),
        mode="0644",
    )
    yield ApacheSite(host=host.name, site="cn-port80")
    yield ApacheSite(host=host.name, site="000-default", absent=True)


PROBE = "reconcile-probe"
PROBE_URL = f"/.well-known/acme-challenge/{PROBE}"
"""The path at which port 80 of every host is asked for the probe."""


REDIRECTED_URL = f"/.well-known/acme-challenge/redirected-{PROBE}"
"""The path at which a host is asked for the primary's probe, where it redirects challenges there."""


def redirects(env: Environment, host: Host) -> bool:
    """Whether a host redirects challenges to the primary."""
    return env.certificate.redirects and not host.primary


def probe_text(env: Environment, host: Host) -> str:
    """What a host's probe says, so that it is known which host has answered."""
    return f"{env.name} {host.name}"


@part(Subject.CHALLENGE)
def challenge_answer(env: Environment, host: Host) -> Iterable[Resource]:
    """S6: port 80 answers with the files of the challenge directory, under every name."""
    if not env.certificate.on_port_80:
        return
    text = probe_text(env, host)
    path = f"{env.paths.challenge}/{PROBE}"
    yield Package(host=host.name, package="curl")
    yield File(host=host.name, path=path, content=f"{text}\n", mode="0644")
    answer = Answer(
        host=host.name,
        path=PROBE_URL,
        text=text,
        names=(env.router, host.name),
        loads=APACHE_LOADS,
        established=tuple(
            Ref(host.name, Current.kind, each.store.current) for each in on(env, host) if each.of_apache
        ),
        owner=Ref(host.name, Service.kind, "apache2"),
        needs=(
            Ref(host.name, "package", "apache2"),
            Ref(host.name, "package", "curl"),
            Ref(host.name, File.kind, path),
            Ref(host.name, ApacheModule.kind, "alias"),
            Ref(host.name, ApacheSite.kind, "cn-port80"),
            Ref(host.name, ApacheSite.kind, "000-default"),
        ),
    )
    yield answer
    if redirects(env, host):
        yield replace(
            answer,
            path=REDIRECTED_URL,
            text=probe_text(env, env.primary),
            redirected=True,
            needs=(*answer.needs, answer.ref, Ref(env.primary.name, Answer.kind, PROBE_URL)),
        )


@part(Subject.CHALLENGE)
def hooks(env: Environment, host: Host) -> Iterable[Resource]:
    """S7: the hooks that put a challenge on every host, or into the DNS, and remove it; on the primary."""
    if host.primary:
        yield Directory(host=host.name, path=env.paths.letsencrypt)
        yield Directory(host=host.name, path=f"{env.paths.letsencrypt}/renewal")
    for each in managed(env):
        if each.has_hooks:
            yield from _hooks(each, host)


def _hooks(each: Managed, host: Host) -> Iterable[Resource]:
    env, certificate = each.env, each.settings
    copies = [] if env.certificate.redirects else env.others(host)
    settings: dict[str, str | int] = {
        "host": host.name,
        "peers": " ".join(f"{other.name}:{env.sshd_port(other)}" for other in copies),
        "challenge": env.paths.challenge,
        "account": env.sync.account,
        "identity": env.sync.identity,
        "known_hosts": env.sync.known_hosts,
    }
    proven = [
        Ref(host.name, SshAccess.kind, f"{env.sync.account}@{other.name}") for other in env.others(host)
    ]
    template, verbs = "challenge-hook.sh", ("put", "remove")
    if not certificate.on_port_80:
        template, verbs = "dns-hook.sh", ("present", "cleanup")
        settings = {
            "program": certificate.dns_hook or "",
            "resolver": certificate.resolver or "",
            "wait": certificate.dns_wait,
        }
    for name, verb in zip(("auth", "cleanup"), verbs, strict=True):
        yield File(
            host=host.name,
            path=each.hook(name),
            content=templates.script(template, env.name, {"verb": verb, **settings}),
            mode="0755",
            check="sh -n {}",
            # Whoever runs the old one meanwhile gets in by it until the new way is there.
            follows=tuple(proven) if host.primary else (),
            absent=not host.primary,
        )


@part(Subject.CERTIFICATE)
def notice(env: Environment, host: Host) -> Iterable[Resource]:
    """S8: the hook that sends administrators a mail after a renewal, under a name that run-parts accepts."""
    administrators = env.certificate.administrators
    folder = f"{env.paths.letsencrypt}/renewal-hooks/deploy"
    content = None
    if host.primary and administrators:
        settings = {
            "environment": env.name,
            "router": env.router,
            "host": host.name,
            "administrators": administrators,
        }
        # certbot runs it after the renewal of any lineage, and says of which.
        which = {"$router": "${RENEWED_LINEAGE##*/}"} if env.ordered else {}
        content = templates.script("notify-administrators.sh", env.name, settings, instead=which)
        yield Directory(host=host.name, path=f"{env.paths.letsencrypt}/renewal-hooks")
        yield Directory(host=host.name, path=folder)
    yield File(
        host=host.name,
        path=f"{folder}/notify-administrators",
        content=content,
        mode="0755",
        check="sh -n {}",
        absent=content is None,
    )
