"""Many questions as one script, one reply parsed into many answers. Pure.

The reply is data: each section is fenced by a boundary that the caller makes at random for
every exchange, and whatever a login prints before the first fence is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.model import CannotSee, Question

MERGED = 400
"""How many questions one command answers at most: keeps far from the argument limit."""

# Output in the C locale is what the parsers know, and sbin is not in every account's PATH.
PROLOGUE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL"


def _groups(questions: Iterable[Question]) -> list[list[Question]]:
    by_class: dict[type, list[Question]] = {}
    for question in dict.fromkeys(questions):
        by_class.setdefault(type(question), []).append(question)
    return [
        group[start : start + MERGED] for group in by_class.values() for start in range(0, len(group), MERGED)
    ]


def compose(questions: Iterable[Question], boundary: str) -> str:
    """Shell that asks all questions; equal ones are asked once. `boundary` is a random word."""
    sections = [
        f"printf '\\n{boundary} {number}\\n'\n(\n{type(group[0]).script(group)}\n) </dev/null"
        for number, group in enumerate(_groups(questions))
    ]
    return "\n".join([PROLOGUE, *sections, f"printf '\\n{boundary} end\\n'"])


def parse(reply: bytes, questions: Iterable[Question], boundary: str) -> Mapping[Question, Any]:
    """The answer to each question; `CannotSee` for those whose section did not come whole."""
    answers: dict[Question, Any] = {}
    fence = f"\n{boundary} ".encode()
    sections = reply.split(fence)[1:]
    for number, group in enumerate(_groups(questions)):
        label = f"{number}\n".encode()
        body = sections[number] if number < len(sections) - 1 else b""
        if not body.startswith(label):
            answers |= dict.fromkeys(group, CannotSee("the host's reply was cut short"))
            continue
        answers |= zip(group, type(group[0]).parse(body[len(label) :], group), strict=True)
    return answers
