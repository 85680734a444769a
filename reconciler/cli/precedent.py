"""What was last approved of an environment, according to the journal of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.cli.exit import Code, CommandError
from reconciler.cli.look import policy_of
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json

if TYPE_CHECKING:
    from reconciler.approval.precedent import Approved, Declaration, Settings
    from reconciler.environment.settings import Environment
    from reconciler.journal.journal import Journal
    from reconciler.model import Resource


@dataclass(frozen=True)
class Precedent:
    """What was last approved, what is declared now, and how that differs."""

    approved: Approved
    policy: Mapping[str, Any]
    settings: Settings
    declared: Sequence[Declaration]
    known: frozenset[str]
    """The resources, as HOST KIND NAME, whose settings are the ones last approved."""

    @property
    def policy_changes(self) -> list[str]:
        """How the policy differs from the one last approved."""
        return [
            f"{each.field}: {each.was} → {each.now}" for each in self.declared if each.subject == "policy"
        ]

    @property
    def former_approvers(self) -> int:
        """How many had to approve by the policy that was last approved."""
        found = (self.approved.policy or {}).get("approvers")
        return found if isinstance(found, int) else 0

    @property
    def former_author_may(self) -> bool:
        """Whether by then an author could approve a change of his own."""
        return bool((self.approved.policy or {}).get("author_may_approve"))

    @property
    def former_signers(self) -> str | None:
        """The SHA-256 of the file that said by then who may approve."""
        found = (self.approved.policy or {}).get("allowed_signers")
        return found if isinstance(found, str) else None

    def to_record(self) -> dict[str, Any] | None:
        """What an approved run adds to it; None where nothing is new."""
        from reconciler.approval.precedent import to_record

        return to_record(self.approved, self.policy, self.settings)


def precedent(journal: Journal | None, environment: Environment, resources: Sequence[Resource]) -> Precedent:
    """The precedents of these resources; without a journal there are none. Raises `NoJournal`."""
    from reconciler.approval.precedent import declarations, recorded, settings_of, with_precedent
    from reconciler.environment.rules import Policy
    from reconciler.output.documents.plan import policy_part

    ends = journal.entries(None, environment.name, "end") if journal else ()
    approved = recorded(each.body for each in ends)
    policy, default = as_json(policy_of(environment)), as_json(policy_part(Policy(), None))
    settings = settings_of(resources)
    declared = declarations(approved, policy, default, settings)
    former = (approved.policy or {}).get("approvers")
    if not (policy["approvers"] or policy["without_approval"] or former):
        declared = []  # nobody is asked for an approval of anything
    return Precedent(approved, policy, settings, declared, with_precedent(approved, settings))


def precedent_here(
    environment: Environment, resources: Sequence[Resource], workplace: Workplace
) -> Precedent:
    """The same for a command that only looks: where there is no journal, none are known."""
    from reconciler.journal.journal import NoJournal

    try:
        with workplace.journal_to_read() or nullcontext() as journal:
            return precedent(journal, environment, resources)
    except NoJournal:
        return precedent(None, environment, resources)


def precedent_to_save(
    environment: Environment, resources: Sequence[Resource], workplace: Workplace
) -> Precedent:
    """The same for a plan that is saved: of hosts that are all at sites none are known, for what was approved
    there the journal there knows alone."""
    from reconciler.cli import sites

    names = {each.host for each in resources}
    hosts = [each for each in environment.all_hosts if each.name in names]
    if len(sites.away(environment, hosts)) == len(hosts):
        return precedent(None, environment, resources)
    return precedent_here(environment, resources, workplace)


def keep_signers(journal: Journal, environment: Environment) -> None:
    """Keeps who may approve, for the day on which that changes. Raises `NoJournal`, `CommandError`."""
    named = environment.policy.allowed_signers
    if named is None:
        return
    try:
        journal.keep(Path(named).read_bytes())
    except OSError as error:
        raise CommandError(Code.LOCAL, f"{named}: cannot be read ({error.strerror})") from None
