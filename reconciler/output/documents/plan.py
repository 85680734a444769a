"""A plan as a JSON document, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Literal

from reconciler.approval.commitment import is_salted
from reconciler.approval.precedent import Declaration
from reconciler.document import (
    UNSET,
    Document,
    Meta,
    NotADocument,
    Part,
    UnsetType,
    as_json,
    check_name,
    check_time,
    read,
    replace,
)
from reconciler.environment.rules import Policy
from reconciler.messages import Message
from reconciler.model import Plan, Ref, Value
from reconciler.monitor.findings import Finding
from reconciler.monitor.notices import FindingPart
from reconciler.output.documents.parts import (
    ActionPart,
    UnknownPart,
    UnreachablePart,
    action_from,
    action_part,
    unknown_parts,
    unreachable_parts,
)
from reconciler.plan.judgement import digest
from reconciler.plan.prospects import waits_for

Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]


class Tampered(NotADocument):
    """A plan was changed after it was saved."""


class CommitPart(Part, frozen=True, kw_only=True):
    """What was checked out."""

    id: str
    dirty: Annotated[bool, Meta(description="Whether the file differs from it.")]


class PolicyPart(Part, frozen=True, kw_only=True):
    """What the environment file said of approvals, and who could give them."""

    approvers: int
    author_may_approve: bool
    expires: int
    without_approval: list[str]
    windows: list[str]
    timezone: str
    urgent: int
    most_changes: int | None
    most_removals: int | None
    allowed_signers: Annotated[
        str | None, Meta(description="The SHA-256 of the file with the allowed signers; null without one.")
    ]


def policy_part(policy: Policy, signers: str | None) -> PolicyPart:
    """A policy as documents have it; `signers` is the SHA-256 of its file of allowed signers."""
    values: dict[str, Any] = {each.name: getattr(policy, each.name) for each in fields(policy)}
    plain: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }
    return PolicyPart(**{**plain, "allowed_signers": signers})


class DeclaredPart(Part, frozen=True, kw_only=True):
    """A setting that is not the one last approved."""

    subject: Annotated[str, Meta(description="`policy`, or HOST KIND NAME.")]
    field: Annotated[str, Meta(description='"" where nothing of the subject was approved before.')]
    was: Value
    now: Value


class ScopePart(Part, frozen=True, kw_only=True):
    """What a command was narrowed to by its flags."""

    host: list[str]
    only: list[str]
    replace: list[str]
    rollback: Annotated[
        list[Annotated[str, Meta(pattern="^[0-9]{1,18}$")]], Meta(description="The run that it would undo.")
    ]


class CurrentFindingPart(FindingPart, frozen=True, kw_only=True):
    """Something that is not as it should be, as `drift` found it."""

    acknowledged: Annotated[str | None, Meta(description="By whom, why and until when it is accepted.")]
    since: Annotated[str | None, Meta(description="Since when, in UTC; null where that is not remembered.")]


class NotesPart(Part, frozen=True, kw_only=True):
    """What an administrator should know or do beside what apply does."""

    host: str
    kind: str
    name: str
    notes: list[str]


class PlanDocument(Document, frozen=True, kw_only=True):
    """What `reconcile plan --json`, `plan -o` and `drift --json` give. Holds no secret."""

    document: Literal["plan"] = "plan"
    version: Literal[2] = 2  # type: ignore[assignment]  # since 2 the digest covers the whole document
    digest: Annotated[Digest, Meta(description="Over all the rest of this document: what is signed.")]
    changes: Annotated[
        Digest,
        Meta(
            description="Over what would be done and what was seen: the same whoever makes the plan, and"
            " whenever."
        ),
    ]
    made: Annotated[str, Meta(description="When, in UTC (ISO 8601).")]
    expires: Annotated[str, Meta(description="Until when it may be applied, in UTC (ISO 8601).")]
    file: Annotated[str, Meta(description="The environment file it was made from.")]
    file_digest: Annotated[str, Meta(description="The SHA-256 of that file.")]
    sources: Annotated[
        dict[str, str],
        Meta(
            description="The SHA-256 of each local file that it names and whose text is not secret; what is"
            " secret is bound by `stdin_sum`."
        ),
    ]
    policy: PolicyPart
    declared: Annotated[
        list[DeclaredPart],
        Meta(
            description="What the file declares otherwise than it was last approved, as far as the machine"
            " that made the plan knew: its policy, and the settings of what may run without an approval."
        ),
    ]
    commit: Annotated[
        CommitPart | None,
        Meta(
            description="What was checked out where the file lies; null where it is under no version control."
        ),
    ]
    host_digests: Annotated[dict[str, Digest], Meta(description="By host: over the actions on it.")]
    environment: str
    actions: Annotated[list[ActionPart], Meta(description="In the order in which they would be done.")]
    unreachable: list[UnreachablePart]
    unknown: Annotated[list[UnknownPart], Meta(description="What could not be seen on hosts that answered.")]
    hosts: list[str]
    resources: int
    notes: (
        Annotated[
            list[NotesPart],
            Meta(description="What to know or do beside it, by resource; absent where there is nothing."),
        ]
        | UnsetType
    ) = UNSET
    scope: Annotated[ScopePart, Meta(description="What it was made for by --host, --only and --replace.")]
    findings: (
        Annotated[list[CurrentFindingPart], Meta(description="Only of `drift`: what is not as it should be.")]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        check_time("made", self.made)
        check_time("expires", self.expires)

    @property
    def expiry(self) -> datetime:
        """Until when it may be applied."""
        return datetime.fromisoformat(self.expires)


BODY = ("environment", "declared", "actions", "unreachable", "unknown", "hosts", "resources", "scope")
"""The fields that `changes` covers."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a plan was made from. `commit` is what was checked out where the file lies, `id` and
    `dirty`; see `PlanDocument` for the rest."""

    file: str
    file_digest: str
    sources: Mapping[str, str]
    policy: PolicyPart
    commit: Mapping[str, Any] | None


def plan_document(
    plan: Plan,
    origin: Origin,
    *,
    made: datetime,
    expires: datetime,
    scope: Mapping[str, Sequence[str]],
    salt: str,
    declared: Sequence[Declaration] = (),
) -> PlanDocument:
    """A plan as users, scripts and `apply PLAN` read it.

    `scope` has `host`, `only`, `replace` and `rollback`, as on the command line; `salt` are 32
    hexadecimal digits made at random, for the commitments to what is fed to commands; `declared` is
    what differs from what was last approved.
    """
    waits = waits_for(plan)
    document = PlanDocument(
        digest="",
        changes="",
        made=made.isoformat(timespec="seconds"),
        expires=expires.isoformat(timespec="seconds"),
        file=origin.file,
        file_digest=origin.file_digest,
        sources=dict(origin.sources),
        policy=origin.policy,
        declared=[DeclaredPart(**asdict(each)) for each in declared],
        commit=None if origin.commit is None else CommitPart(**origin.commit),
        host_digests={},
        environment=plan.environment,
        actions=[action_part(action, waits[action.ref], salt) for action in plan.actions],
        unreachable=unreachable_parts(plan.unreachable),
        unknown=unknown_parts(plan.unknown),
        hosts=list(plan.hosts),
        resources=plan.resources,
        notes=_notes(plan) or UNSET,
        scope=ScopePart(**{name: list(values) for name, values in scope.items()}),
    )
    return _sealed(replace(document, **_digests(document)))


def _notes(plan: Plan) -> list[NotesPart]:
    return [
        NotesPart(host=ref.host, kind=ref.kind, name=ref.name, notes=list(notes))
        for ref, notes in sorted(plan.notes.items())
    ]


def _digests(document: PlanDocument) -> dict[str, Any]:
    """The digests of a plan's parts, by their fields."""
    body = _unsalted(as_json(document))
    return {
        "changes": f"sha256:{digest({name: body[name] for name in BODY})}",
        "host_digests": {
            host: f"sha256:{digest([each for each in body['actions'] if each['host'] == host])}"
            for host in document.hosts
        },
    }


