"""The mesh: the sync account, what its keys open, and the access of each host to each other; rows S3 and S4.

Nothing that root keeps lies below a folder that the account owns: the account could put a link in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from reconciler.blueprint import distribution, node, templates, ways
from reconciler.blueprint.parts import part
from reconciler.blueprint.ways import PROGRAMS, WRAPPER
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.account import Account
from reconciler.kinds.certificate.delivery_key import DeliveryKey
from reconciler.kinds.certificate.former import Former
from reconciler.kinds.certificate.store import STORE
from reconciler.kinds.directory import Directory
from reconciler.kinds.effective.login import AccountAccess
from reconciler.kinds.file import File
from reconciler.kinds.keypair import HostKey, Keypair
from reconciler.kinds.service import Service
from reconciler.kinds.ssh_access import SshAccess
from reconciler.kinds.sudoers import Sudoers
from reconciler.kinds.tagged_lines import AuthorizedKeys, KnownHosts
from reconciler.model import Ref, Resource
from reconciler.subjects import Subject

DROP_IN = "/etc/ssh/sshd_config.d/10-reconciler.conf"
"""An early name: among blocks that match, the first to set a keyword counts (sshd_config(5))."""

ADDRESS = re.compile(r"[0-9.]+$|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$")
"""An address, and no name: sshd compares names only where it looks them up (sshd_config(5), UseDNS)."""


@part(Subject.ACCOUNTS)
def sync_account(env: Environment, host: Host) -> Iterable[Resource]:
    """S3: the sync account, its key pair, its wrapper; and that it can never become root."""
    account = env.sync.account
    settings = {
        "challenge": env.paths.challenge,
        "home": env.sync.folder,
        "store": STORE,
        "primary": env.primary.name,
    }
    yield Account(host=host.name, account=account, home=env.sync.folder, shell="/bin/sh")
    yield Directory(host=host.name, path=env.sync.keys, owner="root", mode="0755")
    yield Keypair(
        host=host.name,
        path=env.sync.identity,
        user=account,
        comment=f"{env.tag} {host.name}",
        former=f"{env.sync.folder}/.ssh/id_ed25519",
    )
    yield Directory(host=host.name, path=PROGRAMS, owner="root", mode="0755")
    yield File(
        host=host.name,
        path=WRAPPER,
        content=templates.script("rsync-wrapper.sh", env.name, settings),
        owner="root",
        group="root",
        mode="0755",
        check="sh -n {}",
    )
    yield Sudoers(
        host=host.name,
        drop_in=f"zz-reconciler-{account.replace('.', '_')}",
        content=templates.text("zz-reconciler.sudoers", env.name, {"account": account}),
        needs=(Ref(host.name, "account", account),),
    )


@part(Subject.ACCOUNTS)
def mesh(env: Environment, host: Host) -> Iterable[Resource]:
    """S4: on each host the others' keys authorised and their host keys pinned, and the access
    from each host to each other one proven, or, where there are many, the ways that `proven_from` names."""
    peers = env.others(host)
    host_key = HostKey(host=host.name)
    yield host_key
    yield AuthorizedKeys(
        host=host.name,
        path=env.sync.authorized,
        mode="0644",
        tag=env.tag,
        options_of=tuple((peer.name, _may(peer)) for peer in peers),
        keys_of=tuple((peer.name, Ref(peer.name, Keypair.kind, env.sync.identity)) for peer in peers),
    )
    yield KnownHosts(
        host=host.name,
        path=env.sync.known_hosts,
        mode="0644",
        tag=env.tag,
        keys_of=tuple((_pinned(env, peer), Ref(peer.name, HostKey.kind, host_key.path)) for peer in peers),
    )
    yield from _sshd(env, host)
    for peer in ways.proven_from(env, host):
        yield SshAccess(
            host=host.name,
            destination=f"{env.sync.account}@{peer.name}",
            user=env.sync.account,
            identity=env.sync.identity,
            known_hosts=env.sync.known_hosts,
            port=env.sshd_port(peer),
            command="ping",
            needs=(
                Ref(host.name, KnownHosts.kind, env.sync.known_hosts),
                Ref(peer.name, AuthorizedKeys.kind, env.sync.authorized),
                Ref(peer.name, File.kind, WRAPPER),
                Ref(peer.name, Account.kind, env.sync.account),
                Ref(peer.name, Service.kind, "ssh"),
                Ref(peer.name, AccountAccess.kind, env.sync.account),
            ),
        )


def _sshd(env: Environment, host: Host) -> Iterable[Resource]:
    """That sshd reads the keys of this account from root's file and from nowhere else."""
    values = {"account": env.sync.account, "keys": env.sync.authorized}
    yield File(
        host=host.name,
        path=DROP_IN,
        content=templates.text("sshd.conf", env.name, values),
        owner="root",
        group="root",
        mode="0644",
        check="sshd -t -f {}",
        # From the moment it is loaded the account's own file opens nothing.
        needs=(Ref(host.name, AuthorizedKeys.kind, env.sync.authorized), Ref(host.name, File.kind, WRAPPER)),
    )
    yield Service(host=host.name, unit="ssh", check="sshd -t", known_check=True, loads=(DROP_IN,))


def _may(peer: Host) -> str:
    """What a host's key opens on the others: the primary's brings challenges and certificates, any other
    only proves that it gets in; and, where it is known, from which addresses."""
    address = peer.address or ""
    sources = peer.sources or ((address,) if ADDRESS.match(address) else ())
    start = f'from="{",".join(sources)}",' if sources else ""
    return f'{start}restrict,command="{WRAPPER} {"deliver" if peer.primary else "ping"}"'


def _pinned(env: Environment, peer: Host) -> str:
    """A host's name as known_hosts spells it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    port = env.sshd_port(peer)
    return peer.name if port == 22 else f"[{peer.name}]:{port}"


def _former(env: Environment, host: Host, needs: Iterable[Ref] = ()) -> Former:
    return Former(
        host=host.name,
        home=env.sync.folder,
        account=env.sync.account,
        mark=templates.MARK,
        hooks=f"{env.paths.letsencrypt}/renewal",
        needs=tuple(needs),
    )


@part(Subject.ACCOUNTS)
def former(env: Environment, host: Host) -> Iterable[Resource]:
    """S3, S4: what earlier versions kept below the account's home goes, once all that used it is proven to
    go another way: sshd reads the new file, each host gets in by it, and hooks use the new key."""
    account = env.sync.account
    needs = [Ref(host.name, Service.kind, "ssh"), Ref(host.name, AccountAccess.kind, account)]
    needs += [Ref(peer.name, SshAccess.kind, f"{account}@{host.name}") for peer in ways.proven_to(env, host)]
    needs += [
        Ref(host.name, SshAccess.kind, f"{account}@{peer.name}") for peer in ways.proven_from(env, host)
    ]
    needs += [resource.ref for resource in node.hooks(env, host)]
    yield _former(env, host, needs)


def retired(env: Environment, host: Host) -> Iterable[Resource]:
    """What is removed from a retired host: the keys that open its former peers, and its hooks."""
    delivered = distribution.delivered(env, host) if env.certificate.manage else ()
    for resource in (*mesh(env, host), *sync_account(env, host), *node.hooks(env, host), *delivered):
        if isinstance(resource, (AuthorizedKeys, KnownHosts, Keypair, DeliveryKey)) or (
            isinstance(resource, File) and resource.path.startswith(env.paths.letsencrypt)
        ):
            yield replace(resource, absent=True, needs=(), follows=(), place=host.place)
    yield replace(_former(env, host), place=host.place)
