"""`reconcile worker`: does at a site what is asked for elsewhere, by its own copies of all that it needs."""

from __future__ import annotations

import json as parser
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import files
from reconciler.cli.apply import apply_with
from reconciler.cli.contents import SITE
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Env, Json
from reconciler.cli.observe import observe_with
from reconciler.cli.options import Options, say
from reconciler.cli.saved import SavedPlan, open_plan
from reconciler.cli.selection import open_environment, select
from reconciler.cli.stderr import taken, write
from reconciler.cli.tasks import stream
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.journal.journal import NoJournal
from reconciler.journal.tasks import acting, end_of, runs_of
from reconciler.output.documents.results import apply_from
from reconciler.output.documents.tasks import AnswerDocument, Order, TaskDocument, answer, read_task

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment, Nats
    from reconciler.fleet.stream import Delivered


def worker(
    context: typer.Context,
    env: Env,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="JSON", help="Do this one task, print the answer, and end."),
    ] = None,
    json: Json = False,
) -> int:
    """Returns what the task has ended with, where one is given; else only once it is interrupted. Raises
    `CommandError`."""
    workplace: Workplace = context.obj
    site = os.environ.get(SITE, "")
    environment = open_environment(env, workplace)
    if site not in environment.sites:
        known = ", ".join(sorted(environment.sites)) or "none"
        why = f"{SITE}={site}: {environment.file} has no such site (there: {known})" if site else (
            f"set {SITE} to the site that this machine is at ({known})"
        )  # fmt: skip
        raise CommandError(Code.USAGE, why)
    here = Worker(env, site, workplace)
    if task is not None:
        given = _given(task)
        done = here.do(given) or busy(given)
        files.print_json(done)
        return done.exit_code
    if environment.nats is None:
        raise CommandError(
            Code.USAGE, f"{environment.file}: a worker takes its tasks from a stream: set `nats:`"
        )
    _take_tasks(here, environment.nats, f"{environment.name}.{site}", shown=json)
    return Code.OK


def _take_tasks(here: Worker, nats: Nats, subject: str, shown: bool) -> None:
    """Does what comes by the stream, until it is interrupted; each answer is printed where it is `shown`.
    Raises `CommandError`."""
    door = stream()
    say(f"the worker of the site {here.site} takes tasks from {', '.join(nats.servers)}")

    def handle(delivery: Delivered) -> tuple[str, bytes] | None:
        found = read_task(door.unpacked(delivery.data))
        done = here.do(found, delivery.epoch, delivery.number)
        if done is None:
            return None
        if shown:
            files.print_json(done)
        data = door.packed(as_json(done))
        if len(data) > delivery.limit:
            why = f"its answer has {len(data)} bytes, and the server's `max_payload` is {delivery.limit}"
            data = door.packed(as_json(answer(found, done.exit_code, [*done.lines, why])))
        return found.id, data

    try:
        door.serve(nats, subject, handle, say)
    except door.StreamError as error:
        raise CommandError(Code.LOCAL, str(error)) from None


def busy(task: TaskDocument) -> AnswerDocument:
    """The answer where another run is at it, and nobody tries again."""
    return answer(
        task, Code.LOCKED, ["another run is at it, or has one of its hosts locked; nothing was done"]
    )


def _given(text: str) -> TaskDocument:
    try:
        return read_task(parser.loads(text))
    except (ValueError, RecursionError) as error:
        raise CommandError(Code.USAGE, f"--task: {error}") from None


