"""Whether certbot can ask the CA for a profile: facts of its version. Pure.

certbot has `--preferred-profile` and `--required-profile` from 4.0 on, and keeps them in the renewal file
from 4.1 on (its CHANGELOG.md); the renewal script passes the second each time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from reconciler.messages import Message
from reconciler.model import CannotSee, Value
from reconciler.questions.system import CommandQuestion, CommandResult

FIELD: Final = "certbot"
KEY: Final = "required_profile"
"""How the renewal file calls the profile that is asked for."""
NEW_ENOUGH: Final = "4.0 or newer"
KEEPS: Final = (4, 1)

QUESTION: Final = CommandQuestion(
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin;"
    " if command -v certbot >/dev/null; then certbot --version 2>&1 | sed -n 's/^certbot //p';"
    " else LC_ALL=C apt-cache policy certbot 2>/dev/null"
    " | sed -n 's/^ *Candidate: \\([0-9]\\)/to come \\1/p'; fi"
)
"""The version of the certbot that the renewal script calls; of what would be installed, where none is."""


def version(text: str) -> tuple[int, int] | None:
    """The version in the answer, as far as `4.1`; None where it is not one."""
    found = re.match(r"(?:to come )?(?:\d+:)?(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def facts(answer: CommandResult | CannotSee) -> dict[str, Value]:
    """The field `certbot`: its version where that is too old; nothing where it could not be seen."""
    if isinstance(answer, CannotSee) or (known := version(answer.output)) is None:
        return {}
    return {FIELD: NEW_ENOUGH if known >= (4, 0) else answer.output.removeprefix("to come ")}


def keeps(answer: CommandResult | CannotSee) -> bool:
    """Whether that certbot writes the profile into the renewal file."""
    known = None if isinstance(answer, CannotSee) else version(answer.output)
    return known is not None and known >= KEEPS


def refused(seen: Mapping[str, Value], profile: str | None) -> str | None:
    """Why nothing can be ordered by the profile; None where nothing says so."""
    if profile is None or seen.get(FIELD, NEW_ENOUGH) == NEW_ENOUGH:
        return None
    return (
        f"certbot is {seen[FIELD]} there, and only {NEW_ENOUGH} can ask for `certificate: profile`"
        f" {profile} {Message.CERTBOT_TOO_OLD}"
    )
