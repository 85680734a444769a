"""What is shown of a saved plan beside what it says itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.cli.exit import CommandError
from reconciler.cli.options import Options
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace

if TYPE_CHECKING:
    from reconciler.environment.rules import Policy
    from reconciler.model import Plan
    from reconciler.output.documents.plan import PlanDocument


def to_read(document: PlanDocument, workplace: Workplace) -> tuple[Plan, Policy | None]:
    """The plan in a document under the headings of its environment, and that one's policy.

    The document has no headings. Where the environment file is elsewhere, or no longer valid, each
    kind's own do, and nothing is known of the policy.
    """
    from reconciler.output.documents.plan import plan_from

    plan = plan_from(document)
    try:
        environment = open_environment(document.file, workplace)
        resources = select(environment, Options(), workplace)
    except CommandError:
        return plan, None
    if environment.name != plan.environment:
        return plan, None
    parts = {each.ref: each.part for each in resources}
    actions = tuple(replace(each, subject=parts.get(each.ref, "")) for each in plan.actions)
    return replace(plan, actions=actions), environment.policy
