"""What came from a host or the YAML, made harmless for whoever reads it. Pure."""

from __future__ import annotations

import re

SECRET_SAME = "(secret) as desired"
SECRET_OTHER = "(secret) differs"
"""What a state, a plan and a diff say in place of a secret value, which was compared on the host."""

_MENTION = re.compile(r"<(?=[!@#]|[a-z]+:)|@(?=(?:everyone|here|channel|all)\b)")
"""What calls people, or hides where a link leads, in the formats of Slack, Mattermost and Discord
(Slack, "Formatting text for app surfaces", "Special mentions")."""


def printable(text: str) -> str:
    """The text with every control character escaped, so that it cannot move a cursor, begin another line,
    or be read in another order than it is written (U+009B, U+202E)."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def unmentioned(text: str) -> str:
    """One line, `printable`, in which no service for messages finds somebody to call."""
    return _MENTION.sub(lambda found: f"{found[0]} ", printable(text))


def json_text(text: str) -> str:
    """JSON text in which strings escape what is not `printable`; it means the same."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
