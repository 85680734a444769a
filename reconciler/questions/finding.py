"""Questions about files whose names are not known yet: a shell pattern stands for them.

Only what is asked for leaves the host: lines that match, and leaf certificates.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER, SUM_LIMIT
from reconciler.questions.locations import matching
from reconciler.questions.tls import PEM_LIMIT

LINES_LIMIT = 64 * 1024
HIDDEN = CannotSee("the account may not read it")


def _files(pattern: str) -> str:
    """The pattern as the shell takes it: `*` stands for anything, all else for itself."""
    return "*".join(quote(part) if part else "" for part in pattern.split("*"))


def _each(pattern: str, command: str) -> str:
    """Runs a command for each file `$f` of a pattern; ends with how much could be seen."""
    folder = quote(pattern.partition("*")[0].rpartition("/")[0] or "/")
    return (
        f"if mine {quote(matching(pattern))}; then"
        f" h=end; [ ! -e {folder} ] || {{ [ -r {folder} ] && [ -x {folder} ]; }} || h=hidden\n"
        f'for f in {_files(pattern)}; do [ -f "$f" ] || continue\n'
        f'[ -r "$f" ] && [ "$(stat -L -c %s -- "$f")" -le {SUM_LIMIT} ] || {{ h=hidden; continue; }}\n'
        f"{command}\ndone\nprintf '\\0%s\\0\\n' $h; fi"
    )


def _records(output: bytes, count: int) -> list[str | CannotSee]:
    """What was printed for each question."""
    found: list[str | CannotSee] = []
    for section in output.decode("utf-8", "backslashreplace").split("\0\n")[:-1]:
        text, _, end = section.rpartition("\0")
        found.append(text if end == "end" else HIDDEN if end == "hidden" else NO_ANSWER)
    return found if len(found) == count else [NO_ANSWER] * count


@dataclass(frozen=True)
class LinesQuestion:
    """The lines that match an extended regular expression (in capitals or not), in all files of
    a pattern: (path, line), blanks around it left out. Nothing else of the files is read."""

    pattern: str
    keep: str

    @property
    def location(self) -> str:
        return matching(self.pattern)

    @classmethod
    def script(cls, questions: list[LinesQuestion]) -> str:
        return "\n".join(
            _each(q.pattern, f'grep -aiHE -- {quote(q.keep)} "$f" | head -c {LINES_LIMIT} | tr -d "\\000"')
            for q in questions
        )

    @classmethod
    def parse(
        cls, output: bytes, questions: list[LinesQuestion]
    ) -> list[tuple[tuple[str, str], ...] | CannotSee]:
        return [
            each
            if isinstance(each, CannotSee)
            else tuple((path, line.strip()) for path, _, line in (row.partition(":") for row in _rows(each)))
            for each in _records(output, len(questions))
        ]


def _rows(text: str) -> list[str]:
    return [row for row in text.split("\n") if row]


@dataclass(frozen=True)
class LeavesQuestion:
    """The first certificate of each file of a pattern, as PEM: (path, PEM)."""

    pattern: str

    @property
    def location(self) -> str:
        return matching(self.pattern)

    @classmethod
    def script(cls, questions: list[LeavesQuestion]) -> str:
        end = "-----END CERTIFICATE-----"
        begin = "/^-----BEGIN CERTIFICATE-----/"
        # One that does not end is cut off where something else begins, which may be a key.
        only = f"{begin},/^{end}/{{{begin}!{{/^-----BEGIN/q}};p}};/^{end}/q"
        return "\n".join(
            _each(q.pattern, f'printf "= %s\\n" "$f"; head -c {PEM_LIMIT} "$f" | sed -n {quote(only)}')
            for q in questions
        )

    @classmethod
    def parse(
        cls, output: bytes, questions: list[LeavesQuestion]
    ) -> list[tuple[tuple[str, str], ...] | CannotSee]:
        answers: list[tuple[tuple[str, str], ...] | CannotSee] = []
        for record in _records(output, len(questions)):
            found: dict[str, str] = {}
            for row in [] if isinstance(record, CannotSee) else _rows(record):
                if row.startswith("= "):
                    path = row[2:]
                    found[path] = ""
                elif found:
                    found[path] += f"{row}\n"
            answers.append(record if isinstance(record, CannotSee) else tuple(found.items()))
        return answers
