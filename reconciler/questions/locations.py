"""What a question about a path shares with all others about paths: as whom it is asked.

Root does not look where another account can change what a path leads to: a name may be exchanged for a link
to root's files, for a pipe or an endless device, between any two system calls. There the account is asked
instead, as itself (`fleet/foreign.sh`, decision 17). So each script about paths takes only those that are
`mine`, and is run once as root and once as each account that there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from reconciler.model import quote


class PathQuestion(Protocol):
    """A question about what is at a path."""

    @property
    def location(self) -> str:
        """The path; with `@` in front where the answer is about what its last component leads to."""


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
        path = each.removeprefix("@").removesuffix("/.")
        while (path := path.rsplit("/", 1)[0]) and path not in found:
            found.add(path)
    return sorted(found)
