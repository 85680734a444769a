"""The kind `answer`: port 80 answers challenges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import unseen
from reconciler.model import Change, Question, Ref, Resource, Seen, State, Step, View, quote
from reconciler.questions.system import CommandQuestion, CommandResult

NOTHING = "nothing answers"
NO_CURL = 3
"""How the question ends where curl is not installed yet (of curl's own statuses it means a bad URL)."""


@dataclass(frozen=True, kw_only=True)
class Answer(Resource):
    """A host answers on port 80 with a certain file, under every name, as a challenge needs it.

    The host is asked over HTTP, because files do not prove it: another vhost may take the path.
    If something else answers, Apache reloads its configuration. Declared by the blueprint, so that
    the first certificate can be ordered before everything that needs one; once `established`
    exists, a service that is down is reported by its own resource, not by this one.
    """

    kind: ClassVar[str] = "answer"
    title: ClassVar[str] = "path"
    declarable: ClassVar[bool] = False

    path: str
    """The path of the URL, from its `/` on."""
    text: str
    """The one line that it answers."""
    names: tuple[str, ...]
    established: Ref
    """The link to the certificate in use."""
    unit: str = "apache2"
    check: str = "apache2ctl -t"

    def _fetch(self, name: str) -> str:
        return f"curl -sS --max-time 10 -H {quote(f'Host: {name}')} {quote(f'http://127.0.0.1{self.path}')}"

    def ask(self) -> Mapping[str, Question]:
        absent = f" || {{ s=$?; command -v curl >/dev/null || s={NO_CURL}; exit $s; }}"
        return {name: CommandQuestion(self._fetch(name) + absent) for name in self.names}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen(*answers.values()):
            return hidden
        return {f"as {name}": self._verdict(answers[name]) for name in self.names}

    def _verdict(self, result: CommandResult) -> str:
        if result.status == 0:
            return "answers" if result.output == self.text else "something else answers"
        return "curl is not installed" if result.status == NO_CURL else NOTHING

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
        yield Step(f"systemctl reload-or-restart {quote(self.unit)}", "loads the configuration")
        for name in self.names:
            fetch = f'[ "$({self._fetch(name)} 2>/dev/null)" = {quote(self.text)} ]'
            give_up = f"{{ echo {quote(f'as {name}, something else answers, or nothing')}; exit 1; }}"
            yield Step(
                f"n=0; until {fetch}; do n=$((n+1)); [ $n -lt 50 ] || {give_up}; sleep 0.2; done",
                f"waits until it answers as {name}",
            )
