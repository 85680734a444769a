"""What lets no certificate be ordered at a CA: its limits, and what the DNS lets it issue; and when the CA
itself wants one renewed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler import x509
from reconciler.kinds.certificate import caa
from reconciler.model import CannotSee, Question, Value
from reconciler.questions.system import CommandQuestion, CommandResult


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
