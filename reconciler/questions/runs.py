"""The question what a host keeps of the runs that touched it.

The file is root's, in a folder that only root writes (docs/decisions/027). It is data of whoever is root
there: bounded when it is written, and again when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import CannotSee, quote
from reconciler.questions.files import NO_ANSWER

STORE = "/var/lib/reconciler"
FOLDER = f"{STORE}/runs"
"""One file for each environment, with a line for the beginning and the end of each run."""

LARGEST = 256 * 1024
"""Bytes from which on the older half of a file is dropped, when a line is added."""

READ = 2 * LARGEST
"""Bytes that are read of a file, the last of it: whatever is larger was not written by us."""

ROOTS_FILE = "-maxdepth 0 -type f -user 0 ! -perm /022"
"""find(1): a regular file that root alone can write."""


@dataclass(frozen=True)
class RunsAnswer:
    """What a host has of runs. `state` is `none` where there is no file, `odd` where what is there is not
    root's alone, `after` where the line asked for was found, and `all` where it was not; `text` is what
    follows that line, or everything."""

    state: str
    text: bytes = b""


@dataclass(frozen=True)
class RunsQuestion:
    """The lines of the runs of an environment, after the one with this digest (64 hexadecimal digits;
    "" for all)."""

    environment: str
    after: str = ""

    @classmethod
    def script(cls, questions: list[RunsQuestion]) -> str:
        return "\n".join(each.shell() for each in questions)

    def shell(self) -> str:
        """Prints the state, and below it the lines."""
        # GNU sed: with 0 the range may end in the first line already.
        return f"""f={quote(f"{FOLDER}/{self.environment}")} h={quote(self.after)}
t() {{ tail -c {READ} -- "$f" 2>/dev/null; }}
if [ ! -e "$f" ] && [ ! -L "$f" ]; then echo none
elif [ -z "$(find "$f" {ROOTS_FILE} 2>/dev/null)" ]; then echo odd
elif [ ! -r "$f" ]; then echo hidden
elif [ "$h" ] && t | grep -aq "^$h "; then echo after; t | sed "0,/^$h /d"
else echo all; t; fi"""

    @classmethod
    def parse(cls, output: bytes, questions: list[RunsQuestion]) -> list[RunsAnswer | CannotSee]:
        state, _, text = output.partition(b"\n")
        if len(questions) != 1 or state not in (b"none", b"odd", b"after", b"all"):
            return [NO_ANSWER for _ in questions]
        return [RunsAnswer(state.decode(), text)]
