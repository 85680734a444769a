"""What the DNS lets the CA issue (CAA, RFC 8659 and 8657), as `caa` of templates/caa.sh tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.messages import Message
from reconciler.model import CannotSee, State, Value
from reconciler.questions.system import CommandResult

FIELD = "CAA "
"""How the fields of a state begin that tell of CAA: one for each name, and three of the order."""

IDENTITY, ACCOUNT, CHALLENGE = FIELD + "identity", FIELD + "account", FIELD + "challenge"
VERDICTS = ("bound", "open", "none", "forbidden", "untold")

MOST = 50_000
"""Characters of the answer that are read: enough for a hundred names, the most that Let's Encrypt takes."""

LATER = "(known after apply: the account's URI)"
NOT_SAID = "(the name of the CA, which its directory does not say)"


@dataclass(frozen=True)
class Allowance:
    """What the DNS has for one name. `verdict` is one of `VERDICTS`; `record`, as a line of a zone file, is
    the one that binds our account, None where one does."""

    name: str
    verdict: str
    detail: str
    record: str | None = None


def facts(answer: CommandResult | CannotSee, names: Iterable[str]) -> dict[str, Value]:
    """Fields of a state: the verdict and its words for each name, and what a record would name."""
    told: dict[str, Value] = {}
    lines = answer.output.splitlines() if isinstance(answer, CommandResult) else []
    for line in lines:
        word, _, rest = line.partition(" ")
        first, _, more = rest.partition(" ")
        if word == "ours":
            accounts, _, challenge = more.partition(" ")
            told |= {IDENTITY: _first(first), ACCOUNT: _first(accounts), CHALLENGE: challenge or "http-01"}
        elif word in VERDICTS and more:
            told[FIELD + first] = f"{word}: {more}"
    why = answer.reason if isinstance(answer, CannotSee) else "the answer is not whole"
    return {**{FIELD + name: f"untold: {why}" for name in names}, **told}


def _first(text: str) -> str | None:
    """The first of a list; None where there is none, or where it cannot be told."""
    return None if text in ("", "-", "?") else text.partition(",")[0]


def allowances(state: Mapping[str, Any], names: Iterable[str]) -> list[Allowance]:
    """What a state tells of each name; none where CAA was not asked about."""
    found = []
    for name in names:
        if (told := state.get(FIELD + name)) is None:
            continue
        verdict, _, detail = str(told).partition(": ")
        record = None if verdict == "bound" else _record(name, state)
        found.append(Allowance(name, verdict, detail, record))
    return found


def _record(name: str, state: Mapping[str, Any]) -> str:
    identity, account = state.get(IDENTITY) or NOT_SAID, state.get(ACCOUNT) or LATER
    domain, tag = name.removeprefix("*."), "issuewild" if name.startswith("*.") else "issue"
    method = state.get(CHALLENGE) or "http-01"
    return f'{domain}. IN CAA 0 {tag} "{identity}; accounturi={account}; validationmethods={method}"'


def forbidden(state: State, names: Iterable[str]) -> str | None:
    """Why the CA would refuse an order; None where nothing says that it would."""
    why: dict[str, list[str]] = {}
    for each in allowances(state, names):
        if each.verdict == "forbidden":
            why.setdefault(each.detail, []).append(each.name)
    said = "; ".join(f"{', '.join(alike)}: {detail}" for detail, alike in why.items())
    return f"the CA would refuse by the CAA records of the DNS {Message.CAA_FORBIDS}: {said}" if why else None


def notes(state: State, names: Iterable[str]) -> Iterable[str]:
    """What the DNS lacks so that no other account gets a certificate for the names, with the records."""
    found = allowances(state, names)
    lacks = [each for each in found if each.verdict in ("open", "none")]
    untold = [each for each in found if each.verdict == "untold"]
    if lacks:
        yield "the CAA records of the DNS do not bind this account of the CA; to bind it, publish there:"
        yield from (each.record for each in lacks if each.record)
    if untold:
        why = "; ".join(dict.fromkeys(each.detail for each in untold))
        yield f"whether the DNS binds this account of the CA cannot be told yet ({why}); if not, publish:"
        yield from (each.record for each in untold if each.record)
