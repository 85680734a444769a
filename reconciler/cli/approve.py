"""`reconcile approve`: signs a saved plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.approval import signatures
from reconciler.approval.signatures import NoSignature
from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import (
    Commands,
    Everything,
    Json,
    NoColor,
    QuietPlan,
    Summary,
)
from reconciler.cli.formats import Formats
from reconciler.cli.headings import to_read
from reconciler.cli.options import Options
from reconciler.cli.workplace import Workplace
from reconciler.document import as_json
from reconciler.messages import Message
from reconciler.output.documents.plan import declared_from
from reconciler.output.documents.results import approval_document


def approve(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="A saved plan.")],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="KEY", help="A private key, or a public one whose private half is in the agent."
        ),
    ] = None,
    json: Json = False,
    no_color: NoColor = False,
    summary: Summary = False,
    commands: Commands = False,
    verbose: Everything = 0,
    quiet: QuietPlan = False,
) -> int:
    """Prints a saved plan and signs its digest, into a file beside it. Returns 0. Raises `CommandError`."""
    workplace: Workplace = context.obj
    document = files.saved_plan(file)
    if document.expiry <= workplace.clock():
        raise CommandError(
            Code.STALE, f"{file}: the plan expired at {document.expires} {Message.EXPIRED}; make a new one"
        )
    if not json:
        options = Options(no_color=no_color, summary=summary, commands=commands, verbose=verbose, quiet=quiet)
        plan, policy = to_read(document, workplace)
        formats.print_plan(plan, options, Formats(), workplace, policy, declared_from(document))
    beside = signatures.beside(file)
    try:
        statement = signatures.statement(as_json(document), document.expiry, workplace.clock())
        approval = signatures.sign(statement, key or signatures.default_key())
        signatures.add(beside, approval)
    except NoSignature as error:
        raise CommandError(Code.LOCAL, f"not approved: {error}") from None
    except OSError as error:
        raise CommandError(
            Code.LOCAL, f"not approved: {beside} cannot be written ({error.strerror})"
        ) from None
    if json:
        files.print_json(approval_document(document, str(beside)))
    else:
        print(f"Approved {document.digest} until {document.expires}; the approval is in {beside}.")
    return Code.OK
