"""What `doctor` has checked, as a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from reconciler.diagnosis.checks import HealthCheck
from reconciler.document import Document, Meta, Part


class HealthCheckPart(Part, frozen=True, kw_only=True):
    """One thing that was checked."""

    group: Literal["this machine", "the file", "ssh", "keys", "known hosts", "hosts", "DNS", "CA", "journal"]
    subject: str
    verdict: Literal["ok", "warning", "cannot tell", "problem"]
    found: str
    expected: Annotated[str, Meta(description="Empty where it is ok, or hangs on another check.")]
    owner: Annotated[str, Meta(description="Whose matter it is; empty as `expected` is.")]
    command: Annotated[
        str, Meta(description="What mends it, or shows more of it, as a command; empty as `expected` is.")
    ]
    host: Annotated[str | None, Meta(description="Where to run the command, as root; null: on this machine.")]


class DoctorDocument(Document, frozen=True, kw_only=True):
    """What `reconcile doctor --json` gives."""

    document: Literal["doctor"] = "doctor"
    at: Annotated[str, Meta(description="In UTC (ISO 8601).")]
    environment: Annotated[str | None, Meta(description="As it was named; null where none was.")]
    exit_code: int
    checks: list[HealthCheckPart]


def doctor_document(
    environment: str | None, checks: Sequence[HealthCheck], at: datetime, code: int
) -> DoctorDocument:
    """The checks as a document."""
    return DoctorDocument(
        at=at.isoformat(timespec="seconds"),
        environment=environment,
        exit_code=code,
        checks=[_part(each) for each in checks],
    )


def _part(check: HealthCheck) -> HealthCheckPart:
    is_ok = check.verdict == "ok"
    return HealthCheckPart(
        group=check.group,  # type: ignore[arg-type]  # one of checks.GROUPS
        subject=check.subject,
        verdict=check.verdict,  # type: ignore[arg-type]  # one of checks.VERDICTS
        found=check.found,
        expected="" if is_ok else check.expected,
        owner="" if is_ok else check.owner,
        command="" if is_ok else check.command,
        host=None if is_ok or not check.command else check.host,
    )
