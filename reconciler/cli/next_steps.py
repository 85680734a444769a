"""Saving what a command has made, and saying what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import files
from reconciler.cli.formats import held, say_wrong
from reconciler.cli.options import Options, say
from reconciler.model import quote

if TYPE_CHECKING:
    from reconciler.approval.precedent import Declaration
    from reconciler.environment.settings import Environment
    from reconciler.model import Plan
    from reconciler.output.documents.observation import ObservationDocument
    from reconciler.output.documents.plan import PlanDocument


def save_plan(
    file: Path, document: PlanDocument, plan: Plan, environment: Environment, options: Options
) -> None:
    """Saves a plan and says on stderr how to go on with it. Where the file is stdout, what is wrong with
    the plan goes to stderr. Raises `CommandError`."""
    files.save(file, document)
    if file == files.STDOUT:
        say_wrong(plan, options)
    elif not options.quiet and file.is_file():  # not /dev/null or a pipe
        from reconciler.output.documents.plan import declared_from

        declared = declared_from(document)
        say(f"{file}: the plan is saved; {_after_plan(file, plan, environment, declared)}")


def _after_plan(file: Path, plan: Plan, environment: Environment, declared: Sequence[Declaration]) -> str:
    if not plan.actions and not declared:
        return "there is nothing to do in it"
    name, policy = quote(str(file)), environment.policy
    steps = [f"`reconcile show {name}`"]
    former = [each.was for each in declared if (each.subject, each.field) == ("policy", "approvers")]
    needed = max([policy.approvers, *(was for was in former if isinstance(was, int))])
    if needed and (declared or held(plan, policy, declared)):
        steps.append(f"`reconcile approve {name}` (approvers needed: {needed})")
    found_by_name = Path("environments") / f"{environment.name}.yaml"
    by = ""
    if found_by_name.resolve() != Path(environment.file).resolve():
        by = f" --env {quote(environment.file)}"
    steps.append(f"`reconcile apply {name}{by}`")
    return f"next: {', '.join(steps)}"


def say_next(path: Path, *commands: str) -> None:
    """Says on stderr that a new environment file is written, and which commands come next."""
    *first, last = (f"`reconcile {each} {quote(str(path))}`" for each in commands)
    say(f"{path}: written; next: {', '.join(first)}, then {last}")


def save_observation(file: Path, document: ObservationDocument, env: str, options: Options) -> None:
    """Saves an observation, and says on stderr what it is good for. Raises `CommandError`."""
    files.save(file, document)
    if file != files.STDOUT and not options.quiet and file.is_file():
        plan = f"reconcile plan {quote(env)} --seen {quote(str(file))}"
        say(f"{file}: the observation is saved; next: `{plan}`")
