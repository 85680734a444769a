"""`reconcile apply`: shows a plan, has it approved, and carries it out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from reconciler.approval import policy, signatures
from reconciler.approval.signatures import JudgedApproval, NoSignature
from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    Hosts,
    Json,
    NoColor,
    Only,
    Parallel,
    Replace,
    Timeout,
    Verbose,
)
from reconciler.cli.formats import Formats
from reconciler.cli.interrupted import report_interrupted
from reconciler.cli.look import connected, look_with, plan_document
from reconciler.cli.options import Options, say
from reconciler.cli.run import Run, print_end, who
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.document import NotADocument, as_json
from reconciler.environment.settings import Environment
from reconciler.fleet.fleet import Fleet
from reconciler.journal.journal import Journal, NoJournal
from reconciler.messages import Message
from reconciler.model import Plan
from reconciler.monitor import tracker
from reconciler.output import text as output_text
from reconciler.output.documents.plan import PlanDocument, Tampered, plan_from, read_plan


@dataclass(frozen=True)
class SavedPlan:
    """A saved plan, and its file."""

    file: Path
    document: PlanDocument
    plan: Plan


def apply(
    context: typer.Context,
    env: Annotated[str, typer.Argument(metavar="ENV|PLAN", help="An environment, or a saved plan.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="Do what the policy allows without approval; report the rest.")
    ] = False,
    host: Hosts = None,
    only: Only = None,
    replace: Replace = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> int:
    """Returns an exit code of the contract. Raises `CommandError`."""
    options = Options(
        host=host, only=only, replace=replace, json=json, parallel=parallel, timeout=timeout,
        no_color=no_color, verbose=verbose,
    )  # fmt: skip
    return apply_with(env, options, context.obj, yes=yes, auto=auto)


def apply_with(env: str, options: Options, workplace: Workplace, *, yes: bool, auto: bool) -> int:
    """Applies an environment or a saved plan; see `apply`. Raises `CommandError`."""
    saved: SavedPlan | None = None
    if env.endswith(".json") or (Path(env).is_file() and _begins_like_json(Path(env))):
        saved = _saved(Path(env))
        env = saved.document.file
        options = replace(options, **as_json(saved.document.scope))
    environment = open_environment(env, workplace)
    resources = select(environment, options, workplace)
    try:
        with (
            workplace.journal(workplace.clock, True) as journal,
            connected(environment, resources, options, workplace) as fleet,
        ):
            report_interrupted(journal, environment)
            one = _Apply(environment, fleet, options, journal, workplace)
            return one.saved(saved) if saved else one.fresh(yes=yes, auto=auto)
    except NoJournal as error:
        more = "no further action was started; see what was done with `reconcile plan`"
        raise CommandError(Code.ERROR, str(error), more) from None


def _saved(file: Path) -> SavedPlan:
    try:
        document = read_plan(files.read(file))
    except Tampered as error:
        raise CommandError(Code.NOT_APPROVED, f"{file}: {error}", "nothing was done") from None
    except NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None
    return SavedPlan(file, document, plan_from(document))


def _begins_like_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


class _Apply:
    """One `reconcile apply`, until it is clear what may be done."""

    def __init__(
        self, environment: Environment, fleet: Fleet, options: Options, journal: Journal, workplace: Workplace
    ) -> None:
        self.environment, self.fleet, self.options = environment, fleet, options
        self.journal, self.workplace = journal, workplace

    def fresh(self, *, yes: bool, auto: bool) -> Code:
        """Looks, shows the plan, and applies it if it is approved. Raises `CommandError`."""
        shown = self._show_plan()
        if auto:
            return self._automatic(shown)
        if not shown.actions:
            tracker.remember(self.journal, self.environment, shown)
            return self._end(Code.OK if shown.complete else Code.INCOMPLETE)
        if reasons := self._forbidden(shown, ()):
            raise self._refused(shown, reasons)
        if not yes:
            self._ask()
        return self._run("apply").carry_out(shown)

    def saved(self, saved: SavedPlan) -> Code:
        """Applies a saved plan if it is valid and approved. Raises `CommandError`."""
        if saved.document.expiry <= self.journal.latest():
            why = f"{saved.file}: the plan expired at {saved.document.expires} {Message.EXPIRED}"
            raise CommandError(Code.STALE, why, "nothing was done; make a new plan")
        look_with(self.fleet, self.options)
        judged = approvals(self.environment, saved.file, saved.document, self.journal.latest())
        approvers = [each.approver for each in judged if not each.reason]
        if reasons := self._forbidden(saved.plan, approvers):
            raise self._refused(saved.plan, [*reasons, *(each.reason for each in judged if each.reason)])
        return self._run("apply of a saved plan").carry_out(
            saved.plan, approvers, digest=saved.document.digest
        )

    def _automatic(self, shown: Plan) -> Code:
        """What cron runs: what needs nobody's approval is done, the rest waits and is reported."""
        part = policy.automatic(self.environment.policy, shown)
        why = self._forbidden(part, ())
        code = Code.OK if shown.complete else Code.INCOMPLETE
        if not part.actions or why:
            self._end(Code.CHANGES if shown.actions else code)
        else:
            waiting = {action.ref for action in shown.actions} - {action.ref for action in part.actions}
            code = self._run("apply --auto").carry_out(part, waiting=waiting)
        left = self.fleet.plan()
        found = tracker.assess(self.journal, self.environment, left, self.fleet.sight.seen)
        if not self.options.narrowed:
            tracker.watch(self.journal, self.environment, found)
            self._report_waiting(left, why or ["policy does not allow them without"])
        tracker.deliver(self.journal, self.environment, say)
        return Code.CHANGES if code in (Code.OK, Code.INCOMPLETE) and left.actions else code

    def _report_waiting(self, left: Plan, why: Sequence[str]) -> None:
        document = None
        if left.actions:
            document = as_json(plan_document(left, self.environment, self.options, self.workplace))
        lines = list(output_text.plan_lines(left, output_text.Style(colour=False)))
        tracker.ask_for_approval(self.journal, self.environment, document, lines, why)

    def _forbidden(self, plan: Plan, approvers: Collection[str]) -> list[str]:
        now, certificate = self.workplace.clock(), self.environment.certificate
        left = policy.left_of_lifetime(self.fleet.sight.seen, certificate.lifetime, now)
        return policy.forbids(self.environment.policy, plan, approvers, now, left)

    def _refused(self, plan: Plan, reasons: Sequence[str]) -> CommandError:
        body = {
            "who": who(self.environment, self.workplace),
            "reasons": list(reasons),
            "actions": len(plan.actions),
        }
        self.journal.append(0, self.environment.name, "refused", body)
        return CommandError(
            Code.NOT_APPROVED,
            *(f"not approved: {each}" for each in reasons),
            "nothing was done; for approval: `reconcile plan ENV -o FILE`, `approve FILE`, `apply FILE`",
        )

    def _show_plan(self) -> Plan:
        look_with(self.fleet, self.options)
        made = self.fleet.plan()
        if not self.options.json:
            formats.print_plan(made, self.options, Formats(), self.workplace)
        return made

    def _ask(self) -> None:
        if self.options.json:
            raise CommandError(
                Code.NOT_APPROVED, "not approved: --json never asks; use --yes or a saved plan"
            )
        if not self.workplace.is_terminal():
            raise CommandError(
                Code.NOT_APPROVED,
                "not approved: there is no terminal to ask on; review the plan, then use --yes,"
                " or `plan -o FILE` and `apply FILE`",
            )
        if self.workplace.ask("Apply these changes? Only 'yes' will be accepted: ") != "yes":
            raise CommandError(Code.NOT_APPROVED, "not approved; nothing was done")

    def _run(self, command: str) -> Run:
        return Run(
            command=command,
            environment=self.environment,
            fleet=self.fleet,
            options=self.options,
            journal=self.journal,
            workplace=self.workplace,
        )

    def _end(self, code: Code) -> Code:
        return print_end(self.environment, None, code, self.options, self.workplace)


def approvals(
    environment: Environment, file: Path, document: PlanDocument, at: datetime
) -> Sequence[JudgedApproval]:
    """Who has approved a saved plan; and for each approval that does not count, why.

    Raises `CommandError`.
    """
    allowed = environment.policy.allowed_signers
    if allowed is None:
        return ()
    if not Path(allowed).is_file():
        raise CommandError(
            Code.USAGE,
            f"{environment.file}: `policy: allowed_signers` names {allowed}, and there is no such file",
        )
    try:
        found = signatures.read(signatures.beside(file))
        return signatures.judge(found, as_json(document), Path(allowed), at)
    except NoSignature as error:
        raise CommandError(Code.ERROR, str(error)) from None
    except OSError as error:
        raise CommandError(
            Code.ERROR, f"{signatures.beside(file)}: cannot be read ({error.strerror})"
        ) from None
