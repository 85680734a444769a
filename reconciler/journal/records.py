"""What hosts have told of runs, during one look or run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from reconciler.journal import lines
from reconciler.journal.lines import RunLine
from reconciler.questions.runs import RunsAnswer, RunsQuestion


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
        self.lines: dict[str, list[RunLine]] = defaultdict(list)
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
