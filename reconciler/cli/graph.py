"""`reconcile graph`: in which order do the resources come?"""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Env, Hosts, Json, Only
from reconciler.cli.options import Options
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.output import diagram
from reconciler.output.documents.resources import graph_document
from reconciler.plan.order import edges, reduced


def graph(
    context: typer.Context,
    env: Env,
    form: Annotated[
        str | None, typer.Option("--format", metavar="mermaid|dot", help="The format; mermaid by default.")
    ] = None,
    host: Hosts = None,
    only: Only = None,
    json: Json = False,
) -> int:
    """Returns 0; contacts no host. Raises `CommandError`."""
    workplace: Workplace = context.obj
    if json and form is not None:
        raise CommandError(Code.USAGE, "--format and --json: use only one of them")
    if form is not None and form not in diagram.FORMATS:
        known = ", ".join(diagram.FORMATS)
        raise CommandError(Code.USAGE, f"--format {form}: no such format; expected one of {known}")
    environment = open_environment(env, workplace)
    before = edges(select(environment, Options(), workplace))
    chosen = {each.ref for each in select(environment, Options(host=host, only=only), workplace)}
    order = reduced(before, chosen)
    if json:
        files.print_json(graph_document(environment.name, order))
    else:
        files.print_lines(diagram.FORMATS[form or "mermaid"](environment.name, order))
    return Code.OK
