"""One run of apply: recorded in the journal from before the first lock to its end."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from reconciler.approval import binding
from reconciler.blueprint.managed import managed
from reconciler.cli import files, formats, leaving, team
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.look import origin, plan_document
from reconciler.cli.options import Options, say
from reconciler.cli.precedent import Precedent, keep_signers
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.environment.settings import Environment
from reconciler.fleet import apply as executor
from reconciler.fleet.fence import Fence, Outdated
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.reply import HostError, Locked
from reconciler.fleet.report import Report
from reconciler.journal.journal import Journal
from reconciler.journal.leaving import new_run
from reconciler.journal.record import RunRecord
from reconciler.journal.tasks import Entries, goes_on, runs_of
from reconciler.messages import Message
from reconciler.model import Plan, Ref, quote
from reconciler.monitor import delivery, notices, tracker
from reconciler.output import text
from reconciler.output.documents.results import apply_document
from reconciler.output.documents.tasks import Order
from reconciler.output.progress import duration
from reconciler.plan.order import edges
from reconciler.printable import printable


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is done under one number of the journal."""

    command: str
    environment: Environment
    fleet: Fleet
    options: Options
    journal: Journal
    workplace: Workplace
    precedent: Precedent
    order: Order | None = None
    """The task that asked for it, where one did."""

    def carry_out(
        self,
        approved: Plan,
        approvers: Collection[str] = (),
        waiting: Collection[Ref] = (),
        digest: str | None = None,
    ) -> Code:
        """Locks the hosts, checks that the plan still holds, and applies it; `waiting` is left alone.
        `digest` is a saved plan's, for the journal: a document made now would have another.

        Raises `CommandError`, and `NoJournal` where the run cannot be recorded.
        """
        name, began = self.environment.name, self.workplace.clock()
        begun = self._begun(approved, approvers, digest)
        number = self.journal.begin(name, begun, self.environment.text)
        lines = leaving.run_lines(self.fleet, number, begun, approved, self.workplace)
        ended: dict[str, Any] = {}
        try:
            code = self._locked(approved, RunRecord(self.journal, number, name, lines), waiting, ended)
        except CommandError as error:
            self.journal.end(number, name, {"code": int(error.code), "lines": list(error.lines), **ended})
            leaving.close(self.fleet, lines, error.code)
            raise
        if self.command != "apply --auto" and (news := self.precedent.to_record()):
            keep_signers(self.journal, self.environment)
            ended["approved"] = news
        self.journal.end(number, name, {"code": int(code), **ended})
        leaving.close(self.fleet, lines, code)
        if not (self.options.quiet or self.options.json):
            took = (self.workplace.clock() - began).total_seconds()
            left = (
                "" if code == Code.OK else f", `reconcile plan {quote(self.environment.file)}` what is left"
            )
            say(f"run {number} took {duration(took)}; `reconcile history {number}` says what it did{left}")
        team.keep(self.fleet, self.environment, self.workplace)
        found = tracker.assess(self.journal, self.environment, self.fleet.plan(), self.fleet.sight.seen)
        if self.options.whole:
            tracker.keep_look(self.journal, self.environment, found, self.fleet.sight)
        if self.command == "apply --auto":
            did = [f"{action.verb} {action.ref}" for action in approved.actions]
            notice = notices.run(self.environment, number, did, code)
            delivery.post(self.journal, self.environment, notice)
        return code

    def _begun(self, approved: Plan, approvers: Collection[str], digest: str | None) -> dict[str, Any]:
        if digest is None:
            declared = self.precedent.declared
            digest = plan_document(approved, self.environment, self.options, self.workplace, declared).digest
        return {
            "id": new_run(),
            **({"task": self.order.task} if self.order else {}),
            "command": self.command,
            "who": who(self.environment, self.workplace),
            "approvers": sorted(set(approvers)),
            "file": self.environment.file,
            "commit": origin(self.environment).commit,
            "digest": digest,
            "actions": len(approved.actions),
        }

    def _locked(
        self, approved: Plan, run: RunRecord, waiting: Collection[Ref], ended: dict[str, Any]
    ) -> Code:
        silent = dict(self.fleet.sight.unreachable)
        hosts = self._lock()
        self._take_numbers(hosts)
        seen = self.fleet.settle()
        at_once = {each.name: each.at_once for each in managed(self.environment)}
        run.record_lock(hosts, seen, self.fleet.resources.values(), at_once)
        # A host that died since it was looked at, a moment ago, keeps the others from nothing.
        lost = {host: why for host, why in seen.unreachable.items() if host not in silent}
        now = self._without(waiting)
        if lost:
            before = edges(self.fleet.resources.values(), seen.seen)
            approved = binding.without_lost(approved, now, lost, before)
        # What another run has begun is judged as between two of its rounds.
        changed = (
            binding.disallowed(approved, now, ())
            if goes_on(self._earlier)
            else binding.changes_since(approved, now)
        )
        if changed:
            raise CommandError(Code.STALE, *_stale(changed), "nothing was done; make a new plan")
        try:
            result = executor.apply(self.fleet, approved, run, waiting)
        except binding.Stale as stale:
            code = Code.STALE
            if stale.report:
                ended |= as_json(apply_document(self.environment.name, stale.report, code=code))
                code = self._end(stale.report, Code.PARTIAL if stale.report.partial else Code.FAILED)
            raise CommandError(code, *_stale(stale.lines), "make a new plan") from None
        code = _code(result, waiting)
        ended |= as_json(apply_document(self.environment.name, result, code=code))
        return self._end(result, code)

    def _lock(self) -> list[str]:
        try:
            return self.fleet.lock(who(self.environment, self.workplace))
        except Locked as error:
            raise CommandError(
                Code.LOCKED,
                f"{error.host} is locked {Message.LOCKED}: {error.reason}",
                "wait until that run has ended; nothing was done",
            ) from None
        except HostError as error:
            raise CommandError(Code.FAILED, f"{error.host}: {error.reason}", "nothing was done") from None

    @property
    def _earlier(self) -> list[Entries]:
        """The runs for the same task; that which has just begun has not acted."""
        return runs_of(self.journal, self.environment.name, self.order.task) if self.order else []

    def _take_numbers(self, hosts: Collection[str]) -> None:
        """Has the hosts remember the number of the task, where it has one. Raises `CommandError` where a
        later one has acted there, or a host cannot."""
        if not self.order or not self.order.epoch:
            return
        fence = Fence(self.environment.name, self.order.task, self.order.epoch, self.order.number)
        try:
            self.fleet.each(hosts, fence.script(), fence.check)
        except Outdated as error:
            raise CommandError(Code.STALE, error.line, "nothing was done") from None
        except HostError as error:
            raise CommandError(Code.FAILED, f"{error.host}: {error.reason}", "nothing was done") from None

    def _without(self, waiting: Collection[Ref]) -> Plan:
        plan = self.fleet.plan()
        return replace(plan, actions=tuple(each for each in plan.actions if each.ref not in waiting))

    def _end(self, result: Report, code: Code) -> Code:
        return print_end(self.environment, result, code, self.options, self.workplace)


