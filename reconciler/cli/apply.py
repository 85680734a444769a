"""`reconcile apply`: shown, approved, carried out, told."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.approval import binding, policy
from reconciler.cli import approve, session
from reconciler.cli.session import Code, CommandError, Options
from reconciler.clock import utc_now
from reconciler.environment.settings import Environment
from reconciler.fleet import apply as executor
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.reply import HostError, Locked
from reconciler.journal.journal import Journal, NoJournal, RunRecord
from reconciler.messages import Message
from reconciler.model import Plan, Ref, Report
from reconciler.monitor import delivery, notices, tracker
from reconciler.output import documents
from reconciler.output import text as report


@dataclass(frozen=True)
class Saved:
    """A plan that was saved, and where it lies."""

    file: Path
    document: Mapping[str, Any]
    plan: Plan


def apply(env: str, options: Options, *, yes: bool, auto: bool = False) -> int:
    """`reconcile apply`: see the exit codes of the contract."""
    saved: Saved | None = None
    if env.endswith(".json") or (Path(env).is_file() and _begins_like_json(Path(env))):
        saved = _saved(Path(env))
        env = str(saved.document["file"])
        options = replace(options, **saved.document["scope"])
    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    try:
        with Journal() as journal, session.fleet_of(environment, resources, options) as fleet:
            session.explain(journal, environment, options)
            return _Apply(environment, fleet, options, journal).run(saved, yes=yes, auto=auto)
    except NoJournal as error:
        more = "nothing more was begun; see how far it came with `reconcile plan`"
        raise CommandError(Code.ERROR, str(error), more) from None


def _saved(file: Path) -> Saved:
    document = session.read(file)
    try:
        return Saved(file, document, documents.plan_from(document))
    except documents.Tampered as error:
        raise CommandError(Code.NOT_APPROVED, f"{file}: {error}", "nothing was done") from None
    except documents.NotADocument as error:
        raise CommandError(Code.USAGE, f"{file}: {error}") from None


def _begins_like_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


class _Apply:
    """One `reconcile apply`, from the first look to the report."""

    def __init__(self, environment: Environment, fleet: Fleet, options: Options, journal: Journal) -> None:
        self.environment, self.fleet, self.options = environment, fleet, options
        self.journal = journal

    def run(self, saved: Saved | None, *, yes: bool, auto: bool) -> int:
        if saved is not None:
            return self._run_saved(saved)
        shown = self._shown()
        if auto:
            return self._run_what_may_be(shown)
        if not shown.actions:
            tracker.remember(self.journal, self.environment, shown)
            return self._end(None, Code.OK if shown.complete else Code.INCOMPLETE)
        if reasons := self._forbidden(shown, ()):
            raise self._refused(shown, reasons)
        if not yes:
            self._ask()
        return self._carry_out(shown, "apply")

    def _run_saved(self, saved: Saved) -> int:
        if session.expiry(saved.document) <= self.journal.latest():
            why = f"{saved.file}: the plan expired at {saved.document.get('expires')} {Message.EXPIRED}"
            raise CommandError(Code.STALE, why, "nothing was done; make a new plan")
        session.look(self.fleet, self.options)
        at = self.journal.latest()
        judged = approve.approvals(self.environment, saved.file, saved.document, at)
        approvers = [each.approver for each in judged if not each.reason]
        if reasons := self._forbidden(saved.plan, approvers):
            raise self._refused(saved.plan, [*reasons, *(each.reason for each in judged if each.reason)])
        return self._carry_out(saved.plan, "apply of a saved plan", approvers)

    def _run_what_may_be(self, shown: Plan) -> int:
        """What cron runs: what needs nobody's approval is done, the rest waits and is told."""
        part = policy.automatic(self.environment.policy, shown)
        why = self._forbidden(part, ())
        code = Code.OK if shown.complete else Code.INCOMPLETE
        if not part.actions or why:
            self._end(None, Code.CHANGES if shown.actions else code)
        else:
            waiting = {action.ref for action in shown.actions} - {action.ref for action in part.actions}
            code = self._carry_out(part, "apply --auto", waiting=waiting)
        left = self.fleet.plan()
        found = tracker.judged(self.journal, self.environment, left, self.fleet.sight.seen)
        if not self.options.narrowed:
            tracker.watch(self.journal, self.environment, found)
            self._tell_what_waits(left, why or ["policy does not allow them without"])
        tracker.deliver(self.journal, self.environment, self.options.say)
        return Code.CHANGES if code in (Code.OK, Code.INCOMPLETE) and left.actions else code

    def _tell_what_waits(self, left: Plan, why: Sequence[str]) -> None:
        document = session.document_of(left, self.environment, self.options) if left.actions else None
        lines = list(report.plan_lines(left, report.Style(colour=False)))
        tracker.ask_for_approval(self.journal, self.environment, document, lines, why)

    def _forbidden(self, plan: Plan, approvers: Collection[str]) -> list[str]:
        certificate = self.environment.certificate
        left = policy.left_of_lifetime(self.fleet.sight.seen, certificate.lifetime, utc_now())
        return policy.forbids(self.environment.policy, plan, approvers, utc_now(), left)

    def _refused(self, plan: Plan, reasons: Sequence[str]) -> CommandError:
        body = {"who": self._who(), "reasons": list(reasons), "actions": len(plan.actions)}
        self.journal.append(0, self.environment.name, "refused", body)
        return CommandError(
            Code.NOT_APPROVED,
            *(f"not approved: {each}" for each in reasons),
            "nothing was done; for an approval: `reconcile plan ENV -o FILE`, `approve FILE`, `apply FILE`",
        )

    def _shown(self) -> Plan:
        session.look(self.fleet, self.options)
        made = self.fleet.plan()
        if not self.options.json:
            session.print_lines(report.plan_lines(made, self.options.paper))
        return made

    def _ask(self) -> None:
        if self.options.json:
            raise CommandError(
                Code.NOT_APPROVED, "not approved: with --json nothing is asked; use --yes or a saved plan"
            )
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise CommandError(
                Code.NOT_APPROVED,
                "not approved: there is no terminal to ask on; look at the plan, then use --yes,"
                " or `plan -o FILE` and `apply FILE`",
            )
        print("Carry this out? Only `yes` is taken for an answer: ", end="", flush=True)
        if sys.stdin.readline().strip() != "yes":
            raise CommandError(Code.NOT_APPROVED, "not approved; nothing was done")

    def _carry_out(
        self, approved: Plan, command: str, approvers: Collection[str] = (), waiting: Collection[Ref] = ()
    ) -> Code:
        """Records the run, from before the first lock to how it ended."""
        name = self.environment.name
        number = self.journal.begin(name, self._begun(approved, command, approvers), self._text())
        ended: dict[str, Any] = {}
        try:
            code = self._locked(approved, RunRecord(self.journal, number, name), waiting, ended)
        except CommandError as stop:
            self.journal.end(number, name, {"code": int(stop.code), "lines": list(stop.lines), **ended})
            raise
        self.journal.end(number, name, {"code": int(code), **ended})
        tracker.remember(self.journal, self.environment, self.fleet.plan())
        if command == "apply --auto":
            lines = [f"{action.verb} {action.ref}" for action in approved.actions]
            notice = notices.run(self.environment, number, lines, code)
            delivery.post(self.journal, self.environment, notice)
        return code

    def _begun(self, approved: Plan, command: str, approvers: Collection[str]) -> dict[str, Any]:
        document = session.document_of(approved, self.environment, self.options)
        return {
            "command": command,
            "who": self._who(),
            "approvers": sorted(set(approvers)),
            "file": self.environment.file,
            "commit": document["commit"],
            "digest": document["digest"],
            "actions": len(approved.actions),
        }

    def _text(self) -> bytes:
        """The environment file as it is now, if it is still the one that was read."""
        try:
            text = Path(self.environment.file).read_bytes()
        except OSError:
            return b""
        return text if hashlib.sha256(text).hexdigest() == self.environment.digest else b""

    def _locked(
        self, approved: Plan, run: RunRecord, waiting: Collection[Ref], ended: dict[str, Any]
    ) -> Code:
        try:
            self.fleet.lock(self._who())
        except Locked as error:
            raise CommandError(
                Code.LOCKED,
                f"{error.host} is locked {Message.LOCKED}: {error.reason}",
                "wait until that run has ended; nothing was done",
            ) from None
        except HostError as error:
            raise CommandError(Code.FAILED, f"{error.host}: {error.reason}", "nothing was done") from None
        self.fleet.look()
        changed = binding.changes_since(approved, self._without(waiting))
        if changed:
            raise CommandError(Code.STALE, *self._stale(changed), "nothing was done; make a new plan")
        try:
            result = executor.apply(self.fleet, approved, run, waiting)
        except binding.Stale as stale:
            code = Code.STALE
            if stale.report:
                ended |= documents.apply_document(self.environment.name, stale.report, code=code)
                code = self._end(stale.report, Code.PARTIAL if stale.report.partial else Code.FAILED)
            raise CommandError(code, *self._stale(stale.lines), "make a new plan") from None
        code = self._code(result, waiting)
        ended |= documents.apply_document(self.environment.name, result, code=code)
        return self._end(result, code)

    def _without(self, waiting: Collection[Ref]) -> Plan:
        plan = self.fleet.plan()
        return replace(plan, actions=tuple(each for each in plan.actions if each.ref not in waiting))

    @staticmethod
    def _stale(lines: list[str]) -> list[str]:
        return [f"the plan is stale {Message.STALE}:", *(f"  {report.printable(line)}" for line in lines)]

    def _who(self) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return (
            f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}),"
            f" since {now}, for {self.environment.name}"
        )

    @staticmethod
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

    def _end(self, result: Report | None, code: Code) -> Code:
        if self.options.json:
            session.print_json(documents.apply_document(self.environment.name, result, code=code))
        elif result is not None:
            session.print_lines(report.outcome_lines(result, self.options.paper))
        return code
