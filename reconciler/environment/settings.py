"""What an environment file declares, once it has been read and checked. Nouns only.

`schema.py` makes the JSON Schema of the file from these classes and from the kinds: a
field's description, type, default and schema are its documentation and its check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from reconciler.environment.patterns import COUNT, HTTPS, MAIL, PORT, URL, VERSION
from reconciler.environment.rules import HOST_NAME, Acknowledged, Notices, Policy
from reconciler.kinds.paths import ABSOLUTE, LINE, NAME, PLAIN
from reconciler.model import Place, Resource, option

PRIMARY, REPLICAS = "primary", "replicas"
"""The groups that every environment has."""


@dataclass(frozen=True, kw_only=True)
class HostSsh:
    """How the controlling machine reaches this host, where that differs from the environment's `ssh`."""

    user: str | None = option("The account that logs in.", default=None, schema=NAME)
    port: int | None = option("The port of its sshd, for its peers too.", default=None, schema=PORT)
    identity: str | None = option("The private key to log in with.", default=None, schema=LINE)
    jump: str | None = option("[USER@]HOST[:PORT], or several, or `none`.", default=None, schema=LINE)


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the environment."""

    name: str = option("Its full name, as in the certificate.", schema=HOST_NAME)
    address: str | None = option(
        "Where ssh reaches it, if not by its name: a host name or an address.", default=None, schema=LINE
    )
    primary: bool = option("The one host on which certbot runs.", default=False)
    sources: tuple[str, ...] = option(
        "Addresses or networks from which alone its peers accept its sync key; by default `address`, where"
        " that is an address, and any otherwise. `*` is any.",
        default=(),
        schema={
            "items": {
                "type": "string",
                "pattern": r"^(\*|[0-9A-Fa-f.:]+(/[0-9]{1,3})?)$",
                "x-want": "an address, a network such as 192.0.2.0/24, or `*`",
            },
            "uniqueItems": True,
        },
    )
    groups: tuple[str, ...] = option(
        "Groups it belongs to, which `hosts:` of a resource and `--host` name as they name hosts.",
        default=(),
        schema={
            "items": {
                "type": "string",
                "pattern": "^[A-Za-z][A-Za-z0-9_-]*$",
                "x-want": "a word of letters, digits, `-` and `_`",
            },
            "uniqueItems": True,
        },
    )
    ssh: HostSsh | None = None
    place: Place | None = field(default=None, compare=False)

    def is_in(self, named: Collection[str]) -> bool:
        """Whether it is one of those that are named, by their names or by their groups."""
        role = PRIMARY if self.primary else REPLICAS
        return not {self.name, role, *self.groups}.isdisjoint(named)


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How the controlling machine reaches the hosts. What is said neither for a host nor here is taken
    from ssh's own configuration (`config`), looked up by the host's name, and is the default where that does
    not say it either; `doctor` names what has said each setting. No command of that file is run."""

    user: str | None = option("The account that logs in; root by default.", default=None, schema=NAME)
    port: int | None = option(
        "The port of sshd, from here and between the hosts; 22 by default.", default=None, schema=PORT
    )
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
        "[USER@]HOST[:PORT] through which every host is reached, or several in their order, separated by"
        " commas; `none` for no jump host, whatever ssh's configuration says.",
        default=None,
        schema=LINE,
    )
    config: str = option(
        "The configuration of ssh that says what this file leaves open, `~` and paths relative to this file"
        " allowed; `none` for none of it.",
        default="~/.ssh/config",
        schema=LINE,
    )
    sudo: bool = option("Become root with `sudo -n` if the user is not root.", default=True)
    timeout: int = option(
        "Seconds to wait for a connection, and for the answers to a look.",
        default=30,
        schema={"minimum": 1, "maximum": 3600},
    )
    hosts: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """What the environment calls its hosts, in small letters: names and addresses."""

    def with_hosts(self, hosts: Iterable[Host]) -> Ssh:
        """The same, knowing what the hosts are called."""
        names = (name.lower() for host in hosts for name in (host.name, host.address) if name)
        return replace(self, hosts=frozenset(names))


