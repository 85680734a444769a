"""The question what a program makes of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER, each_record
from reconciler.questions.system import CommandResult, judged

NOT_READ = re.compile(
    r"permission denied|input/output error|cannot allocate|stale file handle", re.IGNORECASE
)
"""What a program says where it has not read the file: nothing about what is in it."""


@dataclass(frozen=True)
class ReadingQuestion:
    """Runs a command that reads one file and changes nothing; the path may be a link. The answer is a
    `CommandResult`, as that of a `CommandQuestion`; `CannotSee` where there is no regular file, but
    something that reading could make wait or never end. Where there is nothing, the command says so."""

    path: str
    command: str

    @property
    def location(self) -> str:
        return f"@{self.path}"

    @classmethod
    def script(cls, questions: list[ReadingQuestion]) -> str:
        return "\n".join(
            f"if mine {quote(q.location)}; then set -- {quote(q.path)}\n"
            'if [ -e "$1" ] && [ ! -f "$1" ]; then printf odd; else\n'
            f"o=$(eval {quote(q.command)} 2>&1); printf '%d %.3000s' $? \"$o\"; fi; printf '\\0'; fi"
            for q in questions
        )

    @classmethod
    def parse(cls, output: bytes, questions: list[ReadingQuestion]) -> list[CommandResult | CannotSee]:
        answers = each_record(output, questions, _result)
        return [
            CannotSee(f"{question.path} {answer.reason}")
            if answer is ODD
            else answer
            if isinstance(answer, CannotSee)
            else judged(question.command, answer)
            for question, answer in zip(questions, answers, strict=True)
        ]


ODD = CannotSee("is something else than a file")


def _result(record: str) -> CommandResult | CannotSee:
    if record == "odd":
        return ODD
    status, _, output = record.partition(" ")
    return CommandResult(int(status), output.strip()) if status.isdecimal() else NO_ANSWER
