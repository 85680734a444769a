"""What commands have found or done, as JSON documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from reconciler.document import Document, Meta, Part, read
from reconciler.journal.elsewhere import RunElsewhere
from reconciler.journal.journal import JournalEntry
from reconciler.output.documents.parts import (
    ElsewherePart,
    ResourcePart,
    UnreachablePart,
    elsewhere_part,
    unreachable_parts,
)
from reconciler.output.documents.plan import PlanDocument
from reconciler.tls.names import NameCheck
from reconciler.tls.verify import ANOTHER_KEY, Check

if TYPE_CHECKING:
    from reconciler.fleet.report import Report
    from reconciler.journal.path import Verdict


class ValidationDocument(Document, frozen=True, kw_only=True):
    """What `reconcile validate --json` gives."""

    document: Literal["validation"] = "validation"
    problems: Annotated[list[str], Meta(description="file:line:column: message")]


class FormattingDocument(Document, frozen=True, kw_only=True):
    """What `reconcile fmt --json` gives."""

    document: Literal["formatting"] = "formatting"
    changed: Annotated[list[str], Meta(description="The files that were, or with --check would be, written.")]


class OutcomePart(ResourcePart, frozen=True, kw_only=True):
    """What became of an action."""

    result: Literal["done", "unsettled", "failed", "skipped", "lost"]
    detail: str


class ApplyDocument(Document, frozen=True, kw_only=True):
    """What `reconcile apply --json` gives."""

    document: Literal["apply"] = "apply"
    environment: str
    exit_code: int
    outcomes: list[OutcomePart]
    neither: Annotated[
        list[str],
        Meta(description="HOST KIND NAME of what is neither as before nor as desired, or is not known."),
    ]


def apply_document(environment: str, report: Report | None, *, code: int) -> ApplyDocument:
    """How an apply ended; no report where there was nothing to do."""
    outcomes = [
        OutcomePart(
            host=each.ref.host,
            kind=each.ref.kind,
            name=each.ref.name,
            result=each.result,  # type: ignore[arg-type]  # as `model.Outcome` has it
            detail=each.detail,
        )
        for each in (report.outcomes if report else ())
    ]
    partial = [str(ref) for ref in report.partial] if report else []
    return ApplyDocument(environment=environment, exit_code=code, outcomes=outcomes, neither=partial)


def apply_from(body: Mapping[str, Any]) -> ApplyDocument | None:
    """What the end of a run in the journal says was done; None where it says nothing of that. Raises
    `NotADocument`."""
    if "outcomes" not in body:
        return None
    return read(ApplyDocument, {name: body[name] for name in ApplyDocument.__struct_fields__ if name in body})


class CheckPart(Part, frozen=True, kw_only=True):
    """What a service showed, and whether that is as desired."""

    host: str
    service: str
    port: int
    name: Annotated[
        str | None, Meta(description="The name that was asked for (SNI); null where none was sent.")
    ]
    seen_from: Literal["outside", "the host itself"]
    verdict: Literal["ok", "wrong", "unknown"]
    detail: str
    expires: Annotated[
        str | None, Meta(description="Until when the certificate that was shown is valid (ISO 8601).")
    ]


class NamePart(Part, frozen=True, kw_only=True):
    """What the DNS lets the CA issue for a name of the certificate (CAA)."""

    name: str
    verdict: Annotated[
        Literal["ok", "open", "wrong", "unknown"],
        Meta(
            description="`ok`: bound to our account and method; `open`: others may get a certificate for it;"
            " `wrong`: the next renewal will be refused."
        ),
    ]
    detail: str
    record: Annotated[
        str | None, Meta(description="The record to publish, as a line of a zone file; null where none is.")
    ]


class VerifyDocument(Document, frozen=True, kw_only=True):
    """What `reconcile verify --json` gives."""

    document: Literal["verify"] = "verify"
    environment: str
    release: Annotated[
        str | None,
        Meta(
            description="What was issued: 32 hexadecimal digits that stand for the leaf and its chain;"
            " null where the primary does not show it, and where its key is declared compromised."
        ),
    ]
    checks: list[CheckPart]
    names: Annotated[list[NamePart], Meta(description="Empty where the primary was left out (--host).")]


def verify_document(
    environment: str, release: str | None, checks: Sequence[Check], names: Sequence[NameCheck] = ()
) -> VerifyDocument:
    """What `verify` found."""
    parts = [
        CheckPart(
            host=each.endpoint.host,
            service=each.endpoint.service,
            port=each.endpoint.port,
            name=each.endpoint.name,
            seen_from=each.seen_from,  # type: ignore[arg-type]  # as `verify.Check` has it
            verdict=each.verdict,  # type: ignore[arg-type]
            detail=each.detail,
            expires=each.expires,
        )
        for each in checks
    ]
    found = [
        NamePart(name=each.name, verdict=each.verdict, detail=each.detail, record=each.record)  # type: ignore[arg-type]
        for each in names
    ]
    issued = None if release == ANOTHER_KEY else release
    return VerifyDocument(environment=environment, release=issued, checks=parts, names=found)


class EntryPart(Part, frozen=True, kw_only=True):
    """An entry of the journal."""

    number: int
    at: Annotated[str, Meta(description="In UTC (ISO 8601), by the clock of the machine.")]
    run: Annotated[int, Meta(description="0: no run; what was noticed, or refused.")]
    environment: str
    what: Literal["begin", "locked", "intent", "outcome", "end", "onset", "recovery", "refused"]
    body: dict[str, Any]


class RunPart(Part, frozen=True, kw_only=True):
    """Whether what the journal tells of a run is a path of the model of a rollout (decision 28)."""

    run: int
    environment: str
    result: Annotated[
        Literal["path", "recorded", "deviation"],
        Meta(description="`recorded`: a path as far as it is recorded; `detail` says what is not."),
    ]
    entry: Annotated[int | None, Meta(description="The entry that is no step of the model.")]
    detail: str


class HistoryDocument(Document, frozen=True, kw_only=True):
    """What `reconcile history --json` gives."""

    document: Literal["history"] = "history"
    journal: Annotated[str, Meta(description="The file.")]
    entries: Annotated[list[EntryPart], Meta(description="Oldest first.")]
    elsewhere: Annotated[
        list[ElsewherePart], Meta(description="Runs of other machines, as hosts tell of them. Oldest first.")
    ]
    records: Annotated[
        list[str], Meta(description="What is wrong with the records that hosts keep of runs, when last seen.")
    ]
    problems: Annotated[
        list[str] | None, Meta(description="Only with --verify: what is not as it was written.")
    ]
    runs: Annotated[
        list[RunPart] | None,
        Meta(description="Only with --verify: each run; none where the journal was changed."),
    ]


def history_document(
    journal: str,
    entries: Sequence[JournalEntry],
    problems: Sequence[str] | None = None,
    verdicts: Sequence[Verdict] = (),
    elsewhere: Sequence[RunElsewhere] = (),
    records: Sequence[str] = (),
) -> HistoryDocument:
    """What the journal holds, or what is wrong with it and with which of its runs, and what hosts tell of
    runs elsewhere."""
    parts = [
        EntryPart(
            number=each.number,
            at=each.at,
            run=each.run,
            environment=each.environment,
            what=each.what,  # type: ignore[arg-type]  # the journal writes no other
            body=dict(each.body),
        )
        for each in entries
    ]
    runs = [
        RunPart(
            run=each.run,
            environment=each.environment,
            result=each.result,
            entry=each.entry,
            detail=each.detail,
        )
        for each in verdicts
    ]
    return HistoryDocument(
        journal=journal,
        entries=parts,
        elsewhere=[elsewhere_part(each) for each in elsewhere],
        records=list(records),
        problems=None if problems is None else list(problems),
        runs=None if problems is None else runs,
    )


class ApprovalDocument(Document, frozen=True, kw_only=True):
    """What `reconcile approve --json` gives."""

    document: Literal["approval"] = "approval"
    environment: str
    digest: Annotated[str, Meta(description="Of the plan that was approved.")]
    expires: Annotated[str, Meta(description="Until when it counts, in UTC (ISO 8601).")]
    file: Annotated[str, Meta(description="Where the signature is.")]


def approval_document(plan: PlanDocument, file: str) -> ApprovalDocument:
    """Which plan was approved, and the file with the signature."""
    return ApprovalDocument(environment=plan.environment, digest=plan.digest, expires=plan.expires, file=file)


class FilePart(Part, frozen=True, kw_only=True):
    """A file."""

    path: Annotated[str, Meta(description="Where it is or belongs; `crontab` for a line of one.")]
    text: Annotated[str | None, Meta(description="What is in it; null for a page.")]


class FilesDocument(Document, frozen=True, kw_only=True):
    """What `init`, `report` and `cron` give with `--json`: files that were written, or that you have
    to write."""

    document: Literal["files"] = "files"
    environment: str
    files: list[FilePart]


def files_document(environment: str, files: Mapping[str, str | None]) -> FilesDocument:
    """Files that were written, or that somebody has to write: path to text."""
    return FilesDocument(
        environment=environment, files=[FilePart(path=path, text=text) for path, text in files.items()]
    )


class LockPart(Part, frozen=True, kw_only=True):
    """The lock of a host."""

    host: str
    held_by: Annotated[
        str | None, Meta(description="Who, from where and since when; null where nobody does.")
    ]
    processes: Annotated[list[str], Meta(description="Process ids on the host.")]
    ended: Annotated[bool, Meta(description="Whether they were ended now.")]


class LocksDocument(Document, frozen=True, kw_only=True):
    """What `reconcile unlock --json` gives."""

    document: Literal["locks"] = "locks"
    environment: str
    locks: list[LockPart]
    unreachable: list[UnreachablePart]


def locks_document(
    environment: str, locks: Sequence[Mapping[str, Any]], unreachable: Mapping[str, str]
) -> LocksDocument:
    """Who holds the lock of each host; `locks` have the fields of `LockPart`."""
    return LocksDocument(
        environment=environment,
        locks=[LockPart(**each) for each in locks],
        unreachable=unreachable_parts(unreachable),
    )
