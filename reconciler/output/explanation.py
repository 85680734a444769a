"""Why a resource is as it is: what declares it, what was seen, what it waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.blueprint import mesh, rows
from reconciler.environment.settings import Environment
from reconciler.model import Action, CannotSee, Observation, Ref, Resource, Seen, State, Value
from reconciler.output.text import Style, action_lines, value_text
from reconciler.plan import judgement, planner
from reconciler.plan.order import edges
from reconciler.printable import printable


@dataclass(frozen=True)
class Neighbour:
    """A resource that another waits for, or that waits for another; `status` is as in a plan."""

    ref: Ref
    status: str


@dataclass(frozen=True)
class Explanation:
    """All that is known of one resource. `row` is the procedure's, where it asks for it;
    `hidden` says why it could not be judged."""

    resource: Resource
    row: str | None
    seen: Seen
    want: State | None
    hidden: str | None
    action: Action | None
    before: tuple[Neighbour, ...]
    after: tuple[Neighbour, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What would become of it, in a few words."""
        if self.hidden is not None:
            return f"cannot be judged: {self.hidden}"
        if self.action is None:
            return "it is as desired"
        if self.action.blocked:
            return f"refused: {self.action.blocked}"
        fields = ", ".join(delta.field for delta in self.action.deltas)
        whole = {"create": "it does not exist", "remove": "it exists, but is declared absent"}
        return f"{self.action.verb}: {whole.get(self.action.verb, f'not as desired: {fields}')}"


def explain(
    environment: Environment, resources: Sequence[Resource], observation: Observation, ref: Ref
) -> Explanation:
    """Explains one of the resources by what was seen of all of them."""
    plan = planner.plan(environment.name, resources, observation.seen, observation.unreachable)
    actions = {action.ref: action for action in plan.actions}
    before = edges(resources)

    def neighbours(refs: Iterable[Ref]) -> tuple[Neighbour, ...]:
        return tuple(Neighbour(each, status(each)) for each in sorted(refs))

    def status(each: Ref) -> str:
        if each.host in plan.unreachable or each in plan.unknown:
            return "cannot be judged"
        return actions[each].verb if each in actions else "as desired"

    hidden = plan.unreachable.get(ref.host, plan.unknown.get(ref))
    return Explanation(
        resource=next(each for each in resources if each.ref == ref),
        row=procedure(environment).get(ref),
        seen=observation.seen.get(ref, judgement.NOT_LOOKED),
        want=plan.wants.get(ref),
        hidden=hidden,
        action=actions.get(ref),
        before=neighbours(before[ref]),
        after=neighbours(each for each, waits in before.items() if ref in waits),
        notes=plan.notes.get(ref, ()),
    )


def procedure(environment: Environment) -> dict[Ref, str]:
    """What the row of the procedure that asks for a resource is there for; the YAML's own
    resources are not in it."""
    found: dict[Ref, str] = {}
    for host in environment.hosts if environment.blueprint else ():
        for row in rows(environment):
            text = " ".join((row.__doc__ or "").split())
            found |= {each.ref: text for each in row(environment, host)}
    for host in environment.retired if environment.blueprint else ():
        text = " ".join((mesh.retired.__doc__ or "").split())
        found |= {each.ref: text for each in mesh.retired(environment, host)}
    return {ref: text for ref, text in found.items() if ref not in {r.ref for r in environment.resources}}


def lines(found: Explanation, style: Style) -> Iterable[str]:
    """The explanation as text: what declares it, its state as seen and as desired, and its neighbours."""
    if found.action:
        yield from action_lines(found.action, style)
    else:
        yield f"  {printable(str(found.resource.ref))}"
    yield f"    verdict: {printable(found.verdict)}"
    place = str(found.resource.place) if found.resource.place else "the environment file"
    yield f"    declared in: {printable(place)}" + (f" ({found.row})" if found.row else "")
    yield from _state("seen", found.seen)
    if found.hidden is None:
        yield from _state("desired", found.want)
    yield from _neighbours("waits for", found.before)
    yield from _neighbours("waited for by", found.after)
    yield from (f"    note: {printable(each)}" for each in found.notes)


def _state(what: str, state: Seen) -> Iterable[str]:
    if isinstance(state, CannotSee):
        yield f"    {what}: cannot be seen: {printable(state.reason)}"
    elif state is None:
        yield f"    {what}: absent"
    else:
        yield f"    {what}:" + ("" if without_text(state) else " no fields")
        yield from (
            f"      {printable(name)}: {value_text(value)}" for name, value in without_text(state).items()
        )


def without_text(state: State) -> dict[str, Value]:
    """The fields of a state but a file's text, which the diff shows where it matters."""
    return {name: value for name, value in state.items() if name != "text"}


def _neighbours(what: str, neighbours: Sequence[Neighbour]) -> Iterable[str]:
    yield f"    {what}:" + ("" if neighbours else " nothing")
    yield from (f"      {printable(str(each.ref))} ({each.status})" for each in neighbours)
