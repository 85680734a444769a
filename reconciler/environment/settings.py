"""What an environment file declares, once it has been read and checked. Nouns only.

`schema.py` makes the JSON Schema of the file from these classes and from the kinds: a
field's description, type, default and schema are its documentation and its check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from reconciler.environment.brought import Brought
from reconciler.environment.certificate import Certificate
from reconciler.environment.ordered import Ordered
from reconciler.environment.patterns import PORT
from reconciler.environment.rules import HOST_NAME, Acknowledged, Notices, Policy
from reconciler.environment.services import FORMS, Consumer, Services, of_one_unit
from reconciler.kinds.paths import LINE, NAME, PLAIN
from reconciler.model import Place, Ref, Resource, option

WORD = {"pattern": "^[A-Za-z][A-Za-z0-9_-]*$", "x-want": "a word of letters, digits, `-` and `_`"}
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
            "items": {"type": "string", **WORD},
            "uniqueItems": True,
        },
    )
    site: str | None = option(
        "The site it is at, one of `sites`: it is looked at by the gateway or a worker there. Also a group.",
        default=None,
        schema=WORD,
    )
    ssh: HostSsh | None = None
    place: Place | None = field(default=None, compare=False)

    def is_in(self, named: Collection[str]) -> bool:
        """Whether it is one of those that are named, by their names or by their groups."""
        role = PRIMARY if self.primary else REPLICAS
        return not {self.name, role, *self.groups, *self.sites}.isdisjoint(named)

    @property
    def sites(self) -> tuple[str, ...]:
        """The site it is at, if any."""
        return () if self.site is None else (self.site,)


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """A site, whose hosts are looked at by a machine there that has reconcile and a copy of this environment,
    which must be the same: its gateway, which is reached over ssh; without one, any machine there that runs
    `reconcile worker`, which needs `nats`."""

    gateway: str | None = option(
        "The machine that looks at its hosts: how ssh reaches it.", default=None, schema=LINE
    )
    file: str | None = option(
        "The gateway's own copy of this file, from the home of the account that logs in.",
        default=None,
        schema=LINE,
    )
    command: str = option("How reconcile is called on the gateway.", default="reconcile", schema=LINE)
    plans: str | None = option(
        "The folder there, relative to the copy of this file, with the plans that may be carried out from"
        " here, and their approvals; by default nothing is done there from here.",
        default=None,
        schema=LINE,
    )
    ssh: HostSsh | None = None

    @property
    def host(self) -> Host:
        """The gateway, as something to log in to."""
        return Host(name=self.gateway or "", ssh=self.ssh)


@dataclass(frozen=True, kw_only=True)
class Nats:
    """The server of NATS JetStream through which sites without a gateway are asked. Paths are those of the
    machine that reads this file: the same here and at the sites."""

    servers: tuple[str, ...] = option(
        "URLs of the servers of one cluster; without TLS only on this machine.",
        default=(),
        schema={
            "items": {
                "type": "string",
                "pattern": r"^(tls://[^\s@]+|nats://(127\.[0-9.]+|\[::1\]|localhost)(:[0-9]+)?)$",
                "x-want": "tls://HOST:PORT, or nats://127.0.0.1:PORT on this machine",
            },
            "minItems": 1,
        },
    )
    stream: str = option(
        "The stream; a worker makes it where it is missing.", default="reconcile", schema=WORD
    )
    user: str | None = option("The user that is logged in as.", default=None, schema=NAME)
    password: str | None = option(
        "The file with the password of that user, and nothing else.", default=None, schema=LINE
    )
    ca: str | None = option(
        "A file of the CAs that the server's certificate may be of; by default this machine's.",
        default=None,
        schema=LINE,
    )
    certificate: str | None = option("A client certificate, with its chain.", default=None, schema=LINE)
    key: str | None = option("The private key of that, without a passphrase.", default=None, schema=LINE)
    monitor: str | None = option(
        "The URL of the server's monitoring, from which `sync_interval` is read.",
        default=None,
        schema={"pattern": r"^https?://[^\s@]+$", "x-want": "a URL"},
    )


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
class Environment:
    """One environment: one to many hosts behind one router name, sharing a certificate.

    `ordered` are the further certificates, and `ended` those of them that are declared absent.
    `resources` are the YAML's own further resources, one object per host they are for.
    `file` is the path it was read from, `text` what it says, with what it includes, and `digest` the SHA-256
    of that; `sources` has that of each local file that it names and whose text is not secret, by the name it
    has there.
    """

    name: str
    router: str
    hosts: tuple[Host, ...]
    retired: tuple[Host, ...] = ()
    sites: Mapping[str, SiteSettings] = field(default_factory=dict)
    nats: Nats | None = None
    ssh: Ssh = Ssh()
    sync: Sync = Sync()
    certificate: Certificate = field(default_factory=Certificate)
    paths: Paths = Paths()
    services: Services = field(default_factory=Services)
    consumers: tuple[Consumer, ...] = ()
    certificates: tuple[Brought, ...] = ()
    ordered: tuple[Ordered, ...] = ()
    ended: tuple[Ordered, ...] = ()
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
        """The host on which certbot runs; without the blueprint it may be that none does."""
        return next((host for host in self.hosts if host.primary), self.hosts[0])

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
        named = {PRIMARY, REPLICAS, *(group for host in self.hosts for group in (*host.groups, *host.sites))}
        return {group: [host.name for host in self.hosts if host.is_in([group])] for group in sorted(named)}

    def consumers_on(self, host: Host, certificate: str | None = None) -> list[Consumer]:
        """The further services of a host that use the certificate, or the one of `certificates` of that name,
        one for each port; see `of_one_unit`."""
        mine = of_one_unit(each for each in self.consumers if each.hosts is None or host.is_in(each.hosts))
        return [each for each in mine if each.certificate == certificate]

    def key_asked(self, one: Consumer) -> str:
        """The one kind of key that a client has to take to be shown what this consumer serves, of
        `questions.tls.KEYS`; empty where its port has no other certificate."""
        there = {each.certificate for each in self.consumers if each.where == one.where}
        return self.settings_of(one.certificate).key if len(there) > 1 else ""

    def settings_of(self, name: str | None) -> Certificate:
        """Those of the certificate that is ordered under a name; of the environment's own for any other."""
        return next((each.settings for each in self.ordered if each.name == name), self.certificate)

    def forms_on(self, host: Host, certificate: str | None = None) -> tuple[str, ...]:
        """The files that each release on a host has in the forms that its further services read."""
        declared = {each.form for each in self.consumers_on(host, certificate)}
        return tuple(file for form, files in FORMS.items() if form in declared for file in files)

    def certificates_on(self, host: Host) -> list[Brought]:
        """The brought certificates of a host."""
        return [each for each in self.certificates if each.hosts is None or host.is_in(each.hosts)]

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

    def lifetime_of(self, ref: Ref) -> timedelta:
        """The declared lifetime of a certificate that is ordered, by a ref of `certificate` or `release`."""
        return timedelta(days=self.settings_of(ref.name).days)

    @property
    def at_once(self) -> int:
        """How many of its hosts may switch at the same time."""
        return self.certificate.at_once(len(self.hosts))

    @property
    def owns_certificate(self) -> bool:
        """Whether it declares a certificate, which then has an end and a renewal."""
        return self.blueprint and self.certificate.manage

    @property
    def tag(self) -> str:
        """What marks a line on a host as ours."""
        return f"reconciler {self.name}"
