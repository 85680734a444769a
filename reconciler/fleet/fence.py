"""A number for each host that only grows: what was asked for earlier does not act where something that was
asked for later has. A stream may deliver late and twice; the host's own lock keeps two runs apart, and this
their order."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.fleet.reply import Refused, Reply
from reconciler.model import quote
from reconciler.questions.runs import ROOTS_FILE, STORE

FOLDER = f"{STORE}/tasks"
"""One file for each environment: the newest task that was begun on the host."""


class Outdated(Exception):
    """A later task has acted on a host: `line` says which, and where."""

    def __init__(self, line: str) -> None:
        self.line = line
        super().__init__(line)


@dataclass(frozen=True)
class Fence:
    """A task's place in the stream it came from: `epoch` is when that was made, in seconds since 1970, and
    `number` that of the message."""

    environment: str
    task: str
    epoch: int
    number: int

    def script(self) -> str:
        """Shell that takes this number on a host, and prints `taken`, or the one that stands against it. Only
        whoever holds the host's lock may run it, so that nobody does the same in between."""
        mine = f"{self.epoch} {self.number} {self.task}"
        return f"""(
umask 022
d={quote(FOLDER)} f={quote(f"{FOLDER}/{self.environment}")}
mkdir -p "$d" || exit
[ "$(find {quote(STORE)} "$d" -maxdepth 0 -type d -user 0 ! -perm /022 | wc -l)" = 2 ] || exit
e=0 n=0 t=
if [ -e "$f" ] || [ -L "$f" ]; then
  [ "$(find "$f" {ROOTS_FILE})" ] || exit
  read -r e n t <"$f"
  case "$e$n" in *[!0-9]*|'') exit ;; esac
fi
if [ "$e" -gt {self.epoch} ] || {{ [ "$e" -eq {self.epoch} ] && {{ [ "$n" -gt {self.number} ] ||
  {{ [ "$n" -eq {self.number} ] && [ "$t" != {self.task} ]; }}; }}; }}; then
  echo "newer $e.$n"
else
  echo {quote(mine)} >"$f.new" && sync "$f.new" && mv "$f.new" "$f" && sync "$d" && echo taken
fi
) 2>&1"""

    def check(self, host: str, reply: Reply) -> None:
        """Raises `Outdated` where a host says that a later one has acted there, and `Refused` where it could
        not take the number."""
        said = reply.output.decode("utf-8", "replace").strip()
        if said == "taken":
            return
        if said.startswith("newer "):
            raise Outdated(
                f"{host}: task {self.epoch}.{self.number} is older than one that was begun there,"
                f" {said.removeprefix('newer ')[:60]}"
            )
        why = said.splitlines()[-1][:200] if said else "it has to be root's alone"
        raise Refused(host, f"the number of the task could not be written to {FOLDER}: {why}")
