"""Resources explained, in their order, and as an import found them, as JSON documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from reconciler.document import Document, Meta, Part
from reconciler.environment.settings import Environment
from reconciler.model import CannotSee, Plan, Ref, Value
from reconciler.output.documents.parts import (
    ActionPart,
    ResourcePart,
    UnknownPart,
    UnreachablePart,
    action_part,
    unknown_parts,
    unreachable_parts,
)
from reconciler.output.explanation import Explanation, Neighbour, procedure, without_text

Verb = Literal["create", "change", "remove", "reload", "restart"]


class NeighbourPart(ResourcePart, frozen=True, kw_only=True):
    """A resource that another waits for, or that waits for another."""

    status: Literal["as desired", "cannot be judged", "create", "change", "remove", "reload", "restart"]


class ExplainDocument(Document, frozen=True, kw_only=True):
    """What `reconcile explain --json` gives. Holds no secret."""

    document: Literal["explain"] = "explain"
    environment: str
    host: str
    kind: str
    name: str
    place: Annotated[str | None, Meta(description="file:line:column of what asks for it.")]
    row: Annotated[
        str | None,
        Meta(
            description="The row of docs/procedure.md that asks for it; null where the file's own"
            " `resources:` do."
        ),
    ]
    verdict: Annotated[str, Meta(description="What would become of it, in words.")]
    unknown: Annotated[str | None, Meta(description="Why it cannot be judged; null where it can.")]
    seen: Annotated[
        dict[str, Value] | None,
        Meta(description="Its fields as they were seen; null where it is absent or unknown."),
    ]
    want: Annotated[
        dict[str, Value] | None,
        Meta(description="The fields as desired; null where it is to be absent or is unknown."),
    ]
    action: Annotated[ActionPart | None, Meta(description="As in a plan; null where nothing would be done.")]
    waits_for: Annotated[list[NeighbourPart], Meta(description="What must be settled before it.")]
    waited_for_by: Annotated[list[NeighbourPart], Meta(description="What it must be settled before.")]


def explain_document(environment: str, found: Explanation) -> ExplainDocument:
    """All that is known of one resource."""
    resource = found.resource
    return ExplainDocument(
        environment=environment,
        host=resource.ref.host,
        kind=resource.ref.kind,
        name=resource.ref.name,
        place=str(resource.place) if resource.place else None,
        row=found.row,
        verdict=found.verdict,
        unknown=found.hidden,
        seen=None if found.seen is None or isinstance(found.seen, CannotSee) else without_text(found.seen),
        want=None if found.want is None else without_text(found.want),
        action=action_part(found.action, found.action.after, None) if found.action else None,
        waits_for=list(map(_neighbour_part, found.before)),
        waited_for_by=list(map(_neighbour_part, found.after)),
    )


def _neighbour_part(each: Neighbour) -> NeighbourPart:
    ref = each.ref
    status = each.status
    return NeighbourPart(host=ref.host, kind=ref.kind, name=ref.name, status=status)  # type: ignore[arg-type]


class OrderedPart(ResourcePart, frozen=True, kw_only=True):
    """A resource in the order of all."""

    waits_for: Annotated[
        list[str], Meta(description="HOST KIND NAME of what must be settled right before it.")
    ]


class GraphDocument(Document, frozen=True, kw_only=True):
    """What `reconcile graph --json` gives."""

    document: Literal["graph"] = "graph"
    environment: str
    resources: list[OrderedPart]


def graph_document(environment: str, order: Mapping[Ref, Sequence[Ref]]) -> GraphDocument:
    """The order of the resources; `order` as `plan.order.reduced` makes it."""
    return GraphDocument(
        environment=environment,
        resources=[
            OrderedPart(
                host=ref.host,
                kind=ref.kind,
                name=ref.name,
                waits_for=[str(before) for before in sorted(order[ref])],
            )
            for ref in sorted(order)
        ],
    )


class DifferencePart(ResourcePart, frozen=True, kw_only=True):
    """A field in which a host differs from the file that `import` wrote."""

    verb: Verb
    field: str
    seen: Annotated[Value, Meta(description="null where it is absent.")]
    want: Value
    row: Annotated[str | None, Meta(description="The row of docs/procedure.md that asks for it.")]


class RemarkPart(Part, frozen=True, kw_only=True):
    """Something that an administrator should know about the file."""

    about: Annotated[str | None, Meta(description="The setting; null where it is about none.")]
    text: str


class ImportDocument(Document, frozen=True, kw_only=True):
    """What `reconcile import --json` gives. Holds no secret."""

    document: Literal["import"] = "import"
    environment: str
    file: Annotated[str, Meta(description="What was written.")]
    differences: Annotated[
        list[DifferencePart],
        Meta(
            description="What the first plan with that file would settle, field by field; none where the"
            " hosts are as the file says."
        ),
    ]
    unreachable: list[UnreachablePart]
    unknown: Annotated[list[UnknownPart], Meta(description="What could not be seen on hosts that answered.")]
    remarks: Annotated[
        list[RemarkPart],
        Meta(description="What could not be found out, and what no environment file declares."),
    ]


def import_document(
    environment: Environment, plan: Plan, remarks: Mapping[str, Sequence[str]]
) -> ImportDocument:
    """What an import wrote, and what a first plan with it would change; `remarks` by setting."""
    rows = procedure(environment)
    return ImportDocument(
        environment=environment.name,
        file=environment.file,
        differences=[
            DifferencePart(
                host=action.ref.host,
                kind=action.ref.kind,
                name=action.ref.name,
                verb=action.verb,  # type: ignore[arg-type]  # one of model.VERBS
                field=delta.field,
                seen=delta.seen,
                want=delta.want,
                row=rows.get(action.ref),
            )
            for action in plan.actions
            for delta in action.deltas
        ],
        unreachable=unreachable_parts(plan.unreachable),
        unknown=unknown_parts(plan.unknown),
        remarks=[
            RemarkPart(about=about or None, text=each) for about, texts in remarks.items() for each in texts
        ],
    )
