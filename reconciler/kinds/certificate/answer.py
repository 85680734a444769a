"""The kind `answer`: port 80 answers challenges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.certificate.release import LOADABLE, is_established
from reconciler.kinds.paths import unseen
from reconciler.kinds.service import STARTS_WITHIN, just_started, loading, owes_reload
from reconciler.model import Change, Question, Ref, Resource, Seen, State, Step, Value, View, quote
from reconciler.questions.system import CommandQuestion, CommandResult, UnitQuestion
from reconciler.questions.tls import ADDRESSES, LOOPBACK
from reconciler.subjects import Subject

NOTHING = "nothing answers"
NO_CURL = 3
"""How the question ends where curl is not installed yet (of curl's own statuses it means a bad URL)."""
ANSWERS = "answers"


@dataclass(frozen=True, kw_only=True)
class Answer(Resource):
    """A host answers on port 80 with a certain file, under every name, as a challenge needs it.

    The host is asked over HTTP, because files do not prove it: another vhost may take the path.
    If something else answers, Apache reloads its configuration. Declared by the blueprint, so that
    the first certificate can be ordered before everything that needs one. Once each pair of Apache's is in
    use (`established`), all that Apache loads, and Apache itself (`owner`), is settled first: a reload of
    half a configuration would close port 443. A service that is down is then reported by `owner`.
    """

    kind: ClassVar[str] = "answer"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.CHALLENGE
    declarable: ClassVar[bool] = False

    path: str
    """The path of the URL, from its `/` on."""
    text: str
    """The one line that it answers."""
    names: tuple[str, ...]
    established: tuple[Ref, ...]
    """The links to the certificates in use that Apache serves."""
    owner: Ref
    """The service that loads the configuration."""
    unit: str = "apache2"
    check: str = "apache2ctl -t"
    redirected: bool = False
    """Whether it is another host that answers, to which this one redirects."""
    loads: tuple[str, ...] = ()
    """What the unit loads: where it has not loaded all of it, nobody waits for what it may answer soon."""

    def ask(self) -> Mapping[str, Question]:
        unit = {"unit": UnitQuestion(self.unit), **loading(self.unit, self.loads)}
        how = REDIRECTED if self.redirected else ALONE
        return {**unit, **{name: question(name, self.path, how) for name in self.names}}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen(*answers.values()):
            return hidden
        state: dict[str, Value] = {f"as {name}": verdict(answers[name], self.text) for name in self.names}
        if set(state.values()) == {ANSWERS} or owes_reload(answers):
            return state
        return just_started(self.unit, answers["unit"], STARTS_WITHIN) or state

    def want(self, look: View) -> State | None:
        own = look.own()
        silent = isinstance(own, Mapping) and set(own.values()) == {NOTHING}
        if silent and all(look.value(link, "leads to") == LOADABLE for link in self.established):
            return {}
        return {f"as {name}": ANSWERS for name in self.names}

    def needed(self, seen: Mapping[Ref, Seen]) -> Iterable[Ref]:
        ready = all(is_established(seen.get(link)) for link in self.established)
        return (*self.needs, self.owner) if ready else self.needs

    def verb(self, change: Change) -> str:
        return "reload"

    def steps(self, change: Change) -> Iterable[Step]:
        yield Step(self.check, "checks the configuration first")
        yield Step(f"systemctl reload-or-restart {quote(self.unit)}", "loads the configuration")
        how = REDIRECTED if self.redirected else ALONE
        for name in self.names:
            got = f'[ "$({fetch(LOOPBACK, name, self.path, how)} 2>/dev/null)" = {quote(self.text)} ]'
            give_up = f"{{ echo {quote(f'as {name}, something else answers, or nothing')}; exit 1; }}"
            yield Step(
                f"n=0; until {got}; do n=$((n+1)); [ $n -lt 50 ] || {give_up}; sleep 0.2; done",
                f"waits until it answers as {name}",
            )


ALONE = "--max-time 10"
REDIRECTED = f"{ALONE} -L --max-redirs 3 --proto-redir =http"
"""Options of curl: what a host answers itself, and what it redirects to over HTTP."""


def fetch(host: str, name: str, path: str, how: str = ALONE) -> str:
    """The command that asks port 80 of a host, under a name, for a path; `how` is further options of curl."""
    return f"curl -sS {how} -H {quote(f'Host: {name}')} {quote(f'http://{host}{path}')}"


ABSENT = f"{{ s=$?; command -v curl >/dev/null || s={NO_CURL}; exit $s; }}"


def question(name: str, path: str, how: str = ALONE) -> CommandQuestion:
    """The question that asks the host itself by `fetch`."""
    return CommandQuestion(f"{fetch(LOOPBACK, name, path, how)} || {ABSENT}")


def question_to(host: str, name: str, path: str, text: str) -> CommandQuestion:
    """The same to another host, at each address that it has; where one of several does not answer `text`,
    what that one says is the answer, and its last line names it."""
    asked = fetch(host, name, path, '--max-time 5 --connect-to "::$a:"')
    return CommandQuestion(
        f"{ADDRESSES}; set -- $(addresses {quote(host)}); [ $# -gt 1 ] || set -- ''; for a; do a=${{a#=}}; "
        f'o=$({asked} || {ABSENT}); s=$?; [ $s = 0 ] && [ "$o" = {quote(text)} ] || break; done; '
        'printf %s "$o"; [ $# = 1 ] || printf \'\\nat %s\' "$a"; exit $s'
    )


def verdict(result: CommandResult, text: str) -> str:
    """What the answer to `question` says, in a few words; `text` is the line that is wanted."""
    said, at, address = result.output.rpartition("\nat ")
    if result.status == 0 and (said if at else result.output) == text:
        return ANSWERS
    where = f" at {address}" if at else ""
    if result.status == 0:
        return f"something else answers{where}"
    return "curl is not installed" if result.status == NO_CURL else f"{NOTHING}{where}"
