"""What is known of environments, as a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from reconciler.document import Document, Meta, Part
from reconciler.monitor.status import CertificateTimes, EnvironmentStatus, LastRun, Look
from reconciler.output.documents.parts import ElsewherePart, elsewhere_part


class LookPart(Part, frozen=True, kw_only=True):
    """What the last look at the whole environment has found."""

    at: Annotated[str, Meta(description="When it was recorded, in UTC (ISO 8601).")]
    drifted: int
    pending: int
    unseen: Annotated[int, Meta(description="Hosts and resources that could not be looked at.")]
    acknowledged: int


class CertificatePart(Part, frozen=True, kw_only=True):
    """The served certificate that ends first."""

    valid_until: Annotated[str, Meta(description="In UTC (ISO 8601).")]
    renewal: Annotated[str, Meta(description="About when it is renewed, in UTC (ISO 8601).")]
    seen: Annotated[str, Meta(description="When that was seen, in UTC (ISO 8601).")]


class BroughtPart(Part, frozen=True, kw_only=True):
    """A further certificate: one that somebody brings, or one that is ordered."""

    name: str
    valid_until: Annotated[
        str | None,
        Meta(description="In UTC (ISO 8601), of several hosts the first; null where that is not known."),
    ]
    ordered: Annotated[bool, Meta(description="Whether it is ordered, and so renewed.")] = False


class LastRunPart(Part, frozen=True, kw_only=True):
    """The newest run that was made on this machine."""

    run: int
    command: str
    who: str
    began: Annotated[str, Meta(description="In UTC (ISO 8601).")]
    ended: Annotated[str | None, Meta(description="In UTC (ISO 8601); null where it has not.")]
    exit_code: Annotated[int | None, Meta(description="Null where it has not ended, or was interrupted.")]
    result: str


class EnvironmentPart(Part, frozen=True, kw_only=True):
    """What is known of one environment."""

    environment: Annotated[str, Meta(description="Its name; what was asked for, where it cannot be read.")]
    file: str
    state: Literal["in sync", "drifted", "pending", "unknown"]
    reason: Annotated[str, Meta(description="Why; empty where there is nothing to say.")]
    problems: Annotated[list[str], Meta(description="What is wrong with the file: file:line:column: message")]
    has_certificate: Annotated[
        bool, Meta(description="Whether it declares a certificate; false where it cannot be read.")
    ]
    look: Annotated[LookPart | None, Meta(description="Null where none is recorded here.")]
    certificate: Annotated[CertificatePart | None, Meta(description="Null where it is not known.")]
    brought: Annotated[list[BroughtPart], Meta(description="Those of `certificates`, brought or ordered.")]
    last_run: Annotated[LastRunPart | None, Meta(description="Null where none was made here.")]
    last_run_elsewhere: Annotated[
        ElsewherePart | None, Meta(description="Null where no host has told of one.")
    ]
    lock: Annotated[
        str | None,
        Meta(description="The run of this machine that holds the hosts; null: none. Others' are not known."),
    ]


class StatusDocument(Document, frozen=True, kw_only=True):
    """What `reconcile status --json` gives: what is recorded on this machine, as of `at`."""

    document: Literal["status"] = "status"
    at: Annotated[str, Meta(description="In UTC (ISO 8601).")]
    journal: Annotated[str, Meta(description="The file.")]
    environments: list[EnvironmentPart]


def status_document(found: Sequence[EnvironmentStatus], journal: str, now: datetime) -> StatusDocument:
    """The table as a document."""
    return StatusDocument(at=_iso(now), journal=journal, environments=[_part(each) for each in found])


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _part(each: EnvironmentStatus) -> EnvironmentPart:
    return EnvironmentPart(
        environment=each.environment,
        file=each.file,
        state=each.state,  # type: ignore[arg-type]  # one of status.STATES
        reason=each.reason,
        problems=list(each.problems),
        has_certificate=each.owns,
        look=_look(each.look) if each.look else None,
        certificate=_certificate(each.certificate) if each.certificate else None,
        brought=[
            BroughtPart(name=one.name, valid_until=_iso(one.end) if one.end else None, ordered=one.ordered)
            for one in each.brought
        ],
        last_run=_run(each.run) if each.run else None,
        last_run_elsewhere=elsewhere_part(each.elsewhere) if each.elsewhere else None,
        lock=each.lock,
    )


def _look(look: Look) -> LookPart:
    return LookPart(at=_iso(look.at), **look.counts)


def _certificate(times: CertificateTimes) -> CertificatePart:
    return CertificatePart(valid_until=_iso(times.end), renewal=_iso(times.renewal), seen=_iso(times.seen))


def _run(run: LastRun) -> LastRunPart:
    return LastRunPart(
        run=run.number,
        command=run.command,
        who=run.who,
        began=_iso(run.began),
        ended=_iso(run.ended) if run.ended else None,
        exit_code=run.code,
        result=run.result,
    )
