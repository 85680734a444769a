"""The real blueprint's resources for the certificate and what serves it, as the simulated world answers them.

Only `ask` and `read` are other ones: the world says what is seen, as a value. What is wanted, in which order,
by which steps, and when it waits, is the program's own.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from typing import Any

from reconciler.blueprint import resources as blueprint_resources
from reconciler.environment.certificate import Certificate
from reconciler.environment.rules import Policy
from reconciler.environment.services import Services, TomcatTls
from reconciler.environment.settings import Environment, Host, Paths
from reconciler.kinds.service import Service
from reconciler.model import CannotSee, Change, Question, Resource, Seen, Step
from tests.simulation.world import APACHE, CERTIFICATE, FOLDER, POSTGRES, POSTGRESQL, SCRIPT, TOMCAT, VHOST

ROUTER = "cn.example.org"
KINDS = {
    "certificate", "release", "current", "delivery", "arrival", "serving", "outside", "reachable", "answer",
}  # fmt: skip
NAMED = {
    "service": {APACHE, POSTGRESQL, TOMCAT},
    "file": {VHOST, POSTGRES, SCRIPT},
    "symlink": {CERTIFICATE},
    "directory": {FOLDER},
}


@dataclass(frozen=True)
class Told:
    """Asks the world for the state of one resource, or for the answers that its kind reads."""

    kind: str
    name: str
    absent: bool

    @classmethod
    def script(cls, questions: list[Told]) -> str:
        return "\n".join(f"tell {q.kind} {q.absent:d} {q.name}" for q in questions)

    @classmethod
    def parse(cls, output: bytes, questions: list[Told]) -> list[Any]:
        try:
            found = pickle.loads(output)
        except (pickle.UnpicklingError, EOFError):
            return [CannotSee("cut short")] * len(questions)
        return found if len(found) == len(questions) else [CannotSee("cut short")] * len(questions)


class Simulated:
    """What is asked of the world, in front of a kind."""

    def ask(self) -> Mapping[str, Question]:
        return {"told": Told(self.kind, self.name, self.absent)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        told = answers["told"]
        if isinstance(self, Service) and isinstance(told, dict):
            return super().read(told, now)
        return told

    def steps(self, change: Change) -> Iterable[Step]:
        # As whom root acts in a folder of others is not what is simulated.
        return [replace(each, where=()) for each in super().steps(change)]

    def rescue(self, change: Change) -> Iterable[Step]:
        return [replace(each, where=()) for each in super().rescue(change)]


@cache
def simulated(kind: type[Resource]) -> type[Resource]:
    made = type(f"Simulated{kind.__name__}", (Simulated, kind), {})
    return dataclass(frozen=True, kw_only=True)(made)


def as_kind(resource: Resource, kind: type[Resource]) -> Resource:
    """The same resource, of another class with the same fields."""
    return kind(**{each.name: getattr(resource, each.name) for each in fields(resource)})


@dataclass(frozen=True)
class Declared:
    """What an environment file says, as far as sequences change it."""

    hosts: tuple[str, ...]
    primary: str
    names: tuple[str, ...] = ()
    max_unavailable: int = 1
    canary: int = 0
    settle: int = 0
    edition: int = 0
    """Stands in the configuration of the services: another one is a change of it."""
    approvers: int = 0

    @property
    def all_names(self) -> tuple[str, ...]:
        return environment(self).names


@cache
def environment(declared: Declared) -> Environment:
    hosts = tuple(Host(name=name, primary=name == declared.primary) for name in declared.hosts)
    return Environment(
        name="simulated",
        router=ROUTER,
        hosts=hosts,
        paths=Paths(certificate=CERTIFICATE),
        services=Services(
            postgresql="15",
            tomcat="10",
            tomcat_tls=TomcatTls(),
            client_ca=f"/etc/ssl/clients-{declared.edition}.pem",
        ),
        certificate=Certificate(
            names=declared.names,
            max_unavailable=declared.max_unavailable,
            canary=declared.canary,
            settle=declared.settle,
            server="https://ca.example.org/directory",
        ),
        policy=Policy(approvers=declared.approvers, without_approval=("renewal", "reload")),
        file="environments/simulated.yaml",
    )


@cache
def resources(declared: Declared) -> tuple[Resource, ...]:
    """The resources that are simulated, in the order of the blueprint."""
    return tuple(
        as_kind(each, simulated(type(each)))
        for each in blueprint_resources(environment(declared))
        if each.kind in KINDS or each.name in NAMED.get(each.kind, ())
    )


@cache
def script_of(content: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names and the hosts for which a renewal script orders."""
    names, hosts = (
        re.search(rf"^{word}='?([^'\n]*)'?$", content, re.MULTILINE) for word in ("names", "hosts")
    )
    return tuple(names[1].split()), tuple(hosts[1].split())


@cache
def renewal() -> tuple[tuple[str, str], ...]:
    """What certbot remembers of an order, for its next renewal: what is declared."""
    (lineage,) = (each for each in resources(Declared(("h1",), "h1")) if each.kind == "certificate")
    return lineage.renewal
