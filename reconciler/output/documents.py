"""Plans and observations as JSON documents, and back. Pure.

No document holds a secret: what is fed to a command is only told by its size, contents
are digests and, where they are not secret, unified diffs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.journal.journal import JournalEntry
from reconciler.messages import Message
from reconciler.model import Action, CannotSee, Delta, Observation, Place, Plan, Ref, Report, Seen, Step
from reconciler.monitor.findings import Finding
from reconciler.plan.planner import digest
from reconciler.tls.verify import Check

VERSION = 1


class NotADocument(ValueError):
    """A file is not the document it is taken for; the message says why."""


class Tampered(NotADocument):
    """It was changed after it was saved."""


Scope = Mapping[str, list[str]]
"""What a plan was made for: `host`, `only` and `replace`, as on the command line."""


def plan_document(
    plan: Plan,
    *,
    file: str,
    file_digest: str,
    commit: Mapping[str, Any] | None,
    made: datetime,
    expires: datetime,
    scope: Scope,
) -> dict[str, Any]:
    """A plan as users, scripts and `apply PLAN` read it (schemas/plan.schema.json).

    `digest` covers what would be done and what was seen, not when or where that was.
    `commit` is what was checked out where the file lies, `id` and `dirty`.
    """
    actions = [action_document(action) for action in plan.actions]
    body = {
        "environment": plan.environment,
        "actions": actions,
        "unreachable": [
            {"host": host, "reason": reason} for host, reason in sorted(plan.unreachable.items())
        ],
        "unknown": [
            {"host": ref.host, "kind": ref.kind, "name": ref.name, "reason": reason}
            for ref, reason in sorted(plan.unknown.items())
        ],
        "hosts": list(plan.hosts),
        "resources": plan.resources,
        "scope": {name: list(values) for name, values in scope.items()},
    }
    return {
        "version": VERSION,
        "document": "plan",
        "digest": f"sha256:{digest(body)}",
        "made": made.isoformat(timespec="seconds"),
        "expires": expires.isoformat(timespec="seconds"),
        "file": file,
        "file_digest": file_digest,
        "commit": None if commit is None else dict(commit),
        "host_digests": {
            host: f"sha256:{digest([each for each in actions if each['host'] == host])}"
            for host in plan.hosts
        },
        **body,
    }


def findings(found: Sequence[Finding], since: Mapping[str, datetime]) -> list[dict[str, Any]]:
    """What a look came to, for `drift --json`."""
    return [
        {
            **each.document(),
            "acknowledged": each.acknowledged or None,
            "since": since[each.id].isoformat(timespec="seconds") if each.id in since else None,
        }
        for each in found
    ]


def done(entries: Sequence[JournalEntry]) -> dict[Ref, str]:
    """What a run has settled, with the verb, by its entries in the journal."""
    verbs: dict[Ref, str] = {}
    settled: dict[Ref, str] = {}
    for entry in entries:
        if entry.what == "intent":
            verbs |= {_ref(each): each["verb"] for each in entry.body["actions"]}
        if entry.what == "outcome":
            found = [_ref(each) for each in entry.body["outcomes"] if each["result"] == "done"]
            settled |= {ref: verbs[ref] for ref in found if ref in verbs}
    return settled


def unfinished(entries: Sequence[JournalEntry]) -> list[str]:
    """What a run had begun, by its entries in the journal, and told no outcome of."""
    begun: dict[str, None] = {}
    for entry in entries:
        for each in entry.body["actions"] if entry.what == "intent" else ():
            begun[f"{each['host']} {each['kind']} {each['name']}"] = None
        for each in entry.body["outcomes"] if entry.what == "outcome" else ():
            begun.pop(f"{each['host']} {each['kind']} {each['name']}", None)
    return list(begun)


def action_document(action: Action) -> dict[str, Any]:
    """An action as it stands in a plan's document."""
    return {
        "host": action.ref.host,
        "kind": action.ref.kind,
        "name": action.ref.name,
        "verb": action.verb,
        "deltas": [_delta(delta) for delta in action.deltas],
        "steps": [_step(step) for step in action.steps],
        "rescue": [_step(step) for step in action.rescue],
        "after": [str(ref) for ref in action.after],
        "blocked": action.blocked,
        "seen_digest": action.seen_digest,
        "place": str(action.place) if action.place else None,
    }


def _delta(delta: Delta) -> dict[str, Any]:
    pair = {"field": delta.field, "seen": delta.seen, "want": delta.want}
    return pair if delta.text is None else {**pair, "diff": delta.text}


def _step(step: Step) -> dict[str, Any]:
    shown: dict[str, Any] = {"command": step.command, "why": step.why}
    if step.fed is not None:
        shown["stdin_bytes"] = step.fed
    return shown


