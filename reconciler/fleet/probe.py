"""Many questions as one script, one reply parsed into many answers. Pure.

The reply is data: each section is fenced by a boundary that the caller makes at random for
every exchange, and whatever a login prints before the first fence is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from reconciler.fleet import foreign
from reconciler.messages import Message
from reconciler.model import CannotSee, Question
from reconciler.questions.files import FileEntry
from reconciler.questions.locations import location, take

MERGED = 400
"""How many questions one command answers at most: keeps far from the argument limit."""

# Output in the C locale is what the parsers know, and sbin is not in every account's PATH. A core would hold
# the secrets that a step is fed. `root` is set by scripts alone.
PROLOGUE = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL;"
    " unset root; ulimit -S -c 0 2>/dev/null"
)


CUT = CannotSee("the host's reply was cut short")
"""The answer to a question whose section did not come whole."""

NONSENSE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What an answer may raise in whoever reads it: `RecursionError` where it is nested too deeply."""

WHOLE = 16 * 1024 * 1024
"""Bytes that are kept of what one class of questions prints."""

MARGIN = 2
"""Seconds of a look's limit that are left for what is not asked beside the others."""


def groups(questions: Iterable[Question]) -> list[list[Question]]:
    """The questions by class, equal ones once, in the order of their sections in a reply: those
    about paths come first, and those that are asked beside the others last."""
    by_class: dict[type, dict[Question, None]] = {}
    for question in questions:
        by_class.setdefault(type(question), {})[question] = None
    return [
        group[start : start + MERGED]
        for group in sorted(map(list, by_class.values()), key=lambda each: _turn(type(each[0]), each[0]))
        for start in range(0, len(group), MERGED)
    ]


def _turn(kind: type, question: Question) -> int:
    return 2 if _limit(kind) is not None else 1 if location(question) is None else 0


def _limit(kind: type) -> int | None:
    limit: int | None = getattr(kind, "limit", None)
    return limit


def compose(questions: Iterable[Question], boundary: str, seconds: float = 30) -> str:
    """Shell that asks all questions, within `seconds`; equal ones are asked once. `boundary` is a
    random word.

    Classes with a `limit` run beside the rest, which is asked in turn, and may take half of the
    time: what that hid is asked again by `compose_each`, for which the other half is left.
    """
    numbered = list(enumerate(groups(questions)))
    fast = [(number, group) for number, group in numbered if _limit(type(group[0])) is None]
    slow = numbered[len(fast) :]
    body = _bounded(f"{_sections(fast, boundary)}\nexit 0", f"{boundary}f", max(1, int(seconds / 2)))
    body += f"\n[ $? = 0 ] || printf '\\n{boundary} cut\\n'"
    if not fast:
        body = ":"
    for number, group in slow:
        # tail(1) holds what these print until the part to its right has printed: a pipe alone holds 64 kB,
        # and who waits to write more would be ended at its limit.
        limit = max(1, int(min(_limit(type(group[0])) or 0, seconds - MARGIN)))
        script = _bounded(type(group[0]).script(group), f"{boundary}s", limit)
        body = f"{{\n{script}\n}} | tail -c {WHOLE} | {{\n{body}\nprintf '\\n{boundary} {number}\\n'\ncat\n}}"
    # All of it in few and long parts: each that comes by itself costs the controlling side as much as a
    # thousand bytes do, and commands write many short ones.
    return "\n".join([PROLOGUE, f"{{\n{body}\nprintf '\\n{boundary} end\\n'\n}} | tail -c {WHOLE}"])


def _sections(groups: Iterable[tuple[int, list[Question]]], boundary: str) -> str:
    """Shell that asks groups of questions in turn; about paths as whoever may be asked there."""
    about_paths: list[tuple[int, tuple[Question, ...]]] = []
    others: list[str] = []
    for number, group in groups:
        if location(group[0]) is not None:
            about_paths.append((number, tuple(group)))
        else:
            others.append(f"printf '\\n{boundary} {number}\\n'\n{_alone(group)}")
    if about_paths:
        # Most hosts are asked about the same paths.
        others.insert(0, foreign.with_boundary(_about_paths(*about_paths), boundary))
    return "\n".join(others)


def _alone(group: Sequence[Question]) -> str:
    return f"(\n{type(group[0]).script(list(group))}\n) </dev/null"


