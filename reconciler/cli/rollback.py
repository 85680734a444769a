"""`reconcile rollback`: what would undo a run?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    Commands,
    Everything,
    Hosts,
    Json,
    LogFormat,
    NoColor,
    Only,
    Output,
    Parallel,
    QuietPlan,
    Summary,
    Timeout,
)
from reconciler.cli.formats import Formats
from reconciler.cli.history import elsewhere, is_number, open_journal
from reconciler.cli.look import look, plan_document
from reconciler.cli.next_steps import save_plan
from reconciler.cli.options import Options, say
from reconciler.cli.precedent import precedent_here
from reconciler.cli.selection import open_environment, undo
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment
from reconciler.journal.elsewhere import RunElsewhere
from reconciler.model import Ref
from reconciler.printable import printable


def rollback(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, as `reconcile history` numbers it.")],
    output: Output = None,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    summary: Summary = False,
    commands: Commands = False,
    verbose: Everything = 0,
    quiet: QuietPlan = False,
    log_format: LogFormat = "text",
) -> int:
    """Plans, and changes nothing. Returns 0, or 3 where the plan is incomplete. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        rollback=[run], host=host, only=only, json=json, parallel=parallel, timeout=timeout,
        no_color=no_color, verbose=verbose, summary=summary, commands=commands, quiet=quiet,
        log_format=log_format,
    )  # fmt: skip
    formats.check(options, Formats(), output)
    environment = _environment_of(run, workplace)
    found = undo(environment, options, workplace)
    for line in without_lines(found.without, whole=bool(verbose)):
        say(line)
    if not found.resources and not json:
        (say if output == files.STDOUT else print)(_nothing(run, options))
        return Code.OK
    made = look(environment, list(found.resources), options, workplace).plan
    declared = precedent_here(environment, found.resources, workplace).declared
    document = plan_document(made, environment, options, workplace, declared)
    if output:
        save_plan(output, document, made, environment, options)
    if json:
        files.print_json(document)
    elif output != files.STDOUT:
        policy = environment.policy
        formats.print_plan(made, options, Formats(), workplace, policy, declared, pages=True)
    if made.actions:
        say(f"{environment.file} still declares what this undoes: change it too, or apply restores it")
    return Code.OK if made.complete else Code.INCOMPLETE


def _nothing(run: str, options: Options) -> str:
    if not options.narrowed:
        return f"Nothing to do: nothing of run {run} can be undone."
    part = f"what was asked for ({printable(options.narrowing)})"
    return f"Nothing to do: nothing of run {run} can be undone in {part}; the rest was not looked at."


def without_lines(without: Mapping[Ref, str], *, whole: bool) -> Iterator[str]:
    """What has no way back: a line for each reason, or with `whole` for each resource."""
    by_reason: dict[str, list[Ref]] = {}
    for ref, why in without.items():
        by_reason.setdefault(why, []).append(ref)
    for why, refs in by_reason.items():
        if whole or len(refs) == 1:
            yield from (f"cannot undo {ref}: {why}" for ref in refs)
        else:
            yield f"cannot undo {len(refs)} resources ({refs[0]}, …; -v lists them): {why}"


def _environment_of(run: str, workplace: Workplace) -> Environment:
    """The environment that a run was of, as its file is now."""
    with open_journal(workplace) as journal:
        if not is_number(run):
            raise _not_here(elsewhere(journal, run))
        begin = next(iter(journal.entries(int(run), None, "begin")), None)
    if begin is None:
        raise CommandError(Code.USAGE, f"there is no run {run} in the journal; see `reconcile history`")
    environment = open_environment(str(begin.body["file"]), workplace)
    if environment.name != begin.environment:
        now = f"{environment.file} now declares {environment.name}"
        raise CommandError(Code.USAGE, f"run {run} was of {begin.environment}, but {now}")
    return environment


def _not_here(run: RunElsewhere) -> CommandError:
    """What hosts tell of a run is not enough to undo it, and is not trusted to be: that takes the file that
    it applied and the one before, which the journal of its machine has."""
    by = f"by its commit {run.commit[:12]}" if run.commit else "which was in no git commit"
    return CommandError(
        Code.USAGE,
        printable(f"run {run.run} was made elsewhere, by {run.machine}; it is run {run.number} there"),
        "what it applied, and what was declared before, is in the journal there:"
        f" `reconcile rollback {run.number}` on that machine plans what undoes it",
        printable(f"or take back here what it changed in {run.file}, {by}, and apply that"),
    )
