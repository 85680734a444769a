"""What a question about a path shares with all others about paths: as whom it is asked.

Root does not look where another account can change what a path leads to: a name may be exchanged for a link
to root's files, for a pipe or an endless device, between any two system calls. There the account is asked
instead, as itself (`fleet/foreign.sh`, decision 17). So each script about paths takes only those that are
`mine`, and is run once as root and once as each account that there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from reconciler.model import quote

PATTERN = "?"
"""In front of a location that is a pattern, for all that it matches."""


def matching(pattern: str) -> str:
    """The location of a pattern in which `*` stands for anything and all else for itself."""
    return PATTERN + re.sub(r"[][?\\]", "?", pattern)


class PathQuestion(Protocol):
    """A question about what is at a path."""

    @property
    def location(self) -> str:
        """The path; with `@` in front where the answer is about what its last component leads to, and a
        pattern with `PATTERN`."""


def location(question: object) -> str | None:
    """The location that a question is about; None where it is about no path."""
    found: str | None = getattr(question, "location", None)
    return found


def take(locations: Iterable[str]) -> str:
    """Shell: the paths of those locations that are to be asked about here become the arguments."""
    words = " ".join(dict.fromkeys(map(quote, locations)))
    return f'set -- {words}\nfor p do shift; ! mine "$p" || set -- "$@" "${{p#@}}"; done'


def folders(locations: Iterable[str]) -> list[str]:
    """Every folder above the locations, as they are spelled, outer ones first."""
    found = {"/"}
    for each in locations:
        # The host itself looks at what a pattern matches.
        path = each.removeprefix(PATTERN).partition("*")[0] if each.startswith(PATTERN) else each
        path = path.removeprefix("@").removesuffix("/.")
        while (path := path.rsplit("/", 1)[0]) and path not in found:
            found.add(path)
    return sorted(found)
