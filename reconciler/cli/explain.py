"""The commands `explain` and `graph`: why one resource is as it is; the order of them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.cli import session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.environment.settings import Environment
from reconciler.model import Observation, Ref, Resource
from reconciler.output import diagram, explanation
from reconciler.plan.order import edges, reduced


def explain(env: str, words: Sequence[str], options: Options, seen: Path | None) -> int:
    """`reconcile explain`: 0, or 3 where the resource cannot be judged; raises `CommandError`."""
    environment = session.open_environment(env)
    resources = session.chosen(environment, Options())
    candidates = session.chosen(environment, Options(host=options.host))
    ref = _meant(" ".join(words), [each.ref for each in candidates])
    sight = (
        session.saved_observation(seen, session.read(seen))
        if seen
        else _looked(environment, resources, options)
    )
    found = explanation.explain(environment, resources, sight, ref)
    if options.json:
        session.print_json(explanation.document(environment.name, found))
    else:
        session.print_lines(explanation.lines(found, options.paper))
    return Code.OK if found.hidden is None else Code.INCOMPLETE


def _meant(text: str, refs: Sequence[Ref]) -> Ref:
    found = explanation.named(text, refs)
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{text}: {len(found)} resources are called so; say which one (--host, or HOST KIND NAME):"
        near = found[: explanation.NEAREST]
    else:
        near = explanation.nearest(text, refs)
        like = "nearest:" if near else "`reconcile graph` and `reconcile observe` list them"
        message = f"{text}: nothing is called so; expected HOST KIND NAME, as the plan prints it; {like}"
    raise CommandError(Code.USAGE, message, *(f"    {ref}" for ref in near))


def _looked(environment: Environment, resources: list[Resource], options: Options) -> Observation:
    with session.fleet_of(environment, resources, options) as fleet:
        session.look(fleet, options)
        return fleet.sight


def graph(env: str, options: Options, form: str | None) -> int:
    """`reconcile graph`: 0; raises `CommandError`. No host is asked."""
    if options.json and form is not None:
        raise CommandError(Code.USAGE, "--format and --json: only one of them")
    if form is not None and form not in diagram.FORMATS:
        known = ", ".join(diagram.FORMATS)
        raise CommandError(Code.USAGE, f"--format {form}: no such format; expected one of {known}")
    environment = session.open_environment(env)
    before = edges(session.chosen(environment, Options()))
    chosen = {each.ref for each in session.chosen(environment, options)}
    order = reduced(before, chosen)
    if options.json:
        session.print_json(diagram.document(environment.name, order))
    else:
        session.print_lines(diagram.FORMATS[form or "mermaid"](environment.name, order))
    return Code.OK
