"""The question which commands are there."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER


@dataclass(frozen=True)
class CommandsQuestion:
    """Which of the commands cannot be run, as a frozenset of their names. No process is started."""

    names: tuple[str, ...]

    @classmethod
    def script(cls, questions: list[CommandsQuestion]) -> str:
        names = " ".join(quote(name) for name in dict.fromkeys(name for q in questions for name in q.names))
        return f'for c in {names}; do command -v "$c" >/dev/null || echo "$c"; done; echo done'

    @classmethod
    def parse(cls, output: bytes, questions: list[CommandsQuestion]) -> list[frozenset[str] | CannotSee]:
        lines = output.decode("utf-8", "backslashreplace").split()
        if lines[-1:] != ["done"]:
            return [NO_ANSWER for _ in questions]
        return [frozenset(lines[:-1]) & frozenset(q.names) for q in questions]
