"""What every host does now, a line for each: what a terminal shows while a command waits for hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.fleet.events import (
    ActionBegan,
    ActionEnded,
    ActionWaits,
    ApplyBegan,
    ApplyEnded,
    Event,
    HostAnswered,
    HostLost,
    HostSwitched,
    LookBegan,
    LookEnded,
    OnItsWay,
    RoundBegan,
)
from reconciler.output.progress import duration
from reconciler.output.text import Style
from reconciler.printable import printable


@dataclass
class HostRow:
    """What one host does, and since when; `mark` is the symbol of its colour (see `text.COLOURS`)."""

    what: str = ""
    since: float | None = None
    mark: str = ""
    done: int = 0
    of: int = 0


class HostsScreen:
    """The lines as they are at a moment. Times are seconds of a clock that is never put back."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._rows: dict[str, HostRow] = {}
        self._waits: dict[str, str] = {}
        self._acts = False
        self._began = 0.0
        self._ended, self._of, self._failed, self._round = 0, 0, 0, 0
        self._rollout = ""
        self.is_shown = False
        """Whether there is something to wait for."""

    def hear(self, event: Event, now: float) -> None:
        """Takes what has happened at a time."""
        match event:
            case LookBegan():
                self._look(event, now)
            case HostAnswered():
                self._rows[event.host] = self._row(event.host, f"answered after {duration(event.seconds)}")
            case HostLost():
                lost = "left behind" if self._acts else "no answer"
                self._rows[event.host] = self._row(event.host, f"{lost}: {event.reason}", mark="-")
            case OnItsWay():
                what = f"waits for {event.ref.kind} {event.ref.name}: {event.reason}"
                self._rows[event.ref.host] = self._row(event.ref.host, what, now, "~")
            case LookEnded():
                self.is_shown = self._acts
            case ApplyBegan():
                self._acts, self.is_shown, self._of, self._began = True, True, event.actions, now
            case ApplyEnded():
                self._acts = self.is_shown = False
            case _:
                self._hear_action(event, now)

    def _hear_action(self, event: Event, now: float) -> None:
        match event:
            case RoundBegan():
                self._begin_round(event, now)
            case ActionWaits():
                self._waits.setdefault(event.ref.host, event.reason)
            case ActionBegan():
                row = self._rows.setdefault(event.ref.host, HostRow())
                row.what, row.since, row.mark = f"{event.verb} {event.ref.kind} {event.ref.name}", now, "!"
            case ActionEnded():
                row = self._rows.setdefault(event.ref.host, HostRow())
                row.done += 1
                row.what, row.since, row.mark = "looks at what has become of it", now, ""
                self._ended += 1
                self._failed += event.result != "done"
            case HostSwitched():
                self._rollout = f"; rollout: {event.number} of {event.of} hosts"

    def _look(self, event: LookBegan, now: float) -> None:
        self.is_shown = True
        if not self._acts:
            self._began, self._rows = now, {}
        for host in event.hosts:
            self._rows[host] = self._row(host, "is asked", now, "!")

    def _begin_round(self, event: RoundBegan, now: float) -> None:
        self._round = event.number
        for host in {**self._rows, **event.actions}:
            row = self._rows.setdefault(host, HostRow())
            if host in event.actions:
                row.done, row.of = 0, event.actions[host]
                row.what, row.since, row.mark = "begins", now, "!"
            elif row.mark != "-":
                row.what, row.since, row.mark = self._waits.get(host, "has nothing to do now"), None, ""
        self._waits.clear()

    def _row(self, host: str, what: str, since: float | None = None, mark: str = "") -> HostRow:
        old = self._rows.get(host, HostRow())
        return HostRow(what, since, mark, old.done, old.of)

    def lines(self, now: float, height: int) -> Iterable[str]:
        """A heading, and at most as many lines for hosts as fit into a terminal of this height; those that
        are busy first, if it is too low for all. Lines may be too long for it."""
        yield self._style.bold(self._heading(now))
        names = shortened(self._rows)
        busy_first = sorted(self._rows, key=lambda host: self._rows[host].mark != "!")
        room = max(height - 3, 1)
        shown = list(self._rows) if len(self._rows) <= room else busy_first[: room - 1]
        width = max((len(printable(names[host])) for host in shown), default=0)
        for host in shown:
            yield self._host_line(printable(names[host]).ljust(width), self._rows[host], now)
        if hidden := len(self._rows) - len(shown):
            yield f"  ... and {hidden} more hosts"

    def _heading(self, now: float) -> str:
        took = duration(now - self._began)
        if self._acts:
            failed = f", {self._failed} failed" if self._failed else ""
            ended = f"{self._ended} of {self._of} actions{failed}"
            where = f"round {self._round}" if self._round else "applying"
            return f"{where}: {ended}, {took}{self._rollout}"
        waiting = sum(row.since is not None for row in self._rows.values())
        return f"looking: {len(self._rows) - waiting} of {len(self._rows)} hosts, {took}"

    def _host_line(self, name: str, row: HostRow, now: float) -> str:
        count = f"{row.done}/{row.of}" if self._acts and row.of else ""
        since = "" if row.since is None else duration(now - row.since)
        counts = f"{count:>7}" if self._acts else ""
        return f"  {name}{counts} {since:>11}  " + self._style.mark(row.mark, printable(row.what))


def shortened(hosts: Iterable[str]) -> dict[str, str]:
    """Each host's first label, where no two have the same one; else its whole name."""
    labels = {host: host.partition(".")[0] for host in hosts}
    return labels if len(set(labels.values())) == len(labels) else {host: host for host in labels}
