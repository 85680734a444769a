"""`reconcile validate`: are these environment files valid?"""

from __future__ import annotations

import sys

import typer

from reconciler.cli import files
from reconciler.cli.exit import Code
from reconciler.cli.flags import (
    All,
    Envs,
    Json,
    Quiet,
)
from reconciler.cli.selection import declared, named
from reconciler.cli.workplace import Workplace


def validate(
    context: typer.Context,
    envs: Envs = None,
    everything: All = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Returns 0, or 64 where a file is not valid: every problem of every file is printed.
    Raises `CommandError`."""
    from reconciler.blueprint import ways
    from reconciler.environment.load import InvalidEnvironment

    workplace: Workplace = context.obj
    problems: list[str] = []
    for env in named(envs, everything=everything):
        try:
            environment = workplace.load(env)
            resources = declared(environment)
        except InvalidEnvironment as error:
            problems += map(str, error.problems)
        else:
            if not (json or quiet):
                hosts, count = len(environment.hosts), len(resources)
                print(f"{environment.file}: valid: {hosts} hosts, {count} resources")
                if environment.blueprint and not ways.are_few(environment):
                    pairs = environment.sync.all_pairs
                    print(
                        f"{environment.file}: more than {pairs} hosts (`sync: all_pairs`): ssh is proven"
                        " from the primary to each other host, and from each of those to the next"
                    )
    if json:
        from reconciler.output.documents.results import ValidationDocument

        files.print_json(ValidationDocument(problems=problems))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
    return Code.USAGE if problems else Code.OK
