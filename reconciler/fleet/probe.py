"""Many questions as one script, one reply parsed into many answers. Pure.

The reply is data: each section is fenced by a boundary that the caller makes at random for
every exchange, and whatever a login prints before the first fence is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.messages import Message
from reconciler.model import CannotSee, Question

MERGED = 400
"""How many questions one command answers at most: keeps far from the argument limit."""

# Output in the C locale is what the parsers know, and sbin is not in every account's PATH.
PROLOGUE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL"


CUT = CannotSee("the host's reply was cut short")
"""The answer to a question whose section did not come whole."""

WHOLE = 16 * 1024 * 1024
"""Bytes that are kept of what one class of questions prints."""

MARGIN = 2
"""Seconds of a look's limit that are left for what is not asked beside the others."""


def groups(questions: Iterable[Question]) -> list[list[Question]]:
    """The questions by class, equal ones once, in the order of their sections in a reply: those
    that are asked beside the others come last."""
    by_class: dict[type, list[Question]] = {}
    for question in dict.fromkeys(questions):
        by_class.setdefault(type(question), []).append(question)
    return [
        group[start : start + MERGED]
        for kind, group in sorted(by_class.items(), key=lambda each: _limit(each[0]) is not None)
        for start in range(0, len(group), MERGED)
    ]


def _limit(kind: type) -> int | None:
    limit: int | None = getattr(kind, "limit", None)
    return limit


def compose(questions: Iterable[Question], boundary: str, seconds: float = 30) -> str:
    """Shell that asks all questions, within `seconds`; equal ones are asked once. `boundary` is a
    random word.

    Classes with a `limit` run beside the rest, which is asked in turn, and may take half of the
    time: what that hid is asked again by `compose_each`, for which the other half is left.
    """
    fast = [(n, group) for n, group in enumerate(groups(questions)) if _limit(type(group[0])) is None]
    slow = list(enumerate(groups(questions)))[len(fast) :]
    sections = [
        f"printf '\\n{boundary} {number}\\n'\n(\n{type(group[0]).script(group)}\n) </dev/null"
        for number, group in fast
    ]
    body = _bounded("\n".join([*sections, "exit 0"]), f"{boundary}f", max(1, int(seconds / 2)))
    body += f"\n[ $? = 0 ] || printf '\\n{boundary} cut\\n'"
    if not fast:
        body = ":"
    for number, group in slow:
        # tail(1) holds what these print until the part to its right has printed: a pipe alone holds 64 kB,
        # and who waits to write more would be ended at its limit.
        limit = max(1, int(min(_limit(type(group[0])) or 0, seconds - MARGIN)))
        script = _bounded(type(group[0]).script(group), f"{boundary}s", limit)
        body = f"{{\n{script}\n}} | tail -c {WHOLE} | {{\n{body}\nprintf '\\n{boundary} {number}\\n'\ncat\n}}"
    return "\n".join([PROLOGUE, body, f"printf '\\n{boundary} end\\n'"])


def _bounded(script: str, end: str, seconds: int) -> str:
    return f"timeout -k 1 {seconds} sh -s <<'{end}'\n{script}\n{end}"


def parse(reply: bytes, questions: Iterable[Question], boundary: str) -> Mapping[Question, Any]:
    """The answer to each question; `CannotSee` for those whose section did not come whole."""
    bodies: dict[bytes, bytes] = {}
    label, last = b"", -1
    for section in reply.split(f"\n{boundary} ".encode())[1:]:
        before, (label, _, body) = label, section.partition(b"\n")
        if label in (b"cut", b"end"):
            if label == b"cut":
                bodies.pop(before, None)
            continue
        # Only what the host has ended itself leaves numbers out.
        if not label.isdigit() or not (int(label) == last + 1 or (before == b"cut" and int(label) > last)):
            break
        last, bodies[label] = int(label), body
    if label != b"end":
        bodies.pop(label, None)
    answers: dict[Question, Any] = {}
    for number, group in enumerate(groups(questions)):
        whole = bodies.get(b"%d" % number)
        if whole is None:
            answers |= dict.fromkeys(group, CUT)
        else:
            answers |= zip(group, type(group[0]).parse(whole, group), strict=True)
    return answers


def was_cut(reply: bytes, boundary: str) -> bool:
    """Whether the host itself has ended a part of the look that took too long."""
    return f"\n{boundary} cut\n".encode() in reply


def compose_each(questions: Iterable[Question], boundary: str, seconds: float) -> str:
    """Shell that asks each question by itself, all side by side, within `seconds` each: for those
    that a look has lost because one of them hangs. `parse_each` reads what it prints."""
    # A pipe from each to the next: all run at once, and what they say comes in order.
    stages = [
        f"{{\no=$({_bounded_marked(question, boundary, max(1, int(seconds)))}\n)\n"
        f"cat; printf '\\n{boundary} {number} %s\\n' \"$o\"\n}}"
        for number, question in enumerate(questions)
    ]
    return "\n".join([PROLOGUE, " |\n".join(["printf ''", *stages]), f"printf '\\n{boundary} end\\n'"])


def _bounded_marked(question: Question, boundary: str, seconds: int) -> str:
    """Prints in base64 what answers a question, and a mark if that is whole."""
    script = f"(\n{type(question).script([question])}\n) </dev/null\nprintf {boundary}"
    first, _, rest = _bounded(script, f"{boundary}e", seconds).partition("\n")
    return f"{first} | base64 -w 0\n{rest}"


def parse_each(
    reply: bytes, questions: Iterable[Question], boundary: str, seconds: float
) -> dict[Question, Any]:
    """The answer to each question that `compose_each` asked; `CannotSee` where there was none."""
    records = dict(
        line.split(b" ", 1)
        for line in (part.partition(b"\n")[0] for part in reply.split(f"\n{boundary} ".encode())[1:])
        if b" " in line
    )
    answers: dict[Question, Any] = {}
    for number, question in enumerate(questions):
        try:
            said = base64.b64decode(records.get(b"%d" % number, b""), validate=True)
        except ValueError:
            said = b""
        if said.endswith(boundary.encode()):
            (answers[question],) = type(question).parse(said[: -len(boundary)], [question])
        else:
            what = vars(question)
            about = ", ".join(str(each) for each in what.values()) if what else ""
            name = type(question).__name__.removesuffix("Question").lower()
            answers[question] = CannotSee(
                f"the host gave no answer within {seconds:.0f} s when asked for: {name} {about[:200]}"
                f" {Message.TOO_LONG}"
            )
    return answers
