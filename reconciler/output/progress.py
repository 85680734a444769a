"""What happens on hosts as lines of text, one after another. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.fleet.events import (
    ActionBegan,
    ActionEnded,
    ActionWaits,
    ApplyBegan,
    Event,
    HostAnswered,
    HostLost,
    HostSwitched,
    LookBegan,
    OnItsWay,
    RoundBegan,
    StepBegan,
    StepEnded,
    StillWaiting,
)
from reconciler.output.text import Style, many
from reconciler.printable import printable


class ProgressLines:
    """The lines of one command, for each event those that are due.

    `level` is how often -v was given: from 1 on what each look asked and took, the rounds, and why an action
    waits; from 2 on also each question and step. `live`: what a host does now is shown elsewhere.
    """

    def __init__(self, style: Style, level: int = 0, *, live: bool = False) -> None:
        self._style, self._level, self._live = style, level, live
        self._ended, self._of = 0, 0
        self._doing: dict[str, str] = {}
        self._lost: set[str] = set()
        self._acts = False

    def lines(self, event: Event) -> Iterator[str]:
        """What is to be printed of an event, each line `printable` but for its colours."""
        match event:
            case LookBegan() if self._level:
                yield f"looking at {many(len(event.hosts), 'host')}"
            case HostAnswered() if self._level:
                yield printable(f"{event.host}: {self._answered(event)}")
            case HostLost():
                yield from self._lost_lines(event)
            case OnItsWay():
                yield printable(f"{event.ref}: {event.reason}")
            case StillWaiting() if not self._live:
                hosts = ", ".join(map(self._named, event.hosts))
                yield printable(f"after {duration(event.seconds)} still waiting for {hosts}")
            case ApplyBegan():
                self._acts, self._of = True, event.actions
            case RoundBegan():
                self._doing.clear()
                if self._level:
                    each = ", ".join(f"{number} on {host}" for host, number in event.actions.items())
                    yield printable(f"round {event.number}: {each}")
            case ActionWaits() if self._level:
                yield self._style.dim(printable(f"{event.ref}: {event.reason}"))
            case _:
                yield from self._action_lines(event)

    def _action_lines(self, event: Event) -> Iterator[str]:
        match event:
            case ActionBegan():
                self._doing[event.ref.host] = f"{event.ref.kind} {event.ref.name}: {event.verb}"
                if self._level or not self._live:
                    yield printable(f"{event.ref}: {event.verb}")
            case StepBegan() if self._level > 1:
                command = event.command.split("\n")[0]
                yield self._style.dim(
                    printable(f"{event.ref}: step {event.number} of {event.of}: $ {command}")
                )
            case StepEnded() if self._level > 1:
                what = f"step {event.number} of {event.of}: status {event.status}"
                yield self._style.dim(printable(f"{event.ref}: {what} after {duration(event.seconds)}"))
            case ActionEnded():
                self._doing.pop(event.ref.host, None)
                yield self._ended_line(event)
            case HostSwitched():
                yield printable(f"rollout of {event.ref.kind} {event.ref.name}: ") + (
                    f"{event.number} of {many(event.of, 'host')}"
                )

    def _ended_line(self, event: ActionEnded) -> str:
        self._ended += 1
        detail = event.detail.replace("\n", " | ")
        text = printable(f"{event.ref}: {event.result} after {duration(event.seconds)}")
        count = f" ({self._ended} of {self._of})"
        if event.result == "done":
            return self._style.mark("+", text) + count
        return self._style.mark("-", text) + count + printable(f": {detail}" if detail else "")

    def _lost_lines(self, event: HostLost) -> Iterator[str]:
        is_new = event.host not in self._lost
        self._lost.add(event.host)
        if is_new and self._acts:
            yield self._style.mark("-", printable(f"{event.host}: left behind: {event.reason}"))
        elif is_new and self._level:
            yield printable(f"{event.host}: could not be looked at: {event.reason}")

    def _named(self, host: str) -> str:
        return f"{host} ({self._doing[host]})" if host in self._doing else host

    def _answered(self, event: HostAnswered) -> str:
        self._lost.discard(event.host)
        text = f"{many(sum(event.asked.values()), 'question')} answered after {duration(event.seconds)}"
        if self._level < 2:
            return text
        each = ", ".join(f"{name.removesuffix('Question')} {count}" for name, count in event.asked.items())
        return f"{text}: {each}"


def duration(seconds: float) -> str:
    """How long something took, for people: tenths of a second below ten, minutes from one on."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
