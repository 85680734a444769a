"""Every kind of resource, one file each. `KINDS` lists them by name."""

from reconciler.kinds.account import Account
from reconciler.kinds.acl import Acl
from reconciler.kinds.apache import ApacheModule, ApacheSite
from reconciler.kinds.cron import Cron
from reconciler.kinds.directory import Directory
from reconciler.kinds.file import File
from reconciler.kinds.keypair import HostKey, Keypair
from reconciler.kinds.package import Package
from reconciler.kinds.property import Property
from reconciler.kinds.service import Service
from reconciler.kinds.ssh_access import SshAccess
from reconciler.kinds.sudoers import Sudoers
from reconciler.kinds.symlink import Symlink
from reconciler.kinds.tagged_lines import AuthorizedKeys, KnownHosts
from reconciler.model import Resource

DECLARABLE: tuple[type[Resource], ...] = (
    Account,
    Acl,
    ApacheModule,
    ApacheSite,
    AuthorizedKeys,
    Cron,
    Directory,
    File,
    Keypair,
    KnownHosts,
    Package,
    Property,
    Service,
    SshAccess,
    Sudoers,
    Symlink,
)
"""The kinds that the YAML may declare under `resources:`."""

_ALL: tuple[type[Resource], ...] = (*DECLARABLE, HostKey)
KINDS: dict[str, type[Resource]] = {each.kind: each for each in _ALL}

__all__ = [
    "DECLARABLE",
    "KINDS",
    "Account",
    "Acl",
    "ApacheModule",
    "ApacheSite",
    "AuthorizedKeys",
    "Cron",
    "Directory",
    "File",
    "HostKey",
    "Keypair",
    "KnownHosts",
    "Package",
    "Property",
    "Service",
    "SshAccess",
    "Sudoers",
    "Symlink",
]
