"""A script followed while it runs on a host: its frames, as they come, told as events."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

from reconciler.fleet.events import ActionBegan, ActionEnded, Listen, StepBegan, StepEnded
from reconciler.model import Action, Outcome, Ref

LONGEST = 128
"""Bytes that a frame has at most."""


class Following:
    """What one script does with its actions. `hear` takes what the host prints, `finish` what that came to.

    What a host sends is data: a frame that is not due, or comes twice, tells nothing.
    """

    def __init__(self, actions: Sequence[Action], boundary: str, listen: Listen) -> None:
        self._actions, self._listen = actions, listen
        self._frame = re.compile(
            rb"\n" + boundary.encode() + rb"a (\d{1,9}) (\d{1,9}) (begin|\d{1,9})\n",
        )
        self._rest = b""
        self._seen: set[tuple[int, int, bytes]] = set()
        self._began: dict[Ref, float] = {}
        self._step_began = time.monotonic()
        self._ended: set[Ref] = set()

    def hear(self, part: bytes) -> None:
        """Takes the next part of the reply."""
        self._rest += part
        end = 0
        for found in self._frame.finditer(self._rest):
            end = found.end()
            number, index, word = int(found[1]), int(found[2]), found[3]
            if number < len(self._actions) and (number, index, word) not in self._seen:
                self._seen.add((number, index, word))
                self._tell(self._actions[number], index, word)
        self._rest = self._rest[end:][-LONGEST:]

    def _tell(self, action: Action, index: int, word: bytes) -> None:
        steps = (*action.steps, *action.rescue)
        if index >= len(steps):
            return
        number, of = index + 1, len(steps)
        if word == b"begin":
            self._begin(action)
            self._step_began = time.monotonic()
            self._listen(StepBegan(action.ref, number, of, steps[index].command))
            return
        self._listen(StepEnded(action.ref, number, of, int(word), time.monotonic() - self._step_began))
        if word == b"0" and number == len(action.steps):
            self._end(Outcome(action.ref, "done"))

    def _begin(self, action: Action) -> None:
        if action.ref not in self._began:
            self._began[action.ref] = time.monotonic()
            self._listen(ActionBegan(action.ref, action.verb))

    def _end(self, outcome: Outcome) -> None:
        if outcome.ref not in self._ended:
            self._ended.add(outcome.ref)
            seconds = time.monotonic() - self._began.get(outcome.ref, time.monotonic())
            self._listen(ActionEnded(outcome.ref, outcome.result, seconds, outcome.detail))

    def finish(self, outcomes: Iterable[Outcome]) -> None:
        """Tells what has not been told yet, of what the whole reply came to."""
        by_ref = {action.ref: action for action in self._actions}
        for outcome in outcomes:
            if outcome.result != "skipped":
                self._begin(by_ref[outcome.ref])
                self._end(outcome)