@dataclass(frozen=True, kw_only=True)
class Sync:
    """The account that carries challenges and certificates between the hosts."""

    account: str = option("Its name: `cn.rsyncuser`.", default="rsync_user", schema=NAME)
    home: str | None = option("Its home directory; by default /home/ACCOUNT.", default=None, schema=PLAIN)
    all_pairs: int = option(
        "Up to how many hosts the way from each to each other is proven. Of more, the primary's ways are, and"
        " one from each host to the next; keys and pins are compared on all of them.",
        default=8,
        schema={"minimum": 1, "maximum": 1000},
    )

    @property
    def folder(self) -> str:
        """Its home."""
        return self.home or f"/home/{self.account}"

    keys: ClassVar[str] = "/etc/ssh/reconciler"
    """The folder of its keys, which is root's: the account reads there, and puts nothing there."""
    identity: ClassVar[str] = f"{keys}/id_ed25519"
    """The private key with which it logs in on the other hosts."""
    authorized: ClassVar[str] = f"{keys}/authorized_keys"
    """The keys that open it."""
    known_hosts: ClassVar[str] = f"{keys}/known_hosts"
    """The host keys of the others."""


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
CURVES = {"ecdsa-p256": "secp256r1", "ecdsa-p384": "secp384r1"}  # as certbot and OpenSSL call them


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate that all hosts share. Its names are the router, the hosts, and these."""

    manage: bool = option(
        "Whether the certificate is issued, distributed, used and proven; if not, it is left alone.",
        default=True,
    )
    names: tuple[str, ...] = option(
        "Further names of the certificate.", default=(), schema={"items": {"type": "string", **HOST_NAME}}
    )
    administrators: str | None = option(
        "Who is notified of a renewal: a mail address.", default=None, schema=MAIL
    )
    email: str | None = option("The contact address of the account at the CA.", default=None, schema=MAIL)
    server: str = option("The CA's ACME directory.", default=LETS_ENCRYPT, schema=URL)
    rehearsal: str | None = option(
        "An ACME directory at which each order is rehearsed first, or `none`;"
        " Let's Encrypt's staging for Let's Encrypt.",
        default=None,
        schema={"pattern": f"^(none|{HTTPS})$", "x-want": "a URL that begins with https://, or none"},
    )
    ca_bundle: str | None = option(
        "On the primary: the CA file by which the ACME server itself is trusted, if not the system's.",
        default=None,
        schema=PLAIN,
    )
    roots: str | None = option(
        "The roots to which the chain must lead, as PEM: a file beside this one; those of the"
        " machine that plans otherwise.",
        default=None,
        schema=LINE,
    )
    resolver: str | None = option(
        "The name server that the preflight asks, as the CA would; by default the host's own.",
        default=None,
        schema={"pattern": r"^[0-9A-Fa-f.:]+$", "x-want": "the address of a name server"},
    )
    key_type: str = option(
        "The kind of its key; one with another is replaced.", default="rsa", schema={"enum": ["rsa", *CURVES]}
    )
    key_size: int = option(
        "Bits of an RSA key; one with fewer is replaced.", default=2048, schema={"enum": [2048, 3072, 4096]}
    )
    lifetime: int = option(
        "The lifetime of the CA's certificates in days.", default=90, schema={"minimum": 1, "maximum": 398}
    )
    schedule: str = option(
        "When cron on the primary checks whether a renewal is due.",
        default="17 3,15 * * *",
        schema={
            "pattern": r"^[0-9*/,-]+( [0-9A-Za-z*/,-]+){4}$",
            "x-want": "five fields of crontab(5), such as `17 3,15 * * *`",
        },
    )
    jitter: int = option(
        "The longest random delay of a renewal, in seconds.",
        default=1800,
        schema={"minimum": 0, "maximum": 43200},
    )
    overdue: int = option(
        "Percent of the lifetime that are left when a renewal that cron should have made is"
        " ordered by apply.",
        default=25,
        schema={"minimum": 1, "maximum": 90},
    )
    orders_a_week: int = option(
        "How many certificates for these names may be ordered within 7 days.", default=5, schema=COUNT
    )
    failures_an_hour: int = option(
        "How many orders may fail within an hour before no more are placed.", default=5, schema=COUNT
    )
    keep: int = option("How many releases each host keeps.", default=5, schema={"minimum": 2, "maximum": 100})
    ping: str | None = option(
        "A path on port 443 that answers 200 if the host is healthy; verify asks for it.",
        default=None,
        schema=ABSOLUTE,
    )
    max_unavailable: int = option("How many hosts switch at the same time.", default=1, schema=COUNT)
    max_failed: int = option(
        "How many hosts may fail to switch, and be put back, before a rollout stops.",
        default=1,
        schema={"minimum": 0, "maximum": 1000},
    )
    wait_for_hosts: int = option(
        "Hours after a certificate begins for which no host switches to it while another is lost or"
        " cannot be mended; never once the one in use is `overdue`.",
        default=0,
        schema={"minimum": 0, "maximum": 720},
    )
    settle: int = option(
        "Seconds after the reloads of a host until it is proven again.",
        default=0,
        schema={"minimum": 0, "maximum": 600},
    )
    deadline: int = option(
        "Seconds within which a service must serve what it has loaded.",
        default=60,
        schema={"minimum": 5, "maximum": 600},
    )
    trusted: bytes = field(default=b"", repr=False, compare=False)
    """The roots themselves, as PEM."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where things lie on the hosts."""

    node_properties: str = option(
        "The node's properties file.", default="/etc/dataone/node.properties", schema=PLAIN
    )
    challenge: str = option(
        "The directory served as /.well-known/acme-challenge.",
        default="/var/www/.well-known/acme-challenge",
        schema=PLAIN,
    )
    letsencrypt: str = option(
        "certbot's folder. What certbot keeps below its `live` is never served from there.",
        default="/etc/letsencrypt",
        schema=PLAIN,
    )
    certificate: str = option(
        "The directory from which services read the certificate: a link that reconcile manages.",
        default="/var/lib/reconciler/certificate/current",
        schema=PLAIN,
    )


