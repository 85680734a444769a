"""What a run leaves on the hosts that it touches, and what hosts have told of others' runs.

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
from reconciler.journal.lines import Line
from reconciler.model import Action
from reconciler.questions.runs import RunsAnswer, RunsQuestion, append

Sign = Callable[[str], str]
"""Makes a signature over a text, in base64; `lines.UNSIGNED` where nobody signs."""


def unsigned(text: str) -> str:
    """The signature of nobody."""
    return lines.UNSIGNED


class HostRecords:
    """What the hosts of an environment have told of runs, since `heads`: by host, the digest of the newest
    line that was known before; `was` is what was wrong there then. Each host's part is used by one thread
    at a time."""

    def __init__(
        self, environment: str, heads: Mapping[str, str], was: Mapping[str, str] | None = None
    ) -> None:
        self.environment = environment
        self.heads = dict(heads)
        self._was = was or {}
        self.lines: dict[str, list[Line]] = defaultdict(list)
        self.remarks: dict[str, tuple[str, ...]] = {}

    @property
    def is_new(self) -> bool:
        """Whether there is anything that was not known before."""
        said = {host: "; ".join(remarks) for host, remarks in self.remarks.items()}
        return any(self.lines.values()) or any(self._was.get(host, "") != each for host, each in said.items())

    def question(self, host: str) -> RunsQuestion:
        """Asks for what is new there."""
        return RunsQuestion(self.environment, self.heads.get(host, ""))

    def take(self, host: str, answer: Any) -> None:
        """Takes an answer; what could not be seen changes nothing."""
        if not isinstance(answer, RunsAnswer):
            return
        found = lines.record_from(answer, self.environment, host, self.heads.get(host, ""))
        self.heads[host] = found.head
        self.lines[host] += found.lines
        self.remarks[host] = found.remarks


def new_run() -> str:
    """What a run is called on hosts, and elsewhere."""
    return f"x{secrets.token_hex(6)}"


class RunLines:
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
        return append(environment, Line(digest, self._sign(digest), body).text)
