"""`reconcile apply`: shows a plan, has it approved, and carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reconciler.approval import policy
from reconciler.approval.authors import people
from reconciler.approval.policy import Support
from reconciler.cli import files, formats, team
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    Commands,
    Everything,
    Hosts,
    Json,
    LogFormat,
    NoColor,
    Only,
    Parallel,
    QuietApply,
    Replace,
    Summary,
    Timeout,
    Yes,
)
from reconciler.cli.formats import Formats
from reconciler.cli.hand_over import hand_over
from reconciler.cli.interrupted import Tally, report_interrupted
from reconciler.cli.look import connected, look_with, plan_document
from reconciler.cli.options import Options, say
from reconciler.cli.precedent import precedent
from reconciler.cli.run import Run, print_end, who
from reconciler.cli.saved import (
    SavedPlan,
    approvals,
    check,
    environment_of,
    former_approvals,
    is_plan,
    open_plan,
)
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.environment.settings import Environment
from reconciler.fleet.fleet import Fleet
from reconciler.journal.journal import Journal, NoJournal
from reconciler.model import Plan, quote
from reconciler.monitor import tracker
from reconciler.output import plans
from reconciler.output.declared import declared_lines
from reconciler.output.documents.tasks import Order
from reconciler.output.text import Style


def apply(
    context: typer.Context,
    env: Annotated[str, typer.Argument(metavar="ENV|PLAN", help="An environment, or a saved plan.")],
    yes: Yes = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="Do what the policy allows without approval; report the rest.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--env",
            metavar="ENV",
            help="The environment to apply PLAN by; by default environments/NAME.yaml of its name.",
        ),
    ] = None,
    host: Hosts = None,
    only: Only = None,
    replace: Replace = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    summary: Summary = False,
    commands: Commands = False,
    verbose: Everything = 0,
    quiet: QuietApply = False,
    log_format: LogFormat = "text",
) -> int:
    """Returns an exit code of the contract. Raises `CommandError`."""
    options = Options(
        host=host, only=only, replace=replace, json=json, parallel=parallel, timeout=timeout,
        no_color=no_color, verbose=verbose, summary=summary, commands=commands, quiet=quiet,
        log_format=log_format,
    )  # fmt: skip
    return apply_with(env, options, context.obj, yes=yes, auto=auto, by=by)


def apply_with(
    env: str,
    options: Options,
    workplace: Workplace,
    *,
    yes: bool = False,
    auto: bool = False,
    by: str | None = None,
    order: Order | None = None,
) -> int:
    """Applies an environment or a saved plan; see `apply`. With an `order` it is a plan that this site was
    asked to carry out: it has to be signed, whatever the policy. Raises `CommandError`."""
    saved = open_plan(Path(env)) if is_plan(Path(env)) else None
    if saved:
        options = replace(options, **as_json(saved.document.scope))
        if order and order.digest != saved.document.digest:
            raise CommandError(Code.STALE, f"{env}: it is another plan now; nothing was done")
        environment = environment_of(saved, by, workplace)
        if (code := hand_over(saved, environment, options, workplace)) is not None:
            return code
    elif by is not None:
        raise CommandError(Code.USAGE, f"--env is for a saved plan, and {env} is none")
    else:
        environment = open_environment(env, workplace)
    resources = select(environment, options, workplace)
    tally = Tally()
    try:
        with (
            workplace.journal(workplace.clock, True) as journal,
            connected(
                environment,
                resources,
                options,
                workplace,
                tally.hear,
                team.records(environment, workplace),
                stays=True,
            ) as fleet,
        ):
            report_interrupted(journal, environment)
            one = _Apply(environment, fleet, options, journal, workplace, order)
            return one.saved(saved) if saved else one.fresh(yes=yes, auto=auto)
    except NoJournal as error:
        more = "no further action was started; see what was done with `reconcile plan`"
        raise CommandError(Code.LOCAL, str(error), more) from None
    except KeyboardInterrupt:
        named = quote(environment.file if saved else env)
        raise CommandError(Code.INTERRUPTED, *tally.lines(named)) from None


class _Apply:
    """One `reconcile apply`, until it is clear what may be done."""

    def __init__(
        self,
        environment: Environment,
        fleet: Fleet,
        options: Options,
        journal: Journal,
        workplace: Workplace,
        order: Order | None = None,
    ) -> None:
        self.environment, self.fleet, self.options = environment, fleet, options
        self.journal, self.workplace, self.order = journal, workplace, order
        self.newest_entry = journal.head()[0]
        self.precedent = precedent(journal, environment, list(fleet.resources.values()))

    def fresh(self, *, yes: bool, auto: bool) -> Code:
        """Looks, shows the plan, and applies it if it is approved. Raises `CommandError`."""
        shown = self._show_plan(asks=not (yes or auto))
        if auto:
            return self._automatic(shown)
        if not shown.actions and not self.precedent.declared:
            found = tracker.assess(self.journal, self.environment, shown, self.fleet.sight.seen)
            if self.options.whole:
                sight = self.fleet.sight
                tracker.keep_look(self.journal, self.environment, found, sight, self.newest_entry)
            return self._end(Code.OK if shown.complete else Code.INCOMPLETE)
        if reasons := self._forbidden(shown, self._support(0)):
            raise self._refused(shown, reasons)
        if not yes:
            self._ask()
        return self._run("apply").carry_out(shown)

    def saved(self, saved: SavedPlan) -> Code:
        """Applies a saved plan if it is valid and approved. Raises `CommandError`."""
        now = self.journal.latest()
        check(saved, self.environment, self.precedent, now)
        look_with(self.fleet, self.environment, self.options, self.workplace)
        judged = approvals(self.environment, saved, now)
        former = former_approvals(self.environment, saved, self.precedent, self.journal, now)
        asked = [judged] if self.environment.policy.approvers else []
        asked += [] if former is None else [former]
        counts = [people(each for each in some if not each.reason) for some in asked]
        everyone = [*judged, *(former or ())]
        if reasons := self._forbidden(saved.plan, self._support(min(counts, default=0))):
            why_not = dict.fromkeys(each.reason for each in everyone if each.reason)
            raise self._refused(saved.plan, [*reasons, *why_not])
        approvers = dict.fromkeys(each.approver for each in everyone if not each.reason)
        if self.order and not approvers:
            why = "what is carried out at a site from elsewhere has to be signed (`policy: allowed_signers`)"
            raise self._refused(saved.plan, [why])
        return self._run("apply of a saved plan").carry_out(
            saved.plan, list(approvers), digest=saved.document.digest
        )

    def _automatic(self, shown: Plan) -> Code:
        """What cron runs: what needs nobody's approval is done, the rest waits and is reported."""
        rules, declared = self.environment.policy, self.precedent.declared
        part = policy.automatic(rules, shown, self.precedent.known)
        if self.precedent.policy_changes:
            # What may run by itself is for the policy that was approved to say, not for another.
            part = replace(part, actions=())
        why = self._forbidden(part, Support(needed=rules.approvers, known=self.precedent.known))
        code = Code.OK if shown.complete else Code.INCOMPLETE
        looked: int | None = None
        if not part.actions or why:
            looked = self.newest_entry
            self._end(Code.CHANGES if shown.actions or declared else code)
        else:
            waiting = {action.ref for action in shown.actions} - {action.ref for action in part.actions}
            code = self._run("apply --auto").carry_out(part, waiting=waiting)
        left = self.fleet.plan()
        found = tracker.assess(self.journal, self.environment, left, self.fleet.sight.seen)
        if not self.options.narrowed:
            tracker.keep_look(self.journal, self.environment, found, self.fleet.sight, looked)
            coming = tracker.to_come(self.journal, self.environment)
            tracker.watch(self.journal, self.environment, [*found, *coming])
            self._report_waiting(left, why or self._why_waiting(left))
        tracker.deliver(self.journal, self.environment, say)
        return Code.CHANGES if code in (Code.OK, Code.INCOMPLETE) and (left.actions or declared) else code

    def _why_waiting(self, left: Plan) -> list[str]:
        if changes := self.precedent.policy_changes:
            return [f"the policy is not the one last approved here ({', '.join(changes)})"]
        if new := policy.without_precedent(self.environment.policy, left, self.precedent.known):
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            return [f"the settings of {new[0]}{more} have not been approved before"]
        return ["policy does not allow them without"]

    def _support(self, approvers: int) -> Support:
        needed = max(self.environment.policy.approvers, self.precedent.former_approvers)
        return Support(approvers, needed, self.precedent.known, len(self.precedent.declared))

    def _report_waiting(self, left: Plan, why: Sequence[str]) -> None:
        document, declared = None, self.precedent.declared
        if left.actions or declared:
            made = plan_document(left, self.environment, self.options, self.workplace, declared)
            document = as_json(made)
        shown = plans.PlanText(style=Style(colour=False))
        lines = [*plans.plan_lines(left, shown), *declared_lines(declared)]
        tracker.ask_for_approval(self.journal, self.environment, document, lines, why)

    def _forbidden(self, plan: Plan, support: Support) -> list[str]:
        now = self.workplace.clock()
        left = policy.left_of_lifetime(self.fleet.sight.seen, self.environment.lifetime_of, now)
        return policy.forbids(self.environment.policy, plan, support, now, left)

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

    def _show_plan(self, *, asks: bool) -> Plan:
        look_with(self.fleet, self.environment, self.options, self.workplace)
        made = self.fleet.plan()
        rules, declared = self.environment.policy, self.precedent.declared
        if self.options.quiet and not (asks or self.options.json):
            shown = formats.plan_text(made, self.options, self.workplace)
            files.print_lines([*plans.wrong_lines(made, shown), *declared_lines(declared)])
        elif not self.options.json:
            formats.print_plan(made, self.options, Formats(), self.workplace, rules, declared, asks=asks)
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
        try:
            answer = self.workplace.ask("Apply these changes? Only 'yes' will be accepted: ")
        except KeyboardInterrupt:
            print()  # what is said next begins a line of its own
            raise
        if answer != "yes":
            raise CommandError(Code.NOT_APPROVED, "not approved; nothing was done")

    def _run(self, command: str) -> Run:
        return Run(
            command=command,
            environment=self.environment,
            fleet=self.fleet,
            options=self.options,
            journal=self.journal,
            workplace=self.workplace,
            precedent=self.precedent,
            order=self.order,
        )

    def _end(self, code: Code) -> Code:
        return print_end(self.environment, None, code, self.options, self.workplace)