def _unsalted(body: dict[str, Any]) -> dict[str, Any]:
    """A document without the commitments that are others in each plan."""
    for action in body["actions"]:
        for step in (*action["steps"], *action["rescue"]):
            if is_salted(step.get("stdin_sum")):
                del step["stdin_sum"]
    return body


def _sealed(document: PlanDocument) -> PlanDocument:
    return replace(document, digest=digest_of(as_json(document)))


def digest_of(document: Mapping[str, Any]) -> str:
    """The digest of a plan in parsed JSON: over all but itself."""
    return f"sha256:{digest({name: value for name, value in document.items() if name != 'digest'})}"


def with_findings(
    document: PlanDocument, found: Sequence[Finding], since: Mapping[str, datetime]
) -> PlanDocument:
    """The plan of `drift`, with what is not as it should be, and since when by a finding's id."""
    parts = [
        CurrentFindingPart(
            **each.document(),
            acknowledged=each.acknowledged or None,
            since=since[each.id].isoformat(timespec="seconds") if each.id in since else None,
        )
        for each in found
    ]
    return _sealed(replace(document, findings=parts))


def read_plan(found: Any) -> PlanDocument:
    """The plan in parsed JSON, its types checked. Raises `NotADocument`, and `Tampered` where its
    digest does not fit."""
    check_name(found, "plan", "a plan saved by `reconcile plan -o`", version=2)
    try:
        fits = found.get("digest") == digest_of(found)
    except (RecursionError, ValueError):
        fits = False
    if not fits:
        raise Tampered(f"its digest does not fit: it was changed after it was saved {Message.TAMPERED}")
    document = read(PlanDocument, found)
    if as_json(replace(document, **_digests(document))) != as_json(document):
        raise Tampered(f"its parts do not have the digests that it says {Message.TAMPERED}")
    return document


def plan_from(document: PlanDocument) -> Plan:
    """The plan in a document. What its actions wait for is not read: apply plans again."""
    return Plan(
        environment=document.environment,
        actions=tuple(map(action_from, document.actions)),
        unreachable={each.host: each.reason for each in document.unreachable},
        unknown={each.ref: each.reason for each in document.unknown},
        hosts=tuple(document.hosts),
        resources=document.resources,
        notes={Ref(each.host, each.kind, each.name): tuple(each.notes) for each in document.notes or ()},
    )


def declared_from(document: PlanDocument) -> list[Declaration]:
    """What a plan says is not as it was last approved."""
    return [Declaration(each.subject, each.field, each.was, each.now) for each in document.declared]