@dataclass(frozen=True)
class Worker:
    """A machine at a site. `env` names its copy of the environment, which is read anew for each task."""

    env: str
    site: str
    workplace: Workplace

    def do(self, task: TaskDocument, epoch: int = 0, number: int = 0) -> AnswerDocument | None:
        """Does what a task says, and answers; None where another run stands in the way, so that it can be
        tried again. What was carried out before is not again: the journal has the answer. For `epoch` and
        `number`, see `Order`."""
        lines: list[str] = []

        def take(line: str, error: bool) -> None:
            lines.append(line)
            write(f"{line}\n")

        order = Order(task.id, task.digest, epoch, number)
        with taken(take):
            say(f"task {task.id}: {task.do} {', '.join(task.hosts[:5])}{' …' if len(task.hosts) > 5 else ''}")
            lines.clear()
            try:
                return self._done(task, order, lines)
            except CommandError as error:
                for line in error.lines:
                    say(line)
                return None if self._again(task, error.code) else self._answered(task, error.code, lines)
            except NoJournal as error:
                return answer(task, Code.LOCAL, [*lines, str(error)])
            except Exception as error:  # noqa: BLE001 - it would end each worker that is given this task
                from reconciler.cli import unexpected

                return answer(task, unexpected.report(error, ["worker", self.env]), lines)

    def _done(self, task: TaskDocument, order: Order, lines: Sequence[str]) -> AnswerDocument | None:
        environment = self._checked(task)
        if task.do == "observe":
            self._begins(task)
            if environment.digest != task.digest:
                here = f"its copy of the environment, {environment.file}, is another (SHA-256"
                raise CommandError(
                    Code.STALE, f"{here} {environment.digest[:12]}…); bring both to the same commit"
                )
            seen, document = observe_with(environment, Options(host=task.hosts, quiet=True), self.workplace)
            code = Code.INCOMPLETE if seen.unreachable else Code.OK
            return answer(task, code, lines, observation=document)
        return self._carry_out(task, order, environment, lines)

    def _checked(self, task: TaskDocument) -> Environment:
        """This machine's copy of the environment, which the task is of. Raises `CommandError`."""
        environment = open_environment(self.env, self.workplace)
        if (task.environment, task.site) != (environment.name, self.site):
            mine = f"{environment.name}.{self.site}"
            raise CommandError(Code.USAGE, f"the task is for {task.environment}.{task.site}; here is {mine}")
        mine_too = {host.name for host in environment.all_hosts if host.site == self.site}
        if others := sorted(set(task.hosts) - mine_too):
            raise CommandError(Code.USAGE, f"{', '.join(others)}: not at the site {self.site}")
        return environment

    def _begins(self, task: TaskDocument) -> None:
        if self.workplace.clock() >= task.expiry:
            why = f"the task was not to be begun after {task.expires}"
            raise CommandError(Code.STALE, why, "nothing was done")

    def _plan(self, task: TaskDocument, environment: Environment) -> SavedPlan:
        """This machine's copy of the plan that a task names. Raises `CommandError`."""
        folder = Path(environment.file).parent / (environment.sites[self.site].plans or "")
        if environment.sites[self.site].plans is None:
            why = f"`sites: {self.site}: plans` names no folder; nothing is done here from elsewhere"
            raise CommandError(Code.NOT_APPROVED, why)
        for path in sorted(folder.glob("*.json")):
            with suppress(CommandError):
                found = files.read(path)
                if isinstance(found, dict) and found.get("digest") == task.digest:
                    break
        else:
            raise CommandError(Code.NOT_APPROVED, f"{folder} has no plan {task.digest}; bring it there")
        saved = open_plan(path)
        scope = Options(**as_json(saved.document.scope))
        if scope.rollback:
            raise CommandError(Code.USAGE, f"{path}: it undoes a run that another machine has numbered")
        if {each.host for each in select(environment, scope, self.workplace)} != set(task.hosts):
            raise CommandError(Code.USAGE, f"{path}: it is of other hosts than the task")
        return saved

    def _carry_out(
        self, task: TaskDocument, order: Order, environment: Environment, lines: Sequence[str]
    ) -> AnswerDocument | None:
        """Carries out a plan, but not where a run for this task has acted: then the journal answers, or,
        while that run is still on, nobody yet."""
        with self.workplace.journal(self.workplace.clock, True) as journal:
            runs = runs_of(journal, task.environment, task.id)
            if any(end_of(run) is None and journal.lives(run[0].run) for run in runs):
                return None
        last = acting(runs)
        if last is not None and end_of(last) is not None:
            return self._answered(task, Code.OK, [])
        self._begins(task)
        saved = self._plan(task, environment)
        # What it prints is for whoever watches; the answer is printed alone.
        with redirect_stdout(sys.stderr):
            code = apply_with(str(saved.file), Options(quiet=True), self.workplace, by=self.env, order=order)
        return self._answered(task, code, lines)

    def _answered(self, task: TaskDocument, code: int, lines: Sequence[str]) -> AnswerDocument:
        """The answer that the journal gives; without a run for this task there, how the command ended."""
        if task.do == "observe":
            return answer(task, code, lines)
        with self.workplace.journal(self.workplace.clock, True) as journal:
            runs = runs_of(journal, task.environment, task.id)
        ends = [end for run in runs if (end := end_of(run))]
        if not ends:
            return answer(task, code, lines)
        body = ends[-1].body
        lines = lines or list(map(str, body.get("lines", ())))
        return answer(task, int(body["code"]), lines, apply=apply_from(body))

    def _again(self, task: TaskDocument, code: Code) -> bool:
        """Whether it is worth another try: what stands in the way goes by itself."""
        return code == Code.LOCKED and self.workplace.clock() < task.expiry