def who(environment: Environment, workplace: Workplace) -> str:
    """Who runs this, where, since when and for what; written into locks and the journal."""
    now = workplace.clock().isoformat(timespec="seconds")
    return (
        f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}),"
        f" since {now}, for {environment.name}"
    )


def print_end(
    environment: Environment, result: Report | None, code: Code, options: Options, workplace: Workplace
) -> Code:
    """Prints what a run did; None where there was nothing to do. Returns the code."""
    if options.json:
        files.print_json(apply_document(environment.name, result, code=code))
    elif result is not None:
        lines = list(text.outcome_lines(result, formats.style(options, workplace)))
        files.print_lines(lines[:-1] if options.quiet else lines)  # the last is the count
    return code


def _stale(lines: list[str]) -> list[str]:
    return [f"the plan is stale {Message.STALE}:", *(f"  {printable(line)}" for line in lines)]


def _code(result: Report, waiting: Collection[Ref]) -> Code:
    results = {each.result for each in result.outcomes}
    if result.partial:
        return Code.PARTIAL
    left = [action for action in result.left.actions if action.ref not in waiting]
    if results & {"failed", "unsettled", "lost"} or any(action.blocked for action in left):
        return Code.FAILED
    if not result.left.complete or left:
        return Code.INCOMPLETE
    return Code.CHANGES if result.left.actions else Code.OK