@dataclass(frozen=True, kw_only=True)
class TomcatTls:
    """Tomcat's TLS connector, where it has one; its files are `paths.certificate`'s."""

    port: int = option("Its port.", default=8443, schema=PORT)
    reload: str | None = option(
        "The command that makes it load another certificate, run as root; by default a restart.",
        default=None,
        schema=LINE,
    )


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that use the certificate; a version is part of paths and unit names."""

    apache: bool = option("Whether Apache serves the certificate on port 443.", default=True)
    client_ca: str | None = option(
        "The CA bundle that Apache verifies client certificates with.", default=None, schema=PLAIN
    )
    postgresql: str | None = option(
        "The major version of PostgreSQL; none if it is not used.", default=None, schema=VERSION
    )
    postgresql_certificate: str = option(
        "How PostgreSQL finds the certificate: `settings` (ssl_cert_file), or `links` in its data directory.",
        default="settings",
        schema={"enum": ["settings", "links"]},
    )
    tomcat: str | None = option(
        "The major version of Tomcat; none if it is not used.", default=None, schema=VERSION
    )
    tomcat_tls: TomcatTls | None = None
    portal: bool = option(
        "Whether Tomcat runs the portal, which signs its tokens with the key.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment: one to many hosts behind one router name, sharing a certificate.

    `resources` are the YAML's own further resources, one object per host they are for.
    `file` is the path it was read from, `text` what it says, with what it includes, and `digest` the SHA-256
    of that; `sources` has that of each local file that it names and whose text is not secret, by the name it
    has there.
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
    policy: Policy = field(default_factory=Policy)
    notices: Notices = field(default_factory=Notices)
    acknowledged: tuple[Acknowledged, ...] = ()
    blueprint: bool = True
    resources: tuple[Resource, ...] = ()
    file: str = ""
    text: bytes = field(default=b"", compare=False, repr=False)
    digest: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @cached_property
    def primary(self) -> Host:
        """The host on which certbot runs."""
        return next(host for host in self.hosts if host.primary)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The certificate's names, the router's first, each once."""
        names = (self.router, *(host.name for host in self.hosts), *self.certificate.names)
        return tuple(dict.fromkeys(name.lower() for name in names))

    @cached_property
    def replicas(self) -> tuple[Host, ...]:
        """All hosts but the primary, by name."""
        return tuple(sorted((h for h in self.hosts if not h.primary), key=lambda host: host.name))

    @property
    def all_hosts(self) -> tuple[Host, ...]:
        """The retired ones, too."""
        return (*self.hosts, *self.retired)

    @property
    def groups(self) -> Mapping[str, Collection[str]]:
        """The hosts of each group, by name; every host is in one of those for the primary and the others."""
        named = {PRIMARY, REPLICAS, *(group for host in self.hosts for group in host.groups)}
        return {group: [host.name for host in self.hosts if host.is_in([group])] for group in sorted(named)}

    def others(self, host: Host) -> list[Host]:
        """All hosts but one, which may be a retired one."""
        return [other for other in self.hosts if other.name != host.name]

    @cached_property
    def made_once(self) -> dict[object, Any]:
        """What has been made for all hosts at once, by what makes it; a changed copy begins with none."""
        return {}

    def sshd_port(self, host: Host) -> int:
        """The port at which its peers reach the sshd of a host. It becomes part of the plan, so it is this
        file's word alone."""
        return (host.ssh and host.ssh.port) or self.ssh.port or 22

    @property
    def owns_certificate(self) -> bool:
        """Whether it declares a certificate, which then has an end and a renewal."""
        return self.blueprint and self.certificate.manage

    @property
    def tag(self) -> str:
        """What marks a line on a host as ours."""
        return f"reconciler {self.name}"
