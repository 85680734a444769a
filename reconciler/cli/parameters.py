"""Taking the parameters of a command without pydantic.

Typer checks every parameter, given or not, with an adapter of pydantic, which takes as long to
load as all the rest of a command. A value that already is what the function asks for needs no
check; anything else (`--parallel 3`) goes Typer's own way.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """A command that leaves to Typer only the values that must be converted or refused."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for parameter in self.params:
            if parameter.callback is None:
                parameter.process_value = partial(_taken, parameter, parameter.process_value)  # type: ignore[method-assign]


def _taken(parameter: Any, by_typer: Any, context: Any, value: Any) -> Any:
    """The value as the function gets it; Typer raises its usage errors."""
    wanted = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    several = parameter.multiple or parameter.nargs == -1
    if parameter.required and not value:
        return by_typer(context, value)
    if value is None:
        return () if several else None
    if several and wanted == list[str] and all(isinstance(each, str) for each in value):
        return list(value)
    if not several and wanted in (str, int) and type(value) is wanted:
        return value
    if not several and wanted is Path and isinstance(value, str):
        return Path(value)
    return by_typer(context, value)
