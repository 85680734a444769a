"""How an entry of /etc/fstab is found by sed, and its fields written and read (fstab(5)).

An entry is a line of fields with blanks between: source, path, type, options, dump, pass.
"""

from __future__ import annotations

import re

from reconciler.model import quote
from reconciler.questions.system import CommandQuestion

FSTAB = "/etc/fstab"

_SECRET = r"\(pass\(word\|wd\)\{0,1\}=\)[^,[:blank:]]*"
_BLANKS = r"[[:blank:]]\{1,\}"


def escape(text: str) -> str:
    """A field: no blank is within it."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\\" else char for char in text)


def unescape(field: str) -> str:
    """The text of a field."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _literal(text: str) -> str:
    return "".join(f"\\{char}" if char in r".[]*^$/" + "\\" else char for char in escape(text))


def entry_pattern(path: str, source: str | None = None) -> str:
    """The address, for sed, of the entries of a path; only of those of one source where it is given."""
    first = _literal(source) if source else "[^#[:blank:]][^[:blank:]]*"
    return rf"/^[[:blank:]]*{first}{_BLANKS}{_literal(path)}\/*{_BLANKS}/"


def entries_question(path: str) -> CommandQuestion:
    """Prints the lines of a path's entries, without the passwords in them."""
    script = rf"{entry_pattern(path)}{{s/{_SECRET}/\1(secret)/g;p}}"
    return CommandQuestion(
        f"! [ -L {FSTAB} ] || {{ echo it is a link, not a file; exit 1; }}; "
        f"LC_ALL=C sed -n -e {quote(script)} {FSTAB}"
    )


def entries(printed: str) -> list[list[str]]:
    """The fields of each entry that was printed; six of each, "" where it has fewer."""
    rows = [re.split("[ \t]+", line.strip(" \t")) for line in printed.split("\n") if line.strip()]
    return [[unescape(field) for field in [*row, *[""] * 6][:6]] for row in rows]
