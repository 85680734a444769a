"""Parts of documents: resources, what would be done about them, and what could not be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Annotated, Literal

from reconciler.approval import commitment
from reconciler.document import UNSET, Meta, Part, UnsetType, replace
from reconciler.journal.elsewhere import RunElsewhere
from reconciler.model import Action, Delta, Place, Ref, Step, Value


class ResourcePart(Part, frozen=True, kw_only=True):
    """The resource that something is about."""

    host: str
    kind: str
    name: str

    @property
    def ref(self) -> Ref:
        return Ref(self.host, self.kind, self.name)


class ElsewherePart(Part, frozen=True, kw_only=True):
    """A run that was made elsewhere, as the hosts that it touched tell of it: nothing here is proven but by
    `signed_by`."""

    run: Annotated[str, Meta(description="What it is called here.")]
    environment: str
    began: Annotated[str, Meta(description="In UTC (ISO 8601), by the clock where it was made.")]
    who: str
    number: Annotated[int, Meta(description="Of the run, where it was made.")]
    command: str
    commit: Annotated[str | None, Meta(description="Null where the file was in no git commit.")]
    dirty: Annotated[bool, Meta(description="Whether the file had uncommitted changes.")]
    file: str
    plan: Annotated[str, Meta(description="Digest of the plan.")]
    approvers: list[str]
    actions: Annotated[dict[str, list[str]], Meta(description="By host: VERB KIND NAME.")]
    more: Annotated[int, Meta(description="How many actions there were beside.")]
    ended: Annotated[str | None, Meta(description="In UTC (ISO 8601); null where no host tells.")]
    exit_code: Annotated[int | None, Meta(description="Null where no host tells of its end.")]
    signed_by: Annotated[str | None, Meta(description="The known signer of all that is told; null: none.")]
    disputed: Annotated[bool, Meta(description="Whether hosts tell it differently.")]


def elsewhere_part(run: RunElsewhere) -> ElsewherePart:
    """The part for a run that was made elsewhere."""
    return ElsewherePart(
        run=run.run,
        environment=run.environment,
        began=run.began.astimezone(UTC).isoformat(),
        who=run.who,
        number=run.number,
        command=run.command,
        commit=run.commit or None,
        dirty=run.dirty,
        file=run.file,
        plan=run.plan,
        approvers=list(run.approvers),
        actions={host: list(actions) for host, actions in run.actions.items()},
        more=run.more,
        ended=run.ended.astimezone(UTC).isoformat() if run.ended else None,
        exit_code=run.code,
        signed_by=run.signed_by or None,
        disputed=run.disputed,
    )


class DeltaPart(Part, frozen=True, kw_only=True):
    """A field that differs."""

    field: str
    seen: Value
    want: Value
    diff: (
        Annotated[
            str, Meta(description="A unified diff, where the values are digests of text that is not secret.")
        ]
        | UnsetType
    ) = UNSET


class StepPart(Part, frozen=True, kw_only=True):
    """A shell command, and why it is run."""

    command: str
    why: str
    stdin_bytes: Annotated[int, Meta(description="How much is fed to it; never what.")] | UnsetType = UNSET
    stdin_sum: (
        Annotated[
            str,
            Meta(
                pattern=commitment.PATTERN,
                description="What binds the plan to what is fed to it: its SHA-256, or of a secret scrypt"
                " with a random salt.",
            ),
        ]
        | UnsetType
    ) = UNSET


class ActionPart(ResourcePart, frozen=True, kw_only=True):
    """What would be done about one resource."""

    verb: Literal["create", "change", "remove", "reload", "restart"]
    deltas: list[DeltaPart]
    steps: list[StepPart]
    rescue: Annotated[
        list[StepPart], Meta(description="Run, all of them, where one of the steps has failed.")
    ]
    after: Annotated[list[str], Meta(description="What it waits for: HOST KIND NAME.")]
    blocked: Annotated[str | None, Meta(description="Why it will not be done in any run, as things are.")]
    seen_digest: Annotated[str, Meta(description="Over all that was seen of the resource.")]
    place: Annotated[
        Annotated[str, Meta(pattern=":[0-9]{1,9}:[0-9]{1,9}$")] | None,
        Meta(description="file:line:column of what asks for it."),
    ]


class UnreachablePart(Part, frozen=True, kw_only=True):
    """A host that could not be looked at, and why."""

    host: str
    reason: str


class UnknownPart(ResourcePart, frozen=True, kw_only=True):
    """A resource that could not be seen, and why."""

    reason: str


def action_part(action: Action, waits: Iterable[Ref], salt: str | None) -> ActionPart:
    """An action as it stands in a plan's document; `waits` are all that it waits for, and `salt` is for
    the commitments to what its steps are fed (`approval.commitment`); None: without them."""
    return ActionPart(
        host=action.ref.host,
        kind=action.ref.kind,
        name=action.ref.name,
        verb=action.verb,  # type: ignore[arg-type]  # one of model.VERBS
        deltas=[_delta_part(delta) for delta in action.deltas],
        steps=[_step_part(step, salt) for step in action.steps],
        rescue=[_step_part(step, salt) for step in action.rescue],
        after=[str(ref) for ref in waits],
        blocked=action.blocked,
        seen_digest=action.seen_digest,
        place=str(action.place) if action.place else None,
    )


def _delta_part(delta: Delta) -> DeltaPart:
    diff = UNSET if delta.text is None else delta.text
    return DeltaPart(field=delta.field, seen=delta.seen, want=delta.want, diff=diff)


def _step_part(step: Step, salt: str | None) -> StepPart:
    part = StepPart(command=step.command, why=step.why)
    if step.fed is not None:
        part = replace(part, stdin_bytes=step.fed)
    if step.commitment is not None:
        return replace(part, stdin_sum=step.commitment)
    if step.stdin is not None and salt is not None:
        bound = commitment.commit(step.stdin, salt, public=step.public)
        return replace(part, stdin_sum=bound)
    return part


def unreachable_parts(unreachable: Mapping[str, str]) -> list[UnreachablePart]:
    """Host to reason as documents have it, by host."""
    return [UnreachablePart(host=host, reason=reason) for host, reason in sorted(unreachable.items())]


def unknown_parts(unknown: Mapping[Ref, str]) -> list[UnknownPart]:
    """Ref to reason as documents have it, by ref."""
    return [
        UnknownPart(host=ref.host, kind=ref.kind, name=ref.name, reason=reason)
        for ref, reason in sorted(unknown.items())
    ]


def action_from(each: ActionPart) -> Action:
    """The action in a plan's document; what it waits for is not read."""
    return Action(
        ref=each.ref,
        verb=each.verb,
        deltas=tuple(
            Delta(d.field, d.seen, d.want, None if d.diff is UNSET else d.diff) for d in each.deltas
        ),
        steps=tuple(map(_step_from, each.steps)),
        rescue=tuple(map(_step_from, each.rescue)),
        blocked=each.blocked,
        seen_digest=each.seen_digest,
        place=_place_from(each.place),
    )


def _step_from(each: StepPart) -> Step:
    return Step(
        each.command,
        each.why,
        bytes_fed=None if each.stdin_bytes is UNSET else each.stdin_bytes,
        commitment=None if each.stdin_sum is UNSET else each.stdin_sum,
    )


def _place_from(text: str | None) -> Place | None:
    if text is None:
        return None
    file, line, column = text.rsplit(":", 2)
    return Place(file, int(line), int(column))
