"""Taking the parameters of a command without pydantic.

Typer checks every parameter, given or not, with an adapter of pydantic, which takes as long to
load as all the rest of a command (typer 0.29, `_adapters.py`). A value that already is what the
function asks for needs no check; anything else (`--parallel 3`) goes Typer's own way.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from reconciler.cli import neighbours, usage


class Command(TyperCommand):
    """A command that leaves to Typer only the values that must be converted or refused."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, `--help` among them."""
        return spared(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Takes the arguments; a neighbour's flag is answered first."""
        neighbours.refuse_flags(ctx, args, [name for each in self.get_params(ctx) for name in each.opts])
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line behind the name."""
        return ["[OPTIONS]", *usage.arguments(self)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help: headings, examples, exit codes and environment variables."""
        usage.write(self, ctx, formatter)


def spared(parameters: Any) -> Any:
    """The same parameters, which now load pydantic only where there is something to check."""
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_taken, parameter, parameter.process_value)
    return parameters


def _taken(parameter: Any, by_typer: Any, context: Any, value: Any) -> Any:
    """The value as the function gets it, or as Typer makes it."""
    wanted = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    several = parameter.multiple or parameter.nargs == -1
    if value is None and not parameter.required:
        value = () if several else None
        return parameter.callback(context, parameter, value) if parameter.callback else value
    if parameter.callback or not value:
        return value if value == 0 and wanted is int else by_typer(context, value)
    if several and wanted == list[str] and all(isinstance(each, str) for each in value):
        return list(value)
    if not several and wanted in (str, int) and type(value) is wanted:
        return value
    if not several and wanted is Path and isinstance(value, str):
        return Path(value)
    return by_typer(context, value)
