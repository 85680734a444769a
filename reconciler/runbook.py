"""Actions as one script, and its reply cut back into outcomes. Pure.

Each step is fenced by frames that say it began and how it ended, so a reply that stops
half-way still tells how far the host got. The script ends by looking again.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence

from reconciler.model import Action, Outcome, Question, Step
from reconciler.probe import PROLOGUE, compose

# A lost connection must not end the step that is running; the frame after it, which then
# cannot be written, ends the script.
_BEGIN = "trap '' HUP PIPE; ok=1"


TOLD = 2000
"""Characters of what a failed step has said that are passed on: the last of it."""


def script(actions: Sequence[Action], questions: Iterable[Question], boundary: str) -> str:
    """Carries out the actions in order, up to the first step that fails; then looks."""
    lines = [PROLOGUE, _BEGIN]
    for number, action in enumerate(actions):
        for index, step in enumerate(action.steps):
            lines.append(_framed(step, f"{number} {index}", boundary))
    return "\n".join([*lines, compose(questions, boundary)])


def _framed(step: Step, label: str, boundary: str) -> str:
    lead, data = "(", ""
    if step.stdin is not None:
        encoded = base64.b64encode(step.stdin.encode()).decode()
        # The here-document begins on the line after the one that names it.
        lead, data = f"base64 -d <<'{boundary}' | (", f"{_wrapped(encoded)}\n{boundary}\n"
    source = "" if step.stdin is not None else " </dev/null"
    return (
        f"if [ $ok = 1 ]; then printf '\\n{boundary}a {label} begin\\n' || exit 1\n"
        f"{lead}\n{data}{step.command}\n) 2>&1{source}\n"
        f"s=$?; printf '\\n{boundary}a {label} %d\\n' \"$s\" || exit 1; [ $s = 0 ] || ok=0; fi"
    )


def _wrapped(data: str) -> str:
    return "\n".join(data[start : start + 76] for start in range(0, len(data), 76))


def outcomes(
    actions: Sequence[Action], reply: bytes, boundary: str, ended: bool, why: str = ""
) -> list[Outcome]:
    """What the frames say of each action: done, failed, lost or skipped.

    `ended` is whether the host ended the script, by itself or because its time was up: what
    had not begun then never will. Where we only lost sight of it, the host may still go on.
    `why` says what happened.
    "done" is what the commands say; the look that follows has the last word.
    """
    frame = re.compile(rb"\n" + boundary.encode() + rb"a (\d{1,9}) (\d{1,9}) (begin|\d{1,9})\n")
    parts = frame.split(reply)
    reached: dict[tuple[int, int], tuple[str, str]] = {}
    for at in range(1, len(parts), 4):
        number, index, word = int(parts[at]), int(parts[at + 1]), parts[at + 2].decode()
        said = "" if word != "begin" else parts[at + 3].decode("utf-8", "backslashreplace")
        before = reached.get((number, index), ("", ""))[1]
        reached[number, index] = (word, said or before)
    found = [
        _outcome(action, [reached.get((number, i)) for i in range(len(action.steps))], ended, why)
        for number, action in enumerate(actions)
    ]
    if ended and found[0].result == "skipped":
        # Nothing came before it that could have failed; without this it would be tried for ever.
        found[0] = Outcome(actions[0].ref, "lost", "the host did not report on it")
    return found


def _outcome(action: Action, steps: list[tuple[str, str] | None], ended: bool, why: str) -> Outcome:
    for step, frame in zip(action.steps, steps, strict=True):
        if frame is None:
            if ended and step is action.steps[0]:
                return Outcome(action.ref, "skipped", why or "an earlier step on this host failed")
            return Outcome(action.ref, "lost", why or "the host did not report on it")
        status, said = frame
        if status == "begin":
            return Outcome(action.ref, "lost", f"{why or 'no answer'}, during: {step.command}")
        if status != "0":
            return Outcome(action.ref, "failed", _failure(step, int(status), said))
    return Outcome(action.ref, "done")


def _failure(step: Step, status: int, said: str) -> str:
    last = "\n".join(said.strip().splitlines()[-8:])[-TOLD:]
    return f"{last or 'it gave no reason'} (status {status} of: {step.command})"
