"""The commands that every look rests on: whether a host has them, and whether they do what they are for.

One that is broken, or another program of that name, would say of all that it is asked about that it is not
there: with a `find` or a `getent` that only ends with 1, a settled host looks bare, and all of it is planned.
"""

from __future__ import annotations

from functools import cache

from reconciler.model import quote

NEEDED = "base64 cat cut find getent head id sed sha256sum sort tail timeout wc xargs"
"""What a host must have. Without `find`, for one, everything would look absent."""

LACKING, UNFIT = 127, 126
"""The status of a command that is not there, and of one that cannot do what it is for (POSIX, 2.8.2)."""

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The SHA-256 of nothing."""

SHOWS = {
    "awk": ("echo a b | awk '{print $2}'", "b"),
    "base64": ("echo ab | base64 -w 0", "YWIK"),
    "cat": ("echo a | cat", "a"),
    "cmp": ("cmp /dev/null /dev/null && echo same", "same"),
    "cut": ("echo ab | cut -c 2", "b"),
    "find": ("find / -maxdepth 0 -printf %y", "d"),
    "getent": ("getent passwd 0 | sed 's/[^:]*:[^:]*:\\([^:]*\\):.*/\\1/'", "0"),
    "grep": ("echo ab | grep -o b", "b"),
    "head": ("echo ab | head -c 1", "a"),
    "id": ("id -u 0", "0"),
    "readlink": ("readlink -f /", "/"),
    "sed": ("echo a | sed -n s/a/b/p", "b"),
    "sha256sum": ("sha256sum </dev/null", f"{EMPTY}  -"),
    "sort": ("echo a | sort", "a"),
    "stat": ("stat -c %F /", "directory"),
    "tail": ("echo ab | tail -c 2", "b"),
    "tr": ("echo a | tr a b", "b"),
    "wc": ("echo a | wc -l", "1"),
    "xargs": ("printf 'a\\0' | xargs -0 printf %s", "a"),
}
"""What each of them prints where it is what it should be: the question in shell, and the answer."""

# The same in half the processes; which one it is is found out only where this is not as it should be.
_AT_ONCE = (
    "find / -maxdepth 0 -printf '%y\\0' | xargs -0 printf '%s b\\n' | sort | tr d e | grep -o '.*'"
    " | awk '{print $1}' | sed s/e/x/ | head -n 1 | tail -n 1 | cut -c 1 | cat | sha256sum | base64 -w 0;"
    " cmp /dev/null /dev/null && getent passwd 0 | cut -d : -f 3; stat -c %F /; id -u 0;"
    " readlink -f / | wc -l"
)
_ANSWER = "NzNjYjM4NThhNjg3YTg0OTRjYTMzMjMwNTMwMTYyODJmM2RhZDM5ZDQyY2Y2MmNhNGU3OWRkYTJhYWM3ZDlhYyAgLQo=0"


@cache
def script() -> str:
    """Shell that sets `m` to the commands that are missing and `s` to `LACKING`; where none is, once in each
    shell, to those that do not work, and `s` to `UNFIT`. `m` is empty where all is well."""
    answer = f"{_ANSWER}\ndirectory\n0\n1"
    each = "\n".join(
        f'! command -v {name} >/dev/null || [ "$({asked})" = {quote(said)} ] || m="$m {name}"'
        for name, (asked, said) in SHOWS.items()
    )
    return (
        f'm= s={LACKING}; for c in {NEEDED}; do command -v $c >/dev/null || m="$m $c"; done\n'
        f'if [ ! "$m" ] && [ ! "${{able-}}" ]; then\n'
        f'{{ [ "$({_AT_ONCE})" = {quote(answer)} ] || {{ s={UNFIT}\n{each}\n}}; }} 2>/dev/null </dev/null\n'
        f'[ "$m" ] || able=1; fi\n'
    )