@lru_cache(maxsize=64)
def _about_paths(*groups: tuple[int, tuple[Question, ...]]) -> str:
    """Shell that asks groups of questions about paths; `foreign.with_boundary` puts its boundary in."""
    scripts: list[str] = []
    locations: dict[str, None] = {}
    for number, group in groups:
        found = [each for each in map(location, group) if each is not None]
        mark = f"printf '\\n%s {number}\\n' \"$boundary\""
        scripts.append(f"{mark}\n{take(found)}\n[ $# = 0 ] || {_alone(group)}")
        locations |= dict.fromkeys(found)
    return foreign.asking("\n".join(scripts), list(locations), foreign.BOUNDARY)


def _bounded(script: str, end: str, seconds: int) -> str:
    return f"timeout -k 1 {seconds} sh -s <<'{end}'\n{script}\n{end}"


def parse(reply: bytes, questions: Iterable[Question], boundary: str) -> Mapping[Question, Any]:
    """The answer to each question; `CannotSee` for those whose section did not come whole."""
    bodies = _bodies(reply, boundary)
    try:
        owned = foreign.owned(bodies.get(b"whose", b"\0"))
    except ValueError:
        owned = None
    answers: dict[Question, Any] = {}
    for number, group in enumerate(groups(questions)):
        if location(group[0]) is not None:
            answers |= _located(number, group, bodies, owned, boundary)
        else:
            answers |= _parsed(group, bodies.get(b"%d" % number), CUT)
    return answers


def _parsed(group: list[Question], section: bytes | None, otherwise: CannotSee) -> Mapping[Question, Any]:
    if section is None or not group:
        return dict.fromkeys(group, otherwise)
    return dict(zip(group, _understood(group, section), strict=True))


def _understood(group: list[Question], section: bytes) -> list[Any]:
    """What the class of the questions makes of what was printed, which may be anything."""
    try:
        return type(group[0]).parse(section, group)
    except NONSENSE:
        return [CannotSee("the host's answer to this question makes no sense") for _ in group]


def _located(
    number: int,
    group: list[Question],
    bodies: Mapping[bytes, bytes],
    owned: Mapping[str, foreign.Owned] | None,
    boundary: str,
) -> Mapping[Question, Any]:
    """The answers to a group of questions about paths: root's, and those of each account."""
    if owned is None:
        return dict.fromkeys(group, CUT)
    label = b"%d" % number
    if not owned:
        return _parsed(group, bodies.get(label), CUT)
    root = [each for each in group if location(each) not in owned]
    answers = dict(_parsed(root, bodies.get(label), CUT))
    parts = {
        uid: _bodies(said, inner) for uid, said, inner in foreign.parts(bodies.get(b"others", b""), boundary)
    }
    for each in group:
        if (whose := owned.get(location(each) or "")) is None:
            continue
        if whose.uid == "-":
            answers[each] = CannotSee(whose.refusal())
        elif b"others" not in bodies:
            answers[each] = CUT
        elif each not in answers:
            theirs = [other for other in group if owned.get(location(other) or "") == whose]
            answers |= {
                question: replace(answer, acts_as=whose.name) if isinstance(answer, FileEntry) else answer
                for question, answer in _parsed(
                    theirs, parts.get(whose.uid, {}).get(label), CannotSee(whose.silence())
                ).items()
            }
    return answers


def _bodies(reply: bytes, boundary: str) -> dict[bytes, bytes]:
    """What was printed under each label, as far as it came whole."""
    bodies: dict[bytes, bytes] = {}
    label, last = b"", -1
    for section in reply.split(f"\n{boundary} ".encode())[1:]:
        before, (label, _, body) = label, section.partition(b"\n")
        if label in (b"cut", b"end"):
            if label == b"cut":
                bodies.pop(before, None)
            continue
        if label in (b"whose", b"others"):
            bodies[label] = body
            continue
        # Only what the host has ended itself leaves numbers out.
        if not label.isdigit() or not (int(label) == last + 1 or (before == b"cut" and int(label) > last)):
            break
        last, bodies[label] = int(label), body
    if label != b"end":
        bodies.pop(label, None)
    return bodies


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
    if location(question) is not None:
        script = f"{_sections([(0, [question])], f'{boundary}p')}\nprintf {boundary}"
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
            said = said[: -len(boundary)]
            if location(question) is not None:
                said += f"\n{boundary}p end\n".encode()
                answers[question] = parse(said, [question], f"{boundary}p")[question]
            else:
                (answers[question],) = _understood([question], said)
        else:
            what = vars(question)
            about = ", ".join(str(each) for each in what.values()) if what else ""
            name = type(question).__name__.removesuffix("Question").lower()
            answers[question] = CannotSee(
                f"the host gave no answer within {seconds:.0f} s when asked for: {name} {about[:200]}"
                f" {Message.TOO_LONG}"
            )
    return answers