def plan_from(document: Any) -> Plan:
    """The plan in a document. Raises `NotADocument`, also where its digest does not fit."""
    if not isinstance(document, dict) or document.get("document") != "plan":
        raise NotADocument("it is no plan that `reconcile plan -o` saved")
    if document.get("version") != VERSION:
        raise NotADocument(f"it is a plan of version {document.get('version')}, not {VERSION}")
    names = ("environment", "actions", "unreachable", "unknown", "hosts", "resources", "scope")
    body = {name: document.get(name) for name in names}
    if document.get("digest") != f"sha256:{digest(body)}":
        raise Tampered(f"its digest does not fit: it was changed after it was saved {Message.TAMPERED}")
    try:
        return Plan(
            environment=document["environment"],
            actions=tuple(_action_from(each) for each in document["actions"]),
            unreachable={each["host"]: each["reason"] for each in document["unreachable"]},
            unknown={_ref(each): each["reason"] for each in document["unknown"]},
            hosts=tuple(document["hosts"]),
            resources=document["resources"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotADocument(f"a part of it is missing or of the wrong type ({error})") from None


def _ref(each: Mapping[str, Any]) -> Ref:
    return Ref(each["host"], each["kind"], each["name"])


def _action_from(each: Mapping[str, Any]) -> Action:
    return Action(
        ref=_ref(each),
        verb=each["verb"],
        deltas=tuple(Delta(d["field"], d["seen"], d["want"], d.get("diff")) for d in each["deltas"]),
        steps=tuple(map(_step_from, each["steps"])),
        rescue=tuple(map(_step_from, each["rescue"])),
        after=(),
        blocked=each["blocked"],
        seen_digest=each["seen_digest"],
        place=_place(each["place"]),
    )


def _step_from(each: Mapping[str, Any]) -> Step:
    return Step(each["command"], each["why"], bytes_fed=each.get("stdin_bytes"))


def _place(text: str | None) -> Place | None:
    file, line, column = text.rsplit(":", 2) if text else ("", "", "")
    return Place(file, int(line), int(column)) if text else None


def observation_document(
    environment: str, sight: Observation, *, file: str, looked: datetime
) -> dict[str, Any]:
    """What was seen of each host (schemas/observation.schema.json)."""
    hosts: dict[str, Any] = {
        host: {"unreachable": reason} for host, reason in sorted(sight.unreachable.items())
    }
    for ref, seen in sorted(sight.seen.items(), key=lambda item: item[0]):
        if ref.host not in sight.unreachable:
            hosts.setdefault(ref.host, {"resources": []})["resources"].append(_seen(ref, seen))
    return {
        "version": VERSION,
        "document": "observation",
        "environment": environment,
        "looked": looked.isoformat(timespec="seconds"),
        "file": file,
        "hosts": hosts,
    }


def _seen(ref: Ref, seen: Seen) -> dict[str, Any]:
    named = {"kind": ref.kind, "name": ref.name}
    if isinstance(seen, CannotSee):
        return {**named, "unknown": seen.reason}
    return {**named, "state": None if seen is None else dict(seen)}


def observation_from(document: Any) -> Observation:
    """What an observation holds. Raises `NotADocument`."""
    if not isinstance(document, dict) or document.get("document") != "observation":
        raise NotADocument("it is no observation that `reconcile observe -o` saved")
    if document.get("version") != VERSION:
        raise NotADocument(f"it is an observation of version {document.get('version')}, not {VERSION}")
    sight = Observation()
    try:
        for host, each in document["hosts"].items():
            if "unreachable" in each:
                sight.unreachable[host] = str(each["unreachable"])
                continue
            for one in each["resources"]:
                ref = Ref(host, one["kind"], one["name"])
                hidden = one.get("unknown")
                sight.seen[ref] = CannotSee(hidden) if hidden is not None else one["state"]
    except (AttributeError, KeyError, TypeError) as error:
        raise NotADocument(f"a part of it is missing or of the wrong type ({error})") from None
    return sight


def verify_document(environment: str, release: str | None, checks: Sequence[Check]) -> dict[str, Any]:
    """What `verify` found (schemas/verify.schema.json)."""
    return {
        "version": VERSION,
        "document": "verify",
        "environment": environment,
        "release": release,
        "checks": [
            {
                "host": each.endpoint.host,
                "service": each.endpoint.service,
                "port": each.endpoint.port,
                "name": each.endpoint.name,
                "seen_from": each.seen_from,
                "verdict": each.verdict,
                "detail": each.detail,
                "expires": each.expires,
            }
            for each in checks
        ],
    }


def apply_document(environment: str, report: Report | None, *, code: int) -> dict[str, Any]:
    """How an apply ended (schemas/apply.schema.json)."""
    outcomes = report.outcomes if report else ()
    return {
        "version": VERSION,
        "document": "apply",
        "environment": environment,
        "exit_code": code,
        "outcomes": [
            {
                "host": each.ref.host,
                "kind": each.ref.kind,
                "name": each.ref.name,
                "result": each.result,
                "detail": each.detail,
            }
            for each in outcomes
        ],
        "neither": [str(ref) for ref in report.partial] if report else [],
    }


def history_document(
    journal: str, entries: Sequence[JournalEntry], problems: Sequence[str] | None = None
) -> dict[str, Any]:
    """What the journal holds, or what is wrong with it (schemas/history.schema.json)."""
    return {
        "version": VERSION,
        "document": "history",
        "journal": journal,
        "entries": [
            {
                "number": each.number,
                "at": each.at,
                "run": each.run,
                "environment": each.environment,
                "what": each.what,
                "body": dict(each.body),
            }
            for each in entries
        ],
        "problems": None if problems is None else list(problems),
    }


def approval_document(plan: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What was approved, and where the signature is (schemas/approval.schema.json)."""
    return {
        "version": VERSION,
        "document": "approval",
        "environment": plan["environment"],
        "digest": plan["digest"],
        "expires": plan["expires"],
        "file": file,
    }


def files_document(environment: str, files: Mapping[str, str | None]) -> dict[str, Any]:
    """Files that were written, or that somebody has to write (schemas/files.schema.json)."""
    return {
        "version": VERSION,
        "document": "files",
        "environment": environment,
        "files": [{"path": path, "text": text} for path, text in files.items()],
    }


def locks_document(
    environment: str, locks: Sequence[Mapping[str, Any]], unreachable: Mapping[str, str]
) -> dict[str, Any]:
    """Who holds the lock of each host (schemas/locks.schema.json)."""
    return {
        "version": VERSION,
        "document": "locks",
        "environment": environment,
        "locks": [dict(each) for each in locks],
        "unreachable": [{"host": host, "reason": reason} for host, reason in sorted(unreachable.items())],
    }
