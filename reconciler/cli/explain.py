"""`reconcile explain`: why is one resource as it is?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Env, Json, NoColor, Parallel, Seen, Timeout, Verbose
from reconciler.cli.look import look
from reconciler.cli.options import Options
from reconciler.cli.selection import open_environment, select
from reconciler.cli.workplace import Workplace
from reconciler.model import Ref
from reconciler.output import explanation
from reconciler.output.documents.observation import observation_from
from reconciler.output.documents.resources import explain_document


def explain(
    context: typer.Context,
    env: Env,
    ref: Annotated[
        list[str], typer.Argument(metavar="REF", help="HOST KIND NAME as the plan prints it, or KIND:NAME.")
    ],
    seen: Seen = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="NAME", help="The host of REF; repeatable.")
    ] = None,
    json: Json = False,
    parallel: Parallel = 32,
    timeout: Timeout = None,
    no_color: NoColor = False,
    verbose: Verbose = False,
) -> int:
    """Returns 0, or 3 where the resource cannot be judged. Raises `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(
        host=host, json=json, parallel=parallel, timeout=timeout, no_color=no_color, verbose=verbose
    )
    environment = open_environment(env, workplace)
    resources = select(environment, Options(), workplace)
    candidates = select(environment, Options(host=host), workplace)
    meant = _meant(" ".join(ref), [each.ref for each in candidates])
    if seen:
        observation = observation_from(files.saved_observation(seen))
    else:
        observation = look(environment, resources, options, workplace).observation
    found = explanation.explain(environment, resources, observation, meant)
    if json:
        files.print_json(explain_document(environment.name, found))
    else:
        files.print_lines(explanation.lines(found, formats.style(options, workplace)))
    return Code.OK if found.hidden is None else Code.INCOMPLETE


def _meant(text: str, refs: Sequence[Ref]) -> Ref:
    found = explanation.named(text, refs)
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{text}: {len(found)} resources match; say which one (--host, or HOST KIND NAME):"
        near = found[: explanation.NEAREST]
    else:
        near = explanation.nearest(text, refs)
        like = "nearest:" if near else "`reconcile graph` and `reconcile observe` list them"
        message = f"{text}: no resource matches; expected HOST KIND NAME, as the plan prints it; {like}"
    raise CommandError(Code.USAGE, message, *(f"    {ref}" for ref in near))
