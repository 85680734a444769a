"""The certificates that are ordered: the environment's own, and the entries of `certificates` without a file.
What each of them has for itself, and how its resources are named. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from reconciler.blueprint.outside import asked_as
from reconciler.blueprint.parts import once
from reconciler.blueprint.waves import WaveOrder, wave_order
from reconciler.environment.certificate import CURVES, Certificate
from reconciler.environment.ordered import Ordered
from reconciler.environment.settings import PRIMARY, Environment, Host
from reconciler.kinds.certificate.arrival import Arrival
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.pair import Trust
from reconciler.kinds.certificate.release import Release
from reconciler.kinds.certificate.serving import Serving
from reconciler.kinds.certificate.store import INCOMING, OWN, Store
from reconciler.model import Ref


@dataclass(frozen=True)
class Managed:
    """One of them. `name` is what certbot and the refs of its resources call it, and `hosts` are those that
    get it, in the order of the file."""

    env: Environment
    name: str
    settings: Certificate
    names: tuple[str, ...]
    hosts: tuple[Host, ...]
    store: Store = OWN
    absent: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it is the environment's own, which the services of the node use."""
        return not self.store.name

    @property
    def consumers(self) -> str | None:
        """How `consumers` name it."""
        return self.store.name or None

    @cached_property
    def trust(self) -> Trust:
        """What it is checked against."""
        curve = CURVES.get(self.settings.key_type)
        key = f"ECDSA {curve}" if curve else Trust.key
        return Trust(self.names, self.settings.anchors, self.settings.key_size, key)

    @property
    def lineage(self) -> Ref:
        """The certificate as it was issued, on the primary."""
        return Ref(self.env.primary.name, Lineage.kind, self.name)

    def release(self, host: Host) -> Ref:
        """What is staged on a host."""
        return Ref(host.name, Release.kind, self.name)

    def serving(self, host: Host) -> Ref:
        """What switches a host."""
        return Ref(host.name, Serving.kind, self.name)

    @property
    def _suffix(self) -> str:
        return f"-{self.store.name}" if self.store.name else ""

    @property
    def script(self) -> str:
        """The script that orders and renews it, on the primary."""
        return f"{self.env.paths.letsencrypt}/renewal/certificate{self._suffix}.sh"

    @property
    def job(self) -> str:
        """What cron calls its renewal."""
        return f"reconcile-certificate{self._suffix}"

    @property
    def has_hooks(self) -> bool:
        """Whether certbot calls hooks of its own for it; else those of the environment's own certificate."""
        return self.is_own or not self.settings.on_port_80

    def hook(self, name: str) -> str:
        """The hook of certbot's that is called `auth` or `cleanup`."""
        suffix = self._suffix if self.has_hooks else ""
        return f"{self.env.paths.letsencrypt}/renewal/manual-{name}-hook{suffix}.sh"

    @property
    def of_apache(self) -> bool:
        """Whether the Apache of the node serves it, alone or beside the other one."""
        also = self.env.services.apache_also
        return self.env.services.apache and (self.is_own or self.store.name == also)

    @property
    def others(self) -> bool:
        """Whether the environment has more than one of them."""
        return bool(self.env.ordered)

    def asked_as(self, host: Host) -> tuple[str | None, ...]:
        """The names under which clients ask a host for it; None for sending none."""
        if self.is_own:
            return self.env.router, host.name, None
        if {*self.names} == {*self.env.names}:
            return self.env.router, host.name
        return asked_as(self.names)

    @cached_property
    def replicas(self) -> tuple[Host, ...]:
        """Those of its hosts that are not the primary, in the order in which they switch."""
        return tuple(sorted((h for h in self.hosts if not h.primary), key=lambda host: host.name))

    @property
    def at_once(self) -> int:
        """How many of its hosts may switch at the same time."""
        return self.settings.at_once(len(self.hosts))

    @cached_property
    def arrivals(self) -> tuple[Ref, ...]:
        """What has arrived at each of the replicas, and is staged there."""
        name = f"{self.env.sync.folder}/{INCOMING} {self.store.name}".strip()
        return tuple(Ref(each.name, Arrival.kind, name) for each in self.replicas)

    @cached_property
    def rollout(self) -> WaveOrder:
        """In which order its hosts switch."""
        return wave_order(
            self.replicas,
            self.env.primary,
            all_hosts=self.hosts,
            canary=self.settings.canary,
            at_once=self.at_once,
            serving=self.serving,
            release=self.release,
            of="" if self.is_own else f" of {self.name}",
        )


@once
def own(env: Environment) -> Managed:
    """The environment's own certificate."""
    return Managed(env, env.router, env.certificate, env.names, env.hosts)


@once
def managed(env: Environment) -> list[Managed]:
    """All of them, the environment's own first."""
    return [own(env), *(_further(env, each) for each in env.ordered)]


@once
def ended(env: Environment) -> list[Managed]:
    """Those that are declared absent."""
    return [_further(env, each) for each in env.ended]


def on(env: Environment, host: Host) -> list[Managed]:
    """Those that a host gets."""
    return [each for each in managed(env) if each.is_own or host in each.hosts]


def _further(env: Environment, entry: Ordered) -> Managed:
    names = tuple(dict.fromkeys(name.lower() for name in entry.names))
    wanted = None if entry.hosts is None else {*entry.hosts, PRIMARY}
    hosts = tuple(each for each in env.hosts if wanted is None or each.is_in(wanted))
    return Managed(env, entry.name, entry.settings, names, hosts, Store(entry.name), entry.absent)
