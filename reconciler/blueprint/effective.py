"""Whether what is declared counts: what each program would do with its configuration now. Nothing here
changes a host; what is not as desired is refused, with the file and line that decide otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.environment.settings import Environment, Host
from reconciler.kinds.effective.clock import SystemClock
from reconciler.model import Ref, Resource


def clock(env: Environment, host: Host) -> Iterable[Resource]:
    """S16: the host's clock agrees with that of the machine that looks."""
    yield SystemClock(host=host.name, seconds=env.ssh.timeout)


def right_clock(host: Host) -> Ref:
    """What must be so before anything on the host judges a certificate by its date."""
    return Ref(host.name, SystemClock.kind, SystemClock.clock)
