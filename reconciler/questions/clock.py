"""The question about a host's clock."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import CannotSee
from reconciler.questions.files import NO_ANSWER


@dataclass(frozen=True)
class ClockQuestion:
    """What time it is on the host: seconds since 1970, UTC, as an int."""

    @classmethod
    def script(cls, questions: list[ClockQuestion]) -> str:
        return "date +%s"

    @classmethod
    def parse(cls, output: bytes, questions: list[ClockQuestion]) -> list[int | CannotSee]:
        text = output.strip()
        return [int(text) if text.removeprefix(b"-").isdigit() else NO_ANSWER for _ in questions]
