"""Actions as one script, and its reply parsed back into outcomes. Pure.

Each step is fenced by frames that say it began and how it ended, so a reply that stops
half-way still tells how far the host got. The script ends by looking again.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence

from reconciler.fleet import foreign
from reconciler.fleet.probe import PROLOGUE, compose
from reconciler.messages import Message
from reconciler.model import Action, Outcome, Question, Step

# A lost connection must not end the step that is running; the frame after it, which then
# cannot be written, ends the script. What is ignored stays so in every command (POSIX, trap).
_BEGIN = "trap '' HUP PIPE; ok=1; bad="


SHOWN = 2000
"""Characters of a failed step's output that are shown: the last of it."""


def script(
    actions: Sequence[Action],
    questions: Iterable[Question],
    boundary: str,
    seconds: float = 30,
    opening: str = "",
) -> str:
    """Shell that carries out the actions in order, up to the first step that fails, whose
    action is then rescued; and that then answers the questions within `seconds`. `boundary` is a
    random word. `opening` is shell that is run before, whatever becomes of it."""
    lines = [PROLOGUE, _BEGIN, *([opening] if opening else [])]
    where = [each for action in actions for step in (*action.steps, *action.rescue) for each in step.where]
    if where:
        lines.append(foreign.beginning(where))
    for number, action in enumerate(actions):
        for index, step in enumerate(action.steps):
            lines.append(
                _framed(
                    step,
                    f"{number} {index}",
                    boundary,
                    "$ok = 1",
                    f"ok=0; [ $s = {foreign.PUT_OFF} ] || bad={number}",
                )
            )
        for index, step in enumerate(action.rescue, len(action.steps)):
            lines.append(_framed(step, f"{number} {index}", boundary, f'"$bad" = {number}', ":"))
    return "\n".join([*lines, compose(questions, boundary, seconds)])


def _framed(step: Step, label: str, boundary: str, when: str, failed: str) -> str:
    lead, data = "(", ""
    if step.stdin is not None:
        encoded = base64.b64encode(step.stdin.encode()).decode()
        # The here-document begins on the line after the one that names it.
        lead, data = f"base64 -d <<'{boundary}' | (", f"{_wrapped(encoded)}\n{boundary}\n"
    command = foreign.acting(step.command, step.where) if step.where else step.command
    source = "" if step.stdin is not None else " </dev/null"
    return (
        f"if [ {when} ]; then printf '\\n{boundary}a {label} begin\\n' || exit 1\n"
        f"{lead}\n{data}{command}\n) 2>&1{source}\n"
        f"s=$?; printf '\\n{boundary}a {label} %d\\n' \"$s\" || exit 1; [ $s = 0 ] || {{ {failed}; }}; fi"
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
        _outcome(action, _frames(action, number, reached), ended, why)
        for number, action in enumerate(actions)
    ]
    if ended and found[0].result == "skipped":
        # Nothing came before it that could have failed; without this it would be tried for ever.
        found[0] = Outcome(actions[0].ref, "lost", "the host did not report on it")
    return found


_Frames = list[tuple[str, str] | None]


def _frames(action: Action, number: int, reached: Mapping[tuple[int, int], tuple[str, str]]) -> _Frames:
    return [reached.get((number, index)) for index in range(len(action.steps) + len(action.rescue))]


def _outcome(action: Action, frames: _Frames, ended: bool, why: str) -> Outcome:
    for step, frame in zip(action.steps, frames, strict=False):
        if frame is None:
            if ended and step is action.steps[0]:
                return Outcome(action.ref, "skipped", why or "an earlier step on this host failed")
            return Outcome(action.ref, "lost", why or "the host did not report on it")
        status, said = frame
        if status == "begin":
            return Outcome(action.ref, "lost", f"{why or 'no answer'}, during: {step.command}")
        if status == str(foreign.PUT_OFF) and step is action.steps[0]:
            return Outcome(action.ref, "skipped", said.strip())
        if status != "0":
            rescue = frames[len(action.steps) :]
            put_back = bool(rescue) and all(frame and frame[0] == "0" for frame in rescue)
            detail = _failure(step, int(status), said) + _rescued(action, rescue)
            return Outcome(action.ref, "failed", detail, put_back)
    return Outcome(action.ref, "done")


def _rescued(action: Action, frames: _Frames) -> str:
    """How the rescue of a failed action went, as the end of a sentence."""
    if not action.rescue:
        return ""
    for step, frame in zip(action.rescue, frames, strict=True):
        if frame is None or frame[0] == "begin":
            return f"; then putting it back was cut short, at: {step.command}"
        if frame[0] != "0":
            return f"; then putting it back failed: {_failure(step, int(frame[0]), frame[1])}"
    last = (frames[-1] or ("", ""))[1].strip()
    return f"; it was put back{f' ({last[-200:]})' if last else ''}"


def _failure(step: Step, status: int, said: str) -> str:
    last = "\n".join(said.strip().splitlines()[-8:])[-SHOWN:]
    if status == foreign.REFUSED and str(Message.FOREIGN_FOLDER) in last:
        return last
    return f"{last or 'it gave no reason'} (status {status} of: {step.command})"
