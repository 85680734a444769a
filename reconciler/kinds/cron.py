"""The kind `cron`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from reconciler.kinds.paths import LINE, NAME
from reconciler.kinds.written import WrittenFile
from reconciler.model import option
from reconciler.subjects import Subject

_FIELD = r"[0-9A-Za-z*/,-]+"


def crontab_command(command: str) -> str:
    """A command as a crontab has it: a bare `%` would end it, and begin its input (crontab(5))."""
    return re.sub(r"(?<!\\)%", r"\%", command)


@dataclass(frozen=True, kw_only=True)
class Cron(WrittenFile):
    """A job in /etc/cron.d. cron skips names with a dot, so they are not accepted here."""

    kind: ClassVar[str] = "cron"
    title: ClassVar[str] = "job"
    subject: ClassVar[str] = Subject.SYSTEM

    job: str = option(
        "The name of the file.",
        schema={"pattern": "^[A-Za-z0-9_-]+$", "x-want": "a name without a dot: cron skips others"},
    )
    schedule: str = option(
        "When: five fields, or @daily and the like.",
        default="@daily",
        needed=True,
        schema={
            "pattern": rf"^({_FIELD}( +{_FIELD}){{4}}"
            "|@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly))$",
            "x-want": "five fields of crontab(5), or @daily and the like",
        },
    )
    command: str = option(
        "What to run, on one line; cron gets a `%` as a `%`.", default="true", needed=True, schema=LINE
    )
    user: str = option("The account it runs as.", default="root", schema=NAME)
    mailto: str | None = option(
        "Who gets its output by mail; nobody if empty.",
        default=None,
        schema={"pattern": r"^[^\s\"'\\\x00-\x1f\x7f]*$", "x-want": "mail addresses without blanks"},
    )

    def where(self) -> str:
        return f"/etc/cron.d/{self.job}"

    def body(self) -> str | None:
        mailto = f"MAILTO={self.mailto}\n" if self.mailto is not None else ""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        return f"{path}{mailto}{self.schedule} {self.user} {crontab_command(self.command)}\n"
