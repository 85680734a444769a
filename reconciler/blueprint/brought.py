"""Certificates that somebody brings: looked at, and proven where they are used. Also without the rest of the
blueprint."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.blueprint.outside import asked_as, of_consumer, proven
from reconciler.blueprint.parts import part
from reconciler.environment.brought import Brought
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.brought import BroughtCertificate, BroughtKey
from reconciler.kinds.certificate.brought_serving import BroughtServing
from reconciler.kinds.certificate.serving import TlsService
from reconciler.kinds.service import Service
from reconciler.model import Ref, Resource
from reconciler.subjects import Subject


def judged(host: Host, name: str) -> Ref:
    """What judges a brought certificate on a host."""
    return Ref(host.name, BroughtCertificate.kind, name)


@part(Subject.CERTIFICATE)
def held(env: Environment, host: Host) -> Iterable[Resource]:
    """Each is there with its key, which only those read that use it."""
    for each in env.certificates_on(host):
        users = [user.user for user in env.consumers_on(host, each.name) if user.user]
        yield BroughtKey(
            host=host.name,
            certificate=each.name,
            key=each.key_file,
            owner=each.owner,
            group=each.group,
            mode=each.mode,
            users=tuple(dict.fromkeys((*each.users, *users))),
        )
        yield BroughtCertificate(
            host=host.name,
            certificate=each.name,
            file=each.file,
            key=each.key_file,
            roots=each.trusted,
            purpose=each.purpose,
            names=each.names,
        )


@part(Subject.ROLLOUT)
def served(env: Environment, host: Host) -> Iterable[Resource]:
    """What uses one serves it, host after host, the primary last."""
    for each in env.certificates_on(host):
        mine = endpoints(env, host, each)
        if mine:
            yield BroughtServing(
                host=host.name,
                certificate=each.name,
                brought=judged(host, each.name),
                file=each.file,
                key=each.key_file,
                roots=each.trusted,
                endpoints=mine,
                deadline=env.certificate.deadline,
                needs=(Ref(host.name, BroughtKey.kind, each.name), *_units(host, mine)),
                follows=tuple(_before(env, host, each)),
            )


def _before(env: Environment, host: Host, brought: Brought) -> Iterable[Ref]:
    turns = [*env.replicas, env.primary]
    for other in turns[: turns.index(host)]:
        if brought in env.certificates_on(other) and env.consumers_on(other, brought.name):
            yield Ref(other.name, BroughtServing.kind, brought.name)


def _units(host: Host, mine: Iterable[TlsService]) -> list[Ref]:
    return [Ref(host.name, Service.kind, unit) for unit in dict.fromkeys(each.unit for each in mine)]


@part(Subject.ROLLOUT)
def proven_outside(env: Environment, host: Host) -> Iterable[Resource]:
    """What a host's clients get of it is looked at from the next host."""
    for each in env.certificates_on(host):
        if mine := endpoints(env, host, each):
            serving = Ref(host.name, BroughtServing.kind, each.name)
            yield from proven(env, host, mine, serving, _units(host, mine), certificate=each.name, leaf=True)


def endpoints(env: Environment, host: Host, brought: Brought) -> tuple[TlsService, ...]:
    """The services of a host that use a brought certificate."""
    names = asked_as(brought.names)
    return tuple(of_consumer(each, names) for each in env.consumers_on(host, brought.name))
