"""What must hold at every moment. `Violated` names what does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.world import TLS, SimHost, Violated, World

if TYPE_CHECKING:
    from tests.simulation.connection import Frame, SimConnection

Result = tuple[int, str]
SWITCH = re.compile(r"sh \S+/release use staged")


class Watch:
    """Looks at the world before and after each command of ours."""

    def __init__(self, world: World, max_unavailable: int) -> None:
        self.world, self.max_unavailable = world, max_unavailable

    def acted(self, by: SimConnection, frame: Frame, command: Callable[[], Result]) -> Result:
        """Runs a command of ours on a host, and judges what it did."""
        host = by.host
        self._may_act(by, frame)
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
        host.away = True
        lost = by.fleet.sight.unreachable if by.fleet else {}
        declared = by.fleet.hosts if by.fleet else {}
        away = [
            each.name
            for each in self.world.hosts.values()
            if each.away and each.up and each.name not in lost and each.name in declared
        ]
        away += sorted(self.world.switching - set(away))  # those of one round switch at the same time
        if len(away) > self.max_unavailable:
            raise Violated(f"more than {self.max_unavailable} away from proven: {', '.join(away)}")
