"""What the entries of a run say: what it has settled, and what it has left open. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.journal.journal import JournalEntry
from reconciler.model import Ref


def settled(entries: Sequence[JournalEntry]) -> dict[Ref, str]:
    """What a run has settled, with the verb of the action that did it."""
    verbs: dict[Ref, str] = {}
    found: dict[Ref, str] = {}
    for entry in entries:
        if entry.what == "intent":
            verbs |= {_ref(each): each["verb"] for each in entry.body["actions"]}
        if entry.what == "outcome":
            done = [_ref(each) for each in entry.body["outcomes"] if each["result"] == "done"]
            found |= {ref: verbs[ref] for ref in done if ref in verbs}
    return found


def hosts_by_run(entries: Sequence[JournalEntry]) -> dict[int, set[str]]:
    """The hosts on which each run has begun an action; a host that was only locked is none of them."""
    found: dict[int, set[str]] = {}
    for entry in entries:
        if entry.what == "intent":
            found.setdefault(entry.run, set()).update(each["host"] for each in entry.body["actions"])
    return found


def unfinished(entries: Sequence[JournalEntry]) -> list[str]:
    """What a run had begun, and told no outcome of: HOST KIND NAME."""
    begun: dict[Ref, None] = {}
    for entry in entries:
        for each in entry.body["actions"] if entry.what == "intent" else ():
            begun[_ref(each)] = None
        for each in entry.body["outcomes"] if entry.what == "outcome" else ():
            begun.pop(_ref(each), None)
    return [str(ref) for ref in begun]


def _ref(each: Mapping[str, Any]) -> Ref:
    return Ref(each["host"], each["kind"], each["name"])
