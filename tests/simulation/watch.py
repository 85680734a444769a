"""What must hold at every moment. `Violated` names what does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reconciler.kinds.certificate.serving import Serving
from reconciler.model import Ref
from tests.simulation.declared import ROUTER
from tests.simulation.world import TLS, SimHost, Violated, World

if TYPE_CHECKING:
    from tests.simulation.connection import Frame, SimConnection

Result = tuple[int, str]
SWITCH = re.compile(r"sh \S+/release use staged")
OVERDUE = 0.25
"""Which part of the lifetime is left from when on a rollout goes on in any case: `certificate.overdue`."""


class Watch:
    """Looks at the world before and after each command of ours."""

    def __init__(self, world: World, max_unavailable: int, canaries: Sequence[str] = ()) -> None:
        self.world, self.max_unavailable, self.canaries = world, max_unavailable, canaries

    def acted(self, by: SimConnection, frame: Frame, command: Callable[[], Result]) -> Result:
        """Runs a command of ours on a host, and judges what it did."""
        host = by.host
        self._may_act(by, frame)
        self._canaries_are_proven(by, frame)
        before, readable, changed = self._clients(host), host.pair(), host.changed_at
        boots = host.boots
        try:
            result = command()
            self.world.say(f"{by.name} [{by.number}] {frame.command[:110]} -> {result[0]} {result[1]}")
        finally:
            # What somebody else did meanwhile is not to be told from what we did.
            undisturbed = host.changed_at == changed and host.boots == boots and host.up
            if undisturbed and changed <= by.looked_at:
                self._clients_keep(by, frame, before)
                self._pair_stays(by, frame, readable)
            self._not_too_many_away(by, frame)
        if result[0]:
            host.failed_at = self.world.ticks
        by.has_acted = True
        return result

    def _may_act(self, by: SimConnection, frame: Frame) -> None:
        where = f"{by.name}: {frame.command[:100]}"
        if by.number is None or by.number < by.host.newest_number:
            raise Violated(f"an old number acts: {by.number}, the newest is {by.host.newest_number}: {where}")
        if not by.has_acted and by.looked_at < by.host.changed_at < by.locked_at:
            raise Violated(f"acts on what it has not looked at since somebody changed it: {where}")
        if (by.name, frame.command) not in self.world.intents and "(known after" not in frame.command:
            raise Violated(f"acts without an entry in the journal: {where}")

    def _canaries_are_proven(self, by: SimConnection, frame: Frame) -> None:
        """No other host is led to a release before the canaries that answer have proven it."""
        host, fleet = by.host, by.fleet
        if not SWITCH.fullmatch(frame.command) or by.name in self.canaries or fleet is None:
            return
        staged, current, proven = (host.copy(name) for name in ("staged", "current", "proven"))
        is_away = current and proven and current.release != proven.release
        if staged is None or is_away or (current and self.world.left(current.release) <= OVERDUE):
            return
        for name in self.canaries:
            canary = self.world.hosts[name]
            told = fleet.sight.seen.get(Ref(name, Serving.kind, ROUTER))
            if name not in fleet.hosts or name in fleet.sight.unreachable or not isinstance(told, dict):
                continue
            if canary.changed_at > fleet.hosts[name].looked_at or not canary.up:
                continue
            there = canary.copy("proven")
            if there is None or there.release != staged.release:
                raise Violated(f"{by.name} is switched before {name}, a canary, is proven")

    def _clients(self, host: SimHost) -> dict[int, str]:
        """What clients get and take."""
        found = {port: host.units[unit].presents(self.world.now) for port, unit in TLS.items()}
        reached = {port for port, unit in TLS.items() if not host.units[unit].loopback}
        return {port: r for port, r in found.items() if r and port in reached and self.world.accepted(r)}

    def _clients_keep(self, by: SimConnection, frame: Frame, before: dict[int, str]) -> None:
        for port, release in before.items():
            unit = by.host.units[TLS[port]]
            # A restart is told in the plan; what counts is that it comes back.
            after = unit.loaded if unit.active else None
            if after != release and not self.world.accepted(after):
                raise Violated(
                    f"{by.name}:{port}: clients got {release[-4:]}, and get {(after or 'nothing')[-4:]}"
                    f" after: {frame.command[:120]}"
                )

    def _pair_stays(self, by: SimConnection, frame: Frame, before: str | None) -> None:
        if before and by.host.pair() is None:
            raise Violated(
                f"{by.name}: services can read no certificate any more after: {frame.command[:120]}"
            )

    def _not_too_many_away(self, by: SimConnection, frame: Frame) -> None:
        host, proven = by.host, by.host.copy("proven")
        current = host.copy("current")
        if proven is None or current is None or current.release == proven.release:
            host.away = False
            return
        if not SWITCH.fullmatch(frame.command):
            return  # where the proven copy is damaged, `current` leads to any that can be loaded
        if not host.away:
            host.away, host.away_since = True, self.world.ticks
        lost = by.fleet.sight.unreachable if by.fleet else {}
        declared = by.fleet.hosts if by.fleet else {}
        away = [
            each.name
            for each in self.world.hosts.values()
            if each.away
            and each.up
            and each.name not in lost
            and each.name in declared
            # What was so before this run, and cannot be brought on, is away whatever it does.
            and not (each.away_since < by.locked_at and (each.full or each.failed_at > by.locked_at))
        ]
        away += sorted(self.world.switching - set(away))  # those of one round switch at the same time
        if len(away) > self.max_unavailable:
            raise Violated(f"more than {self.max_unavailable} away from proven: {', '.join(away)}")
