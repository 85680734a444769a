"""Notices to people, as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from string import Template
from typing import Annotated, Any, Literal

from reconciler.document import Document, Meta, Part, as_json, read
from reconciler.environment.settings import Environment
from reconciler.monitor.findings import Alert, Finding
from reconciler.printable import unmentioned

MEANING = {
    "drifted": "is no longer as declared",
    "pending": "is declared, but not applied yet",
    "expiring": "expires soon",
    "unseen": "could not be observed",
    "forecast": "is to come",
}


class FindingPart(Part, frozen=True, kw_only=True):
    """Something that is not as it should be; `kind` and `name` are empty where it is a whole host."""

    id: Annotated[str, Meta(description="The same for the same thing, however often it is found.")]
    verdict: Literal["drifted", "pending", "expiring", "unseen", "forecast"]
    host: str
    kind: str
    name: str
    detail: str


class Notice(Document, frozen=True, kw_only=True):
    """What webhooks get by POST."""

    document: Literal["notice"] = "notice"
    id: Annotated[str, Meta(description="The same for the same thing, so that a repetition is known.")]
    topic: Literal["alert", "recovery", "approval", "run"]
    environment: str
    subject: str
    text: str
    findings: tuple[FindingPart, ...] = ()
    plan: Annotated[
        dict[str, Any] | None, Meta(description="Of an approval: the plan (plan.schema.json).")
    ] = None


def to_json(notice: Notice) -> str:
    """The JSON text in which it waits in the outbox, and goes to webhooks."""
    return json.dumps(as_json(notice))


def from_json(text: str) -> Notice:
    """The notice in a text that `to_json` made. Raises `ValueError` for any other text."""
    return read(Notice, json.loads(text))


def alert(environment: Environment, found: Sequence[Finding]) -> Notice:
    """Something is not as it should be. The same findings make the same text."""
    see, fix, dated = (f"    reconcile {verb} {environment.file}\n" for verb in ("plan", "apply", "forecast"))
    lines = []
    if any(each.verdict != "forecast" for each in found):
        lines.append(f"For details:\n\n{see}\nand to fix it:\n\n{fix}")
    if any(each.verdict == "forecast" for each in found):
        lines.append(f"What is to come, with its sources:\n\n{dated}")
    return _about(environment, "alert", found, "\n".join(lines))


def recovery(environment: Environment, over: Sequence[Alert]) -> Notice:
    """Something that people were notified of is over."""
    return _about(environment, "recovery", [each.finding for each in over], "No action is needed.\n")


def _about(
    environment: Environment, topic: Literal["alert", "recovery"], found: Sequence[Finding], close: str
) -> Notice:
    hosts = sorted({each.host.split(".", maxsplit=1)[0] for each in found})
    verdicts = sorted({each.verdict for each in found})
    over = "resolved: " if topic == "recovery" else ""
    lines = [unmentioned(f"{each.subject} {MEANING[each.verdict]}: {each.detail}") for each in found]
    return Notice(
        id="-".join([environment.name, topic, *sorted({each.id for each in found})][:8]),
        topic=topic,
        environment=environment.name,
        subject=f"{environment.name}: {over}{', '.join(verdicts)} on {', '.join(hosts)}",
        text="\n".join([*(["Resolved:"] if over else []), *lines, "", close]),
        findings=tuple(_part(each) for each in found),
    )


def _part(found: Finding) -> FindingPart:
    said = found.document()
    return FindingPart(**{**said, "detail": unmentioned(said["detail"])})


def approval(
    environment: Environment, document: dict[str, Any], lines: Iterable[str], why: Sequence[str]
) -> Notice:
    """A plan waits for people; with the plan, and how to approve it."""
    digest = str(document["changes"]).removeprefix("sha256:")[:12]
    file = f"{environment.name}-{digest}.json"
    text = [
        f"Changes to {environment.name} are waiting: {unmentioned('; '.join(why))}.",
        "",
        *map(unmentioned, lines),
        "",
        "The plan is attached. Made again, it has the same `changes` as long as nothing changes:",
        "",
        f"    reconcile plan {environment.file} -o {file}",
        f"    reconcile show {file}",
        f"    reconcile approve {file}",
        f"    reconcile apply {file} --env {environment.file}",
        "",
        f"Its `changes` are {document['changes']}.",
    ]
    changes = len(document["actions"]) + len(document.get("declared", ()))
    subject = f"{environment.name}: {changes} changes are waiting for approval"
    return Notice(
        id=f"{environment.name}-approval-{digest}",
        topic="approval",
        environment=environment.name,
        subject=subject,
        text="\n".join(text) + "\n",
        plan=document,
    )


def run(environment: Environment, number: int, lines: Iterable[str], code: int) -> Notice:
    """What a run has done that nobody watched: `code` is how it ended."""
    how = "was carried out" if code in (0, 2) else f"ended with {code}"
    text = [*map(unmentioned, lines), "", f"    reconcile history {number}", ""]
    subject = f"{environment.name}: run {number} {how}"
    return Notice(
        id=f"{environment.name}-run-{number}",
        topic="run",
        environment=environment.name,
        subject=subject,
        text="\n".join(text),
    )


def render(notice: Notice, template: str | None) -> str:
    """The text of a notice in the environment's own template."""
    if template is None:
        return notice.text
    return Template(template).substitute(
        subject=notice.subject, text=notice.text, environment=notice.environment
    )
