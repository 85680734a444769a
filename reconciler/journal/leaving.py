"""What a run leaves on the hosts that it touches: the lines, and the shell that adds them to a file.

The lines travel with what is sent to a host anyway: the first with the script of the round in which the run
first acts there, the last with the word that releases the lock.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.journal import lines
from reconciler.journal.lines import RunLine
from reconciler.journal.records import HostRecords
from reconciler.model import Action, quote
from reconciler.questions.runs import FOLDER, LARGEST, ROOTS_FILE, STORE

Sign = Callable[[str], str]
"""Makes a signature over a text, in base64; `lines.UNSIGNED` where nobody signs."""


def unsigned(text: str) -> str:
    """The signature of nobody."""
    return lines.UNSIGNED


def new_run() -> str:
    """What a run is called on hosts, and elsewhere."""
    return f"x{secrets.token_hex(6)}"


class LinesOfRun:
    """The lines of one run. `facts` is what its beginning says on every host, beside the actions there;
    `sign` may be called by several threads."""

    def __init__(
        self,
        records: HostRecords,
        run: str,
        facts: Mapping[str, Any],
        actions: Iterable[Action],
        clock: Callable[[], datetime],
        sign: Sign = unsigned,
    ) -> None:
        self._records, self._run, self._facts, self._clock, self._sign = records, run, facts, clock, sign
        self._actions: dict[str, list[str]] = defaultdict(list)
        for each in actions:
            self._actions[each.ref.host].append(f"{each.verb} {each.ref.kind} {each.ref.name}"[:300])
        self._heads: dict[str, str] = {}

    def opening(self, host: str) -> str:
        """Shell that leaves the first line on a host; "" where it has been left. It never fails."""
        if host in self._heads:
            return ""
        actions = self._actions[host]
        told, more = actions[: lines.TOLD], len(actions[lines.TOLD :])
        body = {**self._facts, "what": "begin", "actions": told, "more": more}
        return f"{self._append(host, self._records.heads.get(host, ''), body)} || :"

    def closing(self, code: int, settled: Mapping[str, Iterable[tuple[str, str]]]) -> dict[str, str]:
        """By host that was touched, shell that leaves the last line there. `settled` are by host the refs
        that are as desired, with the digest of what is."""
        return {
            host: self._append(
                host,
                head,
                {"what": "end", "code": code, "settled": lines.settled_part(settled.get(host, ()))},
            )
            for host, head in self._heads.items()
        }

    def _append(self, host: str, before: str, more: Mapping[str, Any]) -> str:
        environment = self._records.environment
        body = {**lines.common_body(environment, self._run, host, before, self._clock()), **more}
        digest = lines.digest_of(body)
        self._heads[host] = digest
        return append(environment, RunLine(digest, self._sign(digest), body).text)


def append(environment: str, line: str) -> str:
    """Shell that adds a line to the file of an environment; it fails where that is not root's alone."""
    return f"""(
umask 022
d={quote(FOLDER)} f={quote(f"{FOLDER}/{environment}")}
mkdir -p "$d" || exit
[ "$(find {quote(STORE)} "$d" -maxdepth 0 -type d -user 0 ! -perm /022 | wc -l)" = 2 ] || exit 1
if [ -e "$f" ] || [ -L "$f" ]; then
  [ "$(find "$f" {ROOTS_FILE})" ] || exit 1
  # What a power cut has left of a line may end with zeros, which the shell would not see.
  [ ! -s "$f" ] || [ "$(tail -c 1 "$f" | wc -l)" = 1 ] || echo >>"$f"
  if [ "$(wc -c <"$f")" -ge {LARGEST} ]; then
    tail -c {LARGEST // 2} "$f" | sed 1d >"$f.new" && sync "$f.new" && mv "$f.new" "$f" || exit
  fi
fi
printf '%s\\n' {quote(line)} >>"$f" && sync "$f" "$d"
) >/dev/null 2>&1"""
