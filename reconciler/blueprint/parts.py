"""What marks functions of the blueprint: under which heading a plan has what a row declares, and what is made
but once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps
from typing import TypeVar

from reconciler.environment.settings import Environment, Host
from reconciler.model import Resource
from reconciler.subjects import Subject

Row = Callable[[Environment, Host], Iterable[Resource]]
Made = TypeVar("Made")


def part(subject: Subject) -> Callable[[Row], Row]:
    """Marks a row: all that it declares is of this subject."""

    def marked(row: Row) -> Row:
        @wraps(row)
        def declared(environment: Environment, host: Host) -> Iterable[Resource]:
            return (replace(each, part=subject) for each in row(environment, host))

        return declared

    return marked


def once(make: Callable[[Environment], Made]) -> Callable[[Environment], Made]:
    """Marks what is made for all hosts of an environment at once, when it is first asked for."""

    @wraps(make)
    def made(env: Environment) -> Made:
        if make not in env.made_once:
            env.made_once[make] = make(env)
        found: Made = env.made_once[make]
        return found

    return made
