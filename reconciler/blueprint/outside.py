"""What all certificates have in common where services use them: a further service, how clients ask for it,
and the look from the next host; rows S15 and S16."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.blueprint import ways
from reconciler.environment.services import Consumer
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.outside import Outside, Reachable
from reconciler.kinds.certificate.serving import TlsService
from reconciler.model import Ref


def asked_as(names: Iterable[str]) -> tuple[str | None, ...]:
    """The names of a certificate under which clients can ask; None, for sending none, where there is none."""
    return tuple(name for name in names if not name.startswith("*")) or (None,)


def of_consumer(each: Consumer, names: tuple[str | None, ...], key: str = "") -> TlsService:
    """A further service, which is asked under these names, and for one kind of key where that is said."""
    told = None if each.reloads_itself else f"systemctl {each.on_change} {each.unit}"
    called = named(each.unit, key)
    return TlsService(called, each.port, each.protocol, each.check, told, each.unit, names, key)


def named(service: str, key: str) -> str:
    """What a service is called where it is asked for one kind of key; empty for any."""
    return f"{service} ({key})" if key else service


def proven(
    env: Environment,
    host: Host,
    endpoints: tuple[TlsService, ...],
    serving: Ref,
    services: Iterable[Ref],
    *,
    certificate: str,
    names: tuple[str, ...] = (),
    leaf: bool = False,
) -> tuple[Outside, Reachable]:
    """What a host's clients get is looked at from the next host. `serving` has the services load it, `names`
    are those that have to lead to the host, and with `leaf` the chain does not count."""
    other = ways.next_to(env, host).name
    outside = Outside(
        host=other,
        peer=host.name,
        router=env.router,
        endpoints=endpoints,
        certificate=certificate,
        leaf=leaf,
        needs=(serving, *services),
    )
    reachable = Reachable(
        host=host.name,
        seen_from=other,
        outside=outside.ref,
        serving=serving,
        answer=None,
        endpoints=endpoints,
        names=names,
        certificate=certificate,
        needs=(serving,),
    )
    return outside, reachable
