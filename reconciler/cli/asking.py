"""What `init` and `import` ask on a terminal: each question until its answer is valid; the others stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.cli import offers
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.new_file import NewEnvironment, relative
from reconciler.cli.options import say
from reconciler.cli.workplace import Workplace
from reconciler.environment import yaml_writer
from reconciler.environment.load import InvalidEnvironment, load

TRIES = 5
"""How often one question is asked: a terminal that is closed answers nothing for ever."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What is asked for a field of `NewEnvironment` that no flag gives, and how an answer is read."""

    field: str
    text: str
    read: Callable[[str], Any] = str
    needed: bool = False

    @property
    def flag(self) -> str:
        """The flag that answers it."""
        return "--host" if self.field == "hosts" else f"--{self.field}"


NAME = Prompt(field="name", text="Name of the environment: ", needed=True)
ROUTER = Prompt(field="router", text="Name in front of all hosts (the router): ", needed=True)
HOSTS = Prompt(field="hosts", text=offers.HOSTS, read=str.split, needed=True)
USER = Prompt(field="user", text="Account to log in with by ssh (empty: root): ")


def asked(
    new: NewEnvironment, questions: Iterable[Prompt], path: Path, workplace: Workplace
) -> NewEnvironment:
    """With the answers to what no flag has said; `path` is where the file will be. Raises `CommandError`."""
    for question in questions:
        if getattr(new, question.field) in (None, ()):
            new = answered(new, question, path, workplace)
    return new


def answered(new: NewEnvironment, question: Prompt, path: Path, workplace: Workplace) -> NewEnvironment:
    """With the answer to one question. Raises `CommandError`."""
    if question.field != "hosts":
        return _answered(new, question, path, workplace)
    text, offered = offers.hosts_question(new)
    offering = replace(question, text=text, read=lambda answer: answer.split() or offered)
    new = _answered(new, offering, path, workplace)
    offers.say_addresses(new, workplace)
    return new


def _answered(new: NewEnvironment, question: Prompt, path: Path, workplace: Workplace) -> NewEnvironment:
    for _ in range(TRIES):
        answer: dict[str, Any] = {question.field: question.read(workplace.ask(question.text)) or None}
        with_it = replace(new, **answer)
        if answer[question.field] is None:
            if not question.needed:
                return new
            problems = ["an answer is needed"]
        else:
            before = _problems(new, path)
            problems = [each for each in _problems(with_it, path) if each not in before]
        if not problems:
            return with_it
        for each in problems:
            say(each)
    raise CommandError(Code.USAGE, f"{question.flag}: no valid answer in {TRIES} tries; nothing was written")


def _problems(new: NewEnvironment, path: Path) -> list[str]:
    """What is wrong with the answers so far, with something valid in place of those that are missing."""
    try:
        whole = replace(
            new, name=new.name or "new", router=new.router or "router.example.org",
            hosts=new.hosts or (new.primary or "host.example.org",),
        )  # fmt: skip
        text = yaml_writer.text(whole.environment(partial(relative, path)), "", {})
        load(str(path), text.encode())
    except InvalidEnvironment as error:
        return [each.message for each in error.problems]
    except CommandError as error:
        return list(error.lines)
    return []
