"""`reconcile fmt`: brings environment files to today's form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import All, Envs, Json, Quiet
from reconciler.cli.options import say
from reconciler.cli.selection import named


def fmt(
    envs: Envs = None,
    everything: All = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 2 if one would be.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Returns 0, or with --check 2 where a file is of an earlier form. Raises `CommandError`."""
    from reconciler.environment.form import formatted
    from reconciler.environment.load import InvalidEnvironment, find

    changed: list[str] = []
    for env in named(envs, everything=everything):
        try:
            path = Path(find(env))
            old = path.read_bytes().decode("utf-8")
        except InvalidEnvironment as error:
            raise CommandError(Code.USAGE, *map(str, error.problems)) from None
        except OSError as error:
            raise CommandError(Code.USAGE, f"{path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise CommandError(Code.USAGE, f"{path}: is not UTF-8; nothing was done with it") from None
        new = formatted(str(path), old)
        if new == old:
            continue
        changed.append(str(path))
        if not check:
            files.write(path, new)
        if not (json or quiet):
            say(f"{path}: {'would be written' if check else 'written'}")
    if json:
        from reconciler.output.documents.results import FormattingDocument

        files.print_json(FormattingDocument(changed=changed))
    return Code.CHANGES if check and changed else Code.OK
