"""In which order the hosts switch to a certificate: waves of a rollout, row S15. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from reconciler.environment.settings import Host
from reconciler.model import Joint, Ref
from reconciler.refs import short_names

NAMED = 3
"""Hosts of a wave that are named in a plan; more are counted."""
TOLD = 6
"""Waves that are told one by one; of more, the first ones and the last."""


@dataclass(frozen=True)
class WaveOrder:
    """The order of a rollout.

    serving   what switches each of the hosts
    staged    that all of them have the release
    waves     the hosts of each wave, the primary as the last
    canaries  what switches those that are tried first, of which none may fail
    turn      by host, which wave it is in
    switched  for each wave but the last: that it has switched, and those before it
    """

    serving: tuple[Ref, ...]
    staged: Joint
    waves: tuple[tuple[Host, ...], ...]
    canaries: tuple[Ref, ...]
    turn: dict[str, int]
    switched: tuple[Joint, ...]

    def before(self, host: Host) -> tuple[Joint, ...]:
        """That the other hosts have it staged, and that those before this one have switched."""
        turn = self.turn[host.name]
        return (self.staged, *self.switched[max(turn - 1, 0) : turn])

    def canaries_before(self, host: Host) -> tuple[Ref, ...]:
        """Those of the canaries that switch before a host."""
        return tuple(ref for ref in self.canaries if self.turn[ref.host] < self.turn[host.name])

    @cached_property
    def words(self) -> str:
        """The waves in a line."""
        short = short_names(host.name for wave in self.waves for host in wave)
        canary = {ref.host for ref in self.canaries}
        told = [_wave(wave, short, canary) for wave in self.waves]
        if len(told) > TOLD:
            told[TOLD // 2 : -1] = ["…"]
        count = len(self.waves)
        return f"the rollout goes in {count} wave{'s' * (count > 1)}: {'; '.join(told)}"


def wave_order(
    replicas: Sequence[Host],
    primary: Host,
    *,
    all_hosts: Sequence[Host],
    canary: int,
    at_once: int,
    serving: Callable[[Host], Ref],
    release: Callable[[Host], Ref],
    of: str = "",
) -> WaveOrder:
    """The canaries, as many as `canary`, then the other replicas, then the primary: no more than `at_once`
    in a wave. `of` says of which certificate."""
    waves = (
        *_in_waves(replicas[:canary], at_once),
        *_in_waves(replicas[canary:], at_once),
        (primary,),
    )
    switched: list[Joint] = []
    count = 0
    for wave in waves[:-1]:
        count += len(wave)
        said = f"serving{of} on the first {count} hosts"
        switched.append(Joint(said, (*switched[-1:], *map(serving, wave))))
    return WaveOrder(
        serving=tuple(map(serving, all_hosts)),
        staged=Joint(f"release{of} on every host", tuple(map(release, all_hosts))),
        waves=waves,
        canaries=tuple(map(serving, replicas[:canary])),
        turn={host.name: number for number, wave in enumerate(waves) for host in wave},
        switched=tuple(switched),
    )


def _in_waves(hosts: Sequence[Host], size: int) -> Iterable[tuple[Host, ...]]:
    return (tuple(hosts[start : start + size]) for start in range(0, len(hosts), size))


def _wave(wave: Sequence[Host], short: dict[str, str], canary: set[str]) -> str:
    names = [short[each.name] for each in wave]
    listed = ", ".join(names)
    if len(names) > NAMED:
        listed = f"{len(names)} hosts ({names[0]} to {names[-1]})"
    if wave[0].name not in canary:
        return listed
    role = "the canary" if len(canary) == 1 else "a canary" if len(wave) == 1 else "canaries"
    return f"{listed} as {role}"
