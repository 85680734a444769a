"""`reconcile apply`: shown, approved, carried out, told."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from reconciler import approval, documents, executor, report, session
from reconciler.declared import Environment
from reconciler.executor import Report
from reconciler.look import Fleet
from reconciler.model import Plan
from reconciler.replies import HostError, Locked
from reconciler.session import Code, Options, Stop


def apply(env: str, options: Options, *, yes: bool) -> int:
    """`reconcile apply`: see the exit codes of the contract."""
    saved: Plan | None = None
    if env.endswith(".json") or (Path(env).is_file() and _begins_like_json(Path(env))):
        document = session.read(Path(env))
        saved = session.saved_plan(Path(env), document)
        env = str(document["file"])
        options = replace(options, **document["scope"])
    environment = session.open_environment(env)
    resources = session.chosen(environment, options)
    with session.fleet_of(environment, resources, options) as fleet:
        return _Apply(environment, fleet, options).run(saved, yes)


def _begins_like_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


class _Apply:
    """One `reconcile apply`, from the first look to the report."""

    def __init__(self, environment: Environment, fleet: Fleet, options: Options) -> None:
        self.environment, self.fleet, self.options = environment, fleet, options

    def run(self, saved: Plan | None, yes: bool) -> int:
        if saved is not None:
            session.look(self.fleet, self.options)
            return self._carry_out(saved)
        shown = self._shown()
        if not shown.actions:
            return self._end(None, Code.OK if shown.complete else Code.INCOMPLETE)
        if not yes:
            self._ask()
        return self._carry_out(shown)

    def _shown(self) -> Plan:
        session.look(self.fleet, self.options)
        made = self.fleet.plan()
        if not self.options.json:
            session.print_lines(report.plan_lines(made, self.options.paper))
        return made

    def _ask(self) -> None:
        if self.options.json:
            raise Stop(
                Code.NOT_APPROVED, "not approved: with --json nothing is asked; use --yes or a saved plan"
            )
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise Stop(
                Code.NOT_APPROVED,
                "not approved: there is no terminal to ask on; look at the plan, then use --yes,"
                " or `plan -o FILE` and `apply FILE`",
            )
        print("Carry this out? Only `yes` is taken for an answer: ", end="", flush=True)
        if sys.stdin.readline().strip() != "yes":
            raise Stop(Code.NOT_APPROVED, "not approved; nothing was done")

    def _carry_out(self, approved: Plan) -> int:
        try:
            self.fleet.lock(self._who())
        except Locked as error:
            raise Stop(
                Code.LOCKED,
                f"{error.host} is locked: {error.reason}",
                "wait until that run has ended; nothing was done",
            ) from None
        except HostError as error:
            raise Stop(Code.FAILED, f"{error.host}: {error.reason}", "nothing was done") from None
        self.fleet.look()
        changed = approval.changes_since(approved, self.fleet.plan())
        if changed:
            raise Stop(Code.STALE, *self._stale(changed), "nothing was done; make a new plan")
        try:
            result = executor.apply(self.fleet, approved)
        except approval.Stale as stale:
            code = Code.STALE
            if stale.report:
                code = self._end(stale.report, Code.NEITHER if stale.report.neither else Code.FAILED)
            raise Stop(code, *self._stale(stale.lines), "make a new plan") from None
        return self._end(result, self._code(result))

    @staticmethod
    def _stale(lines: list[str]) -> list[str]:
        return ["the plan is stale:", *(f"  {report.printable(line)}" for line in lines)]

    def _who(self) -> str:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return (
            f"{getpass.getuser()} on {socket.gethostname()} (process {os.getpid()}),"
            f" since {now}, for {self.environment.name}"
        )

    @staticmethod
    def _code(result: Report) -> Code:
        results = {each.result for each in result.outcomes}
        if result.neither:
            return Code.NEITHER
        if results & {"failed", "unsettled", "lost"} or any(action.blocked for action in result.left.actions):
            return Code.FAILED
        return Code.OK if result.left.complete and not result.left.actions else Code.INCOMPLETE

    def _end(self, result: Report | None, code: Code) -> Code:
        if self.options.json:
            session.print_json(documents.apply_document(self.environment.name, result, code=code))
        elif result is not None:
            session.print_lines(report.outcome_lines(result, self.options.paper))
        return code
