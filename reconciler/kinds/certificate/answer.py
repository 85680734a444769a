"""The kind `answer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import unseen
from reconciler.model import Change, Question, Ref, Resource, Seen, State, Step, View, quote
from reconciler.questions.system import CommandQuestion, CommandResult

NOTHING = "nothing answers"


@dataclass(frozen=True, kw_only=True)
class Answer(Resource):
    """A host answers on port 80 with a certain file, under every name: the way of a challenge.

    It is asked, not concluded from files: another vhost may swallow the path. Where something
    else answers, Apache loads its configuration once more. Declared by the blueprint, so that
    the first certificate can come before all that needs one; once `established` is there, a
    service that does not run is that service's own matter.
    """

    kind: ClassVar[str] = "answer"
    title: ClassVar[str] = "path"

    path: str
    """The path of the URL."""
    text: str
    """What is there, on one line."""
    names: tuple[str, ...]
    established: Ref
    unit: str = "apache2"
    check: str = "apache2ctl -t"

    def _fetch(self, name: str) -> str:
        return f"curl -sS --max-time 10 -H {quote(f'Host: {name}')} {quote(f'http://127.0.0.1{self.path}')}"

    def ask(self) -> Mapping[str, Question]:
        return {name: CommandQuestion(self._fetch(name)) for name in self.names}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen(*answers.values()):
            return hidden
        return {f"as {name}": self._judged(answers[name]) for name in self.names}

    def _judged(self, said: CommandResult) -> str:
        if said.status == 0:
            return "answers" if said.output == self.text else "something else answers"
        return "curl is not there" if said.status == 127 else NOTHING

    def want(self, look: View) -> State | None:
        own = look.own()
        silent = isinstance(own, Mapping) and set(own.values()) == {NOTHING}
        if silent and look.value(self.established, "type") == "link":
            return {}
        return {f"as {name}": "answers" for name in self.names}

    def verb(self, change: Change) -> str:
        return "reload"

    def steps(self, change: Change) -> Iterable[Step]:
        yield Step(self.check, "checks the configuration first")
        yield Step(f"systemctl reload-or-restart {quote(self.unit)}", "loads it")
        for name in self.names:
            fetch = f'[ "$({self._fetch(name)} 2>/dev/null)" = {quote(self.text)} ]'
            give_up = f"{{ echo {quote(f'as {name}, something else answers, or nothing')}; exit 1; }}"
            yield Step(
                f"n=0; until {fetch}; do n=$((n+1)); [ $n -lt 50 ] || {give_up}; sleep 0.2; done",
                f"waits until it answers as {name}",
            )
