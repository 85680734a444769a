"""What people are told, as text and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

from reconciler.environment.settings import Environment
from reconciler.monitor.findings import Alert, Finding

VERSION = 1
MEANING = {
    "drifted": "is no longer as declared",
    "pending": "is declared, but not applied yet",
    "expiring": "expires soon",
    "unseen": "could not be observed",
}


@dataclass(frozen=True)
class Notice:
    """Something to tell. `topic`: alert, recovery, approval or run. `id` is the same for the
    same thing, so that whoever receives it can tell a repetition. `plan` is a document that is
    sent along."""

    id: str
    topic: str
    environment: str
    subject: str
    text: str
    findings: Sequence[Finding] = ()
    plan: dict[str, Any] | None = field(default=None, compare=False)

    def document(self) -> dict[str, Any]:
        """As webhooks get it (schemas/notice.schema.json)."""
        return {
            "version": VERSION,
            "document": "notice",
            "id": self.id,
            "topic": self.topic,
            "environment": self.environment,
            "subject": self.subject,
            "text": self.text,
            "findings": [each.document() for each in self.findings],
            "plan": self.plan,
        }


def to_json(notice: Notice) -> str:
    """The JSON text in which it waits in the outbox."""
    return json.dumps(notice.document())


def from_json(text: str) -> Notice:
    """The notice in a text that `to_json` made. Raises `ValueError`, `LookupError` or `TypeError`
    for any other text."""
    said = json.loads(text)
    findings = [
        Finding(each["verdict"], each["host"], each["kind"], each["name"], each["detail"])
        for each in said["findings"]
    ]
    names = ("id", "topic", "environment", "subject", "text", "plan")
    return Notice(**{name: said[name] for name in names}, findings=findings)


def alert(environment: Environment, found: Sequence[Finding]) -> Notice:
    """Something is not as it should be. The same findings make the same text."""
    see, mend = (f"    reconcile {verb} {environment.file}\n" for verb in ("plan", "apply"))
    return _about(environment, "alert", found, f"For details:\n\n{see}\nand to fix it:\n\n{mend}")


def recovery(environment: Environment, over: Sequence[Alert]) -> Notice:
    """What was told is over."""
    return _about(environment, "recovery", [each.finding for each in over], "No action is needed.\n")


def _about(environment: Environment, topic: str, found: Sequence[Finding], close: str) -> Notice:
    hosts = sorted({each.host.split(".", maxsplit=1)[0] for each in found})
    verdicts = sorted({each.verdict for each in found})
    over = "resolved: " if topic == "recovery" else ""
    lines = [f"{each.subject} {MEANING[each.verdict]}: {each.detail}" for each in found]
    return Notice(
        id="-".join([environment.name, topic, *sorted({each.id for each in found})][:8]),
        topic=topic,
        environment=environment.name,
        subject=f"{environment.name}: {over}{', '.join(verdicts)} on {', '.join(hosts)}",
        text="\n".join([*(["Resolved:"] if over else []), *lines, "", close]),
        findings=tuple(found),
    )


def approval(
    environment: Environment, document: dict[str, Any], lines: Iterable[str], why: Sequence[str]
) -> Notice:
    """A plan waits for people; with the plan, and how to approve it."""
    digest = str(document["digest"]).removeprefix("sha256:")[:12]
    file = f"{environment.name}-{digest}.json"
    text = [
        f"Changes to {environment.name} are waiting: {'; '.join(why)}.",
        "",
        *lines,
        "",
        "The plan is attached. Made again, it has the same digest as long as nothing changes:",
        "",
        f"    reconcile plan {environment.file} -o {file}",
        f"    reconcile show {file}",
        f"    reconcile approve {file}",
        f"    reconcile apply {file}",
        "",
        f"Its digest is {document['digest']}.",
    ]
    subject = f"{environment.name}: {len(document['actions'])} changes are waiting for approval"
    return Notice(
        f"{environment.name}-approval-{digest}",
        "approval",
        environment.name,
        subject,
        "\n".join(text) + "\n",
        plan=document,
    )


def run(environment: Environment, number: int, lines: Iterable[str], code: int) -> Notice:
    """What a run that nobody watched has done."""
    how = "was carried out" if code in (0, 2) else f"ended with {code}"
    text = [*lines, "", f"    reconcile history {number}", ""]
    subject = f"{environment.name}: run {number} {how}"
    return Notice(f"{environment.name}-run-{number}", "run", environment.name, subject, "\n".join(text))


def render(notice: Notice, template: str | None) -> str:
    """The text of a notice in the environment's own template."""
    if template is None:
        return notice.text
    return Template(template).substitute(
        subject=notice.subject, text=notice.text, environment=notice.environment
    )
