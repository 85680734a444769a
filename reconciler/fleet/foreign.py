"""Root acts nowhere by path where somebody else can change what the path leads to. Pure.

`foreign.sh` finds that out on the host, each time anew. Here are the scripts that go by it: what is asked as
root and what as an account, and steps that are taken as the one or the other.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.messages import Message
from reconciler.model import quote
from reconciler.questions.locations import folders

REFUSED = 93
"""How a step ends that is not taken at all (`act`)."""

PUT_OFF = 94
"""How a step ends that is not taken before the host was looked at again (`act`)."""

SECONDS = 5
"""For how long one account is asked about all that is its own."""

BYTES = 4 * 1024 * 1024
"""How much of what it answers counts."""

KILOBYTES = 512 * 1024
"""How much memory what reads a file may take: one line of it may be as long as its owner likes."""


BOUNDARY = "\0"
"""Stands for the boundary in a script that is kept: no path has it in its name, and no script in its text."""


def _load() -> str:
    text = (pkgutil.get_data(__package__, "foreign.sh") or b"").decode("utf-8")
    return "\n".join(line for line in text.splitlines() if line and not line.lstrip().startswith("#"))


LIBRARY = _load()
"""The shell functions, without what only people read."""


def _words(texts: Iterable[str]) -> str:
    return " ".join(map(quote, texts))


def beginning(where: Iterable[str]) -> str:
    """Shell in front of steps at these locations: `LIBRARY`, and what is not root's alone before any step."""
    locations = list(dict.fromkeys(where))
    listed = f"look_at_folders {_words(folders(locations))}; list_foreign {_words(locations)}"
    return f"{LIBRARY}\nat_first=$nl$({listed})$nl"


def acting(command: str, where: Sequence[str]) -> str:
    """Shell that takes a step at some locations; `beginning` stands somewhere before it."""
    return f"look_at_folders {_words(folders(where))}\nact {quote(command)} {_words(where)}"


def asking(script: str, locations: Sequence[str], boundary: str) -> str:
    """Shell that runs `script`, which asks about locations (each if it is `mine`), as root, and then as each
    account that can change some of them. `Answered` reads what it prints."""
    limited = f"ulimit -v {KILOBYTES} 2>/dev/null\n{script}"
    ordered = sorted(locations, key=lambda each: (each.removeprefix("@").rpartition("/")[0], each))
    return f"""{LIBRARY}
printf '\\n{boundary} whose\\n'
look_at_folders {_words(folders(locations))}
sort_out {_words(ordered)}
boundary={boundary}
script={quote(limited)}
(eval "$script")
[ -z "$accounts" ] || printf '\\n{boundary} others\\n'
for account in $accounts; do
printf '%s\\n' {quote(_THEIRS.format(_inner(boundary)))} "$script" 'printf "\\n$boundary end\\n"' |
become "$account" {SECONDS} -s -- "$account" "$theirs" 2>/dev/null |
timeout -k 1 {SECONDS + 2} head -c {BYTES} | base64 -w 0
printf ' %s\\n' "$account"
done"""


def with_boundary(script: str, boundary: str) -> str:
    """What `asking` has made with `BOUNDARY`, as it would be with this one."""
    return script.replace(_inner(BOUNDARY), _inner(boundary)).replace(BOUNDARY, boundary)


# The account gets to know the boundary of its own part, and must not know the other.
_THEIRS = """boundary={} account=$1 theirs=$2 nl='
'
mine() {{ case $theirs in *"$nl$account $1$nl"*) ;; *) return 1 ;; esac; }}"""


def _inner(boundary: str) -> str:
    return hashlib.sha256(f"{boundary} as an account".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Owned:
    """As whom a location is asked about that is not root's alone: an account, or nobody ("-")."""

    uid: str
    name: str
    why: str

    def refusal(self) -> str:
        """Why nothing is done there."""
        return f"not looked at as root: {self.why} {Message.FOREIGN_FOLDER}"

    def silence(self) -> str:
        """What there is to say where the account's answer did not come whole."""
        return (
            f"looked at as {self.name}, not as root, which gave no whole answer within {SECONDS} s:"
            f" {self.why} {Message.FOREIGN_FOLDER}"
        )


def owned(section: bytes) -> Mapping[str, Owned]:
    """The locations that are not root's alone, from what `sort_out` prints. Raises `ValueError` where that is
    not whole."""
    words = section.decode("utf-8", "surrogateescape").split("\0")
    if len(words) % 4 != 2 or words[-2] or words[-1].strip():
        raise ValueError("the list of locations is not whole")
    rows = zip(*(iter(words[:-2]),) * 4, strict=True)
    return {location: Owned(uid, name, why) for location, uid, name, why in rows}


def parts(section: bytes, boundary: str) -> Iterable[tuple[str, bytes, str]]:
    """What each account has answered: its uid, the answer, and the boundary within that."""
    for line in section.splitlines():
        data, _, uid = line.partition(b" ")
        try:
            yield uid.decode("ascii", "replace"), base64.b64decode(data, validate=True), _inner(boundary)
        except ValueError:
            continue
