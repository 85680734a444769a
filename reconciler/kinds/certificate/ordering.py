"""What lets no certificate be ordered at a CA: its limits, and what the DNS lets it issue; which of two CAs
is asked; and when the CA itself wants one renewed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from reconciler import x509
from reconciler.kinds.certificate import caa
from reconciler.model import CannotSee, Question, Value, quote
from reconciler.questions.system import CommandQuestion, CommandResult

BY, INSTEAD = "issued by", "second CA"
SECOND: Final = "second "
"""How what is asked about the second CA is called, before what it is called of the first."""


@dataclass(frozen=True)
class SecondAuthority:
    """The CA that is asked once the first has failed and time is short: its ACME directory, and on the
    primary the ledger of orders there; `limits` and `caa` are shell, as of the first."""

    server: str
    ledger: str
    limits: str
    caa: str

    def questions(self) -> Mapping[str, Question]:
        """What to ask, beside what is asked of the first."""
        issued = r"s/^[0-9]* issued [^ ]* \([0-9A-F]*\)$/\1/p"
        last = CommandQuestion(f"sed -n {quote(issued)} {quote(self.ledger)} 2>/dev/null | tail -n 1")
        return {**questions(self.limits, self.caa, SECOND), f"{SECOND}issued": last}

    def issuer(self, answers: Mapping[str, Any], leaf: Any, first: str) -> dict[str, Value]:
        """Which of both CAs has issued the certificate, as a field: the ledger has the last one of this."""
        if leaf is None:
            return {}
        last = answers[f"{SECOND}issued"]
        mine = isinstance(last, CommandResult) and last.output.lower() == x509.serial_hex(leaf)
        return {BY: self.server if mine else first}

    def renews(self, state: Mapping[str, Value]) -> bool:
        """Whether certbot's renewal file names this CA and may: the script has found no account at the first
        to go back to, and will."""
        return state.get("renewal: server") == self.server and state.get("account") == "there"

    def takes(
        self, answers: Mapping[str, Any], first: dict[str, Value], names: Sequence[str]
    ) -> dict[str, Value]:
        """The fields of `facts`, where time is short: of the first CA, or of this one where only the first
        would refuse an order, and why that is."""
        if (why := refusal(first, names)) is None:
            return first
        mine = facts(answers, names, SECOND)
        if (too := refusal(mine, names)) is None:
            return {**mine, INSTEAD: why}
        return {**first, "limit": f"{why}; and the second CA, {self.server}: {too}"}

    def notes(self, state: Mapping[str, Value], first: str, *, orders: bool) -> Iterable[str]:
        """Which CA is used, where it is this one."""
        if orders and INSTEAD in state:
            yield f"it is ordered at the second CA, {self.server}; the first would refuse: {state[INSTEAD]}"
        elif state.get(BY) == self.server:
            yield f"it was issued by the second CA, {self.server}; the next renewal goes back to {first}"


def questions(limits: str, allowed: str, mark: str = "") -> Mapping[str, Question]:
    """What to ask before an order: shell for the limits and for CAA, where there is any."""
    return {
        **({f"{mark}limits": CommandQuestion(limits)} if limits else {}),
        **({f"{mark}caa": CommandQuestion(allowed, most=caa.MOST)} if allowed else {}),
    }


def facts(answers: Mapping[str, Any], names: Iterable[str], mark: str = "") -> dict[str, Value]:
    """Fields of a state, from the answers to `questions`."""
    state: dict[str, Value] = {}
    limits: CommandResult | CannotSee | None = answers.get(f"{mark}limits")
    if isinstance(limits, CommandResult) and limits.status == 75:
        state["limit"] = limits.output
    return state | (caa.facts(answers[f"{mark}caa"], names) if f"{mark}caa" in answers else {})


def refusal(state: Mapping[str, Value], names: Iterable[str]) -> str | None:
    """Why the CA would refuse an order; None where nothing says that it would."""
    return str(state["limit"]) if "limit" in state else caa.forbidden(state, names)


def ari_is_over(ari: Any, leaf: Any, now: datetime) -> bool:
    """Whether the window in which the CA wants this very certificate renewed has passed.

    The file has the certificate's ARI identifier in its first line, then the CA's answer
    (RFC 9773, section 4.2); the renewal script writes it.
    """
    if not isinstance(ari, bytes):
        return False
    name, _, body = ari.decode("utf-8", "replace").partition("\n")
    try:
        end = datetime.fromisoformat(json.loads(body)["suggestedWindow"]["end"])
        return name == x509.ari_id(leaf) and now > end
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
