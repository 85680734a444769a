"""What an environment file declares, once it has been read and checked. Nouns only.

`schema.py` makes the JSON Schema of the file from these classes and from the kinds: a
field's description, type, default and schema are its documentation and its check.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.kinds.paths import ABSOLUTE, LINE, NAME
from reconciler.model import Place, Resource, option

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = {
    "pattern": rf"^(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*$",
    "x-want": "a host name (letters, digits and `-`, labels joined by dots)",
}
VERSION = {"pattern": r"^[0-9]+(\.[0-9]+)?$", "x-want": 'a version in quotes, such as "15"'}


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the environment."""

    name: str = option("Its full name, as the certificate carries it.", schema=HOST_NAME)
    address: str | None = option(
        "Where ssh reaches it, if not by its name: a name or an address.", default=None, schema=LINE
    )
    primary: bool = option("The one host on which certbot runs.", default=False)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How the controlling machine reaches the hosts."""

    user: str = option("Who logs in.", default="root", schema=NAME)
    port: int = option("The port of sshd.", default=22, schema={"minimum": 1, "maximum": 65535})
    identity: str | None = option(
        "The private key to log in with, `~` and paths relative to this file allowed; the"
        " agent's keys are used where there is none.",
        default=None,
        schema=LINE,
    )
    known_hosts: str = option(
        "The file with the pinned host keys, `~` and paths relative to this file allowed.",
        default="~/.ssh/known_hosts",
        schema=LINE,
    )
    jump: str | None = option(
        "[USER@]HOST[:PORT] through which every host is reached.", default=None, schema=LINE
    )
    sudo: bool = option("Become root with `sudo -n`, where the user is not root.", default=True)
    timeout: int = option(
        "Seconds to wait for a connection, and for the answers to a look.",
        default=30,
        schema={"minimum": 1, "maximum": 3600},
    )


@dataclass(frozen=True, kw_only=True)
class Sync:
    """The account that carries challenges and certificates between the hosts."""

    account: str = option("Its name: `cn.rsyncuser`.", default="rsync_user", schema=NAME)
    home: str | None = option("Its home; /home/ACCOUNT otherwise.", default=None, schema=ABSOLUTE)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate that all hosts share. Its names are the router, the hosts, and these."""

    names: tuple[str, ...] = option(
        "Further names it carries.", default=(), schema={"items": {"type": "string", **HOST_NAME}}
    )
    administrators: str | None = option(
        "Who is told of a renewal: a mail address.", default=None, schema=LINE
    )


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where things lie on the hosts."""

    node_properties: str = option(
        "The node's properties file.", default="/etc/dataone/node.properties", schema=ABSOLUTE
    )
    challenge: str = option(
        "What answers /.well-known/acme-challenge.",
        default="/var/www/.well-known/acme-challenge",
        schema=ABSOLUTE,
    )
    letsencrypt: str = option("certbot's folder.", default="/etc/letsencrypt", schema=ABSOLUTE)


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that use the certificate; a version is part of paths and unit names."""

    apache: bool = option("Apache.", default=True)
    postgresql: str | None = option("PostgreSQL, by its major version.", default=None, schema=VERSION)
    tomcat: str | None = option("Tomcat, by its major version.", default=None, schema=VERSION)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment: one to many hosts behind one router name, sharing a certificate.

    `resources` are the YAML's own further resources, one object per host they are for.
    `file` is the path it was read from, `digest` the SHA-256 of that file's bytes.
    """

    name: str
    router: str
    hosts: tuple[Host, ...]
    retired: tuple[Host, ...] = ()
    ssh: Ssh = Ssh()
    sync: Sync = Sync()
    certificate: Certificate = Certificate()
    paths: Paths = Paths()
    services: Services = Services()
    blueprint: bool = True
    resources: tuple[Resource, ...] = ()
    file: str = ""
    digest: str = ""

    @property
    def primary(self) -> Host:
        """The host on which certbot runs."""
        return next(host for host in self.hosts if host.primary)

    @property
    def tag(self) -> str:
        """What marks a line on a host as ours."""
        return f"reconciler {self.name}"
