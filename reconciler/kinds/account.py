"""The kind `account`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.paths import ABSOLUTE, NAME, parents, unseen
from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Question,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    option,
    quote,
)
from reconciler.questions.system import Login, PasswdQuestion
from reconciler.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Account(Resource):
    """A local account with its home, shell and further groups; nobody can log in to it by
    password. Groups that are not named stay; when it is removed its home is kept."""

    kind: ClassVar[str] = "account"
    title: ClassVar[str] = "account"
    subject: ClassVar[str] = Subject.ACCOUNTS

    account: str = option("Its name.", schema=NAME | {"maxLength": 32})
    home: str | None = option("Its home; /home/NAME when it is created.", default=None, schema=ABSOLUTE)
    shell: str | None = option("Its shell; /bin/sh when it is created.", default=None, schema=ABSOLUTE)
    groups: tuple[str, ...] = option(
        "Groups it is in besides its own.",
        default=(),
        schema={"items": {"type": "string", **NAME}, "uniqueItems": True},
    )
    password: str | None = option(
        "`disabled`, or `any` where an existing account keeps what it has.",
        default="disabled",
        schema={"enum": ["disabled", "any"]},
    )

    create: bool = option("Make it where it is missing; that is refused if not.", default=True)

    def ask(self) -> Mapping[str, Question]:
        return {"login": PasswdQuestion(self.account, self.groups)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        login: Login | None = answers["login"]
        if login is None or (hidden := unseen(login)):
            return login if login is None else hidden
        state: dict[str, Value] = {"home": login.home, "shell": login.shell}
        if self.password == "disabled":
            if login.password is None:
                return CannotSee("the account may not read /etc/shadow")
            state["password"] = "set" if login.password else "disabled"
        return state | {f"group {name}": name in login.groups for name in self.groups}

    def want(self, look: View) -> State | None:
        if self.absent:
            return None
        seen = look.own()
        created = self.create and not isinstance(seen, Mapping)
        home = self.home or (f"/home/{self.account}" if created else None)
        shell = self.shell or ("/bin/sh" if created else None)
        password = "disabled" if self.password == "disabled" else None
        named = {"home": home, "shell": shell, "password": password}
        want: dict[str, Value] = {name: value for name, value in named.items() if value}
        return want | {f"group {name}": True for name in self.groups}

    def lacks(self, others: Iterable[Action]) -> str | None:
        if self.create or any(each.ref.kind == "package" and each.ref in self.needs for each in others):
            return None
        return f"there is no account {self.account}: install the package that brings it"

    def steps(self, change: Change) -> Iterable[Step]:
        name = quote(self.account)
        if change.removes:
            yield Step(f"userdel -- {name}", "declared absent; its home is kept")
            return
        created = self.create and change.creates
        if created and change.want:
            home, shell = quote(str(change.want["home"])), quote(str(change.want["shell"]))
            yield Step(
                f"useradd --create-home --home-dir {home} --shell {shell} --user-group"
                f" --password '*' -- {name}",
                "creates it; the password `*` allows no login by password but does not lock out ssh keys",
                where=(str(change.want["home"]),),
            )
        for field, delta in change.deltas.items():
            yield from self._settle(field, delta.want, created)

    def _settle(self, field: str, want: Value, created: bool) -> Iterable[Step]:
        name = quote(self.account)
        if field.startswith("group "):
            yield Step(f"usermod -a -G {quote(field[6:])} -- {name}", "adds it to the group")
        elif created:
            return
        elif field == "password":
            yield Step(f"usermod --password '*' -- {name}", "nobody logs in by password")
        else:
            yield Step(f"usermod --{field} {quote(str(want))} -- {name}", f"sets its {field}")

    def provides(self) -> Iterable[str]:
        return (f"account:{self.account}", f"path:{self.home or f'/home/{self.account}'}")

    def requires(self) -> Iterable[str]:
        return parents(self.home or f"/home/{self.account}")
