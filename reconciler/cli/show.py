"""`reconcile show`: what does a saved plan say?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code
from reconciler.cli.flags import (
    Commands,
    Everything,
    Github,
    Json,
    Markdown,
    NoColor,
    QuietPlan,
    Summary,
)
from reconciler.cli.formats import Formats
from reconciler.cli.headings import to_read
from reconciler.cli.options import Options
from reconciler.cli.workplace import Workplace
from reconciler.output.documents.plan import declared_from


def show(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="A saved plan.")],
    json: Json = False,
    markdown: Markdown = False,
    github: Github = False,
    no_color: NoColor = False,
    summary: Summary = False,
    commands: Commands = False,
    verbose: Everything = 0,
    runbook: Annotated[
        bool, typer.Option("--runbook", help="Print every command in order, to be run by hand.")
    ] = False,
    quiet: QuietPlan = False,
) -> int:
    """Returns 0. Raises `CommandError`, such as for a file that is not a plan."""
    workplace: Workplace = context.obj
    options = Options(
        json=json, no_color=no_color, summary=summary, commands=commands, verbose=verbose, quiet=quiet
    )
    outputs = Formats(markdown=markdown, github=github)
    formats.check(options, outputs)
    document = files.saved_plan(file)
    if json:
        files.print_json(document)
        return Code.OK
    plan, policy = to_read(document, workplace)
    if runbook:
        from reconciler.output.plans import runbook_lines

        files.print_lines(runbook_lines(plan))
        return Code.OK
    formats.print_plan(plan, options, outputs, workplace, policy, declared_from(document), pages=True)
    if not (markdown or github or quiet):
        print(f"Made {document.made} from {document.file}; digest {document.digest}.")
    return Code.OK
