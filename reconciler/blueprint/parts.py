"""The parts of the procedure: each row says under which heading a plan has what it declares. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps

from reconciler.environment.settings import Environment, Host
from reconciler.model import Resource
from reconciler.subjects import Subject

Row = Callable[[Environment, Host], Iterable[Resource]]


def part(subject: Subject) -> Callable[[Row], Row]:
    """Marks a row: all that it declares is of this subject."""

    def marked(row: Row) -> Row:
        @wraps(row)
        def declared(environment: Environment, host: Host) -> Iterable[Resource]:
            return (replace(each, part=subject) for each in row(environment, host))

        return declared

    return marked
