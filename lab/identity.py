"""Who a host is: its names, its ssh host key, who may log in, its DataONE properties."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import recipe
from lab.ca import Authority
from lab.commands import command

DOMAIN: Final = "test.dataone.org"
ROUTER: Final = f"cn-lab.{DOMAIN}"

# As the packages leave it on a node: the four keys of the certificate procedure are not
# there yet. The password is a canary: nothing that reads this file may repeat it.
PROPERTIES: Final = """\
# Properties of this coordinating node.
# Written by the packages at installation; edit with care.

cn.nodeId=urn:node:cnLab{index}
cn.nodeId.active = urn:node:cnLab1
cn.hostname={name}
cn.iplist={addresses}
cn.context.label=Lab
D1Client.CN_URL=https://{router}/cn

# ---- storage ----
hazelcast.location.storageclusterconfig=/etc/dataone/storage/hazelcast.xml
   metacat.context = metacat
datanet.postgres.user=dataone
datanet.postgres.password=canary-{secret}
datanet.ldap.base = dc=dataone,dc=org

#cn.rsyncuser.old=rsync
! log4j, read by the processing daemon
log4j.configuration=file:/etc/dataone/log4j.properties
cn.administrators=CN=Nobody A1,O=Google,C=US,DC=cilogon,DC=org; \\
    CN=Somebody A2,O=Google,C=US,DC=cilogon,DC=org
"""


@dataclass(frozen=True)
class Member:
    """A host as the others know it."""

    index: int
    name: str
    address: str


def host_name(index: int) -> str:
    """The full name of host `index`."""
    return f"cn-lab-{index}.{DOMAIN}"


def host_table(members: Sequence[Member], acme: str) -> str:
    """The /etc/hosts that every host has; the router's name points at the first host, and
    `acme` is the address of the CA."""
    lines = ["127.0.0.1 localhost"]
    # Full name first: that makes it the answer of `hostname -f`.
    lines += [f"{host.address} {host.name} {host.name.split('.')[0]}" for host in members]
    lines += [f"{members[0].address} {ROUTER} {ROUTER.split('.')[0]}", f"{acme} acme"]
    return "\n".join(lines) + "\n"


def make_key(path: Path, comment: str) -> None:
    """Make an ed25519 key pair without a passphrase, in place of one that may be there."""
    path.unlink(missing_ok=True)
    command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))


def known_hosts_line(host: Member, key: Path) -> str:
    """The line, without its end, that pins a host's key for its name and its address."""
    kind, public = key.with_name(key.name + ".pub").read_text(encoding="ascii").split()[:2]
    return f"{host.name},{host.address} {kind} {public}"


def write_identity(
    root: Path, host: Member, members: Sequence[Member], key: Path, authorized: str, ca: Authority
) -> None:
    """Write all of a host's identity into its mounted disk, before it boots."""
    # Empty or missing would mean a first boot, which enables units by preset.
    machine = hashlib.md5(host.name.encode(), usedforsecurity=False).hexdigest()
    properties = PROPERTIES.format(
        index=host.index,
        name=host.name,
        router=ROUTER,
        addresses=" ".join(member.address for member in members),
        secret=machine[:12],
    )
    put(root, "etc/hostname", host.name.split(".")[0] + "\n")
    put(root, "etc/machine-id", machine + "\n", mode=0o444)
    put(root, "etc/hosts", host_table(members, ca.address))
    put(root, "etc/resolv.conf", f"nameserver {ca.address}\n")
    trusted = ca.certificate.read_text(encoding="ascii")
    put(root, "usr/local/share/ca-certificates/lab-acme.crt", trusted)
    # What update-ca-certificates would do, but for the seconds that Java's part of it takes.
    with (root / "etc/ssl/certs/ca-certificates.crt").open("a", encoding="ascii") as bundle:
        bundle.write(trusted)
    put(root, "etc/dataone/node.properties", properties)
    public = key.with_name(key.name + ".pub")
    put(root, "etc/ssh/ssh_host_ed25519_key", key.read_text(encoding="ascii"), mode=0o600)
    put(root, "etc/ssh/ssh_host_ed25519_key.pub", public.read_text(encoding="ascii"))
    for user, number in (("ops", recipe.ADMIN_UID), ("looker", recipe.LOOKER_UID)):
        path = f"home/{user}/.ssh/authorized_keys"
        put(root, path, authorized, mode=0o600, owner=number)


def put(root: Path, name: str, text: str, mode: int = 0o644, owner: int = 0) -> None:
    """Write one file of a mounted disk."""
    path = root / name
    if not path.parent.is_dir():
        path.parent.mkdir()
        path.parent.chmod(0o755)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    os.chown(path, owner, owner)
