"""What a simulated host says: a reply that was recorded once, under the marks of whoever asks.

Each exchange has random words of its own, between which its parts come (`fleet.host`, `fleet.probe`). Where
two scripts differ in these alone, a host would answer the same.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

# The end of the exchange, the boundary of a look, and the one that accounts are told.
_MARKS = (
    rb"\Aprintf '\\n([0-9a-f]{32})\\n'\n",
    rb"\\n([0-9a-f]{32}) end\\n",
    rb"boundary=([0-9a-f]{32}) account=",
)
_KEPT = (b"<the end of the exchange>", b"<the boundary>", b"<the boundary of an account>")


def is_whole(text: bytes) -> bool:
    """Whether what came is a script with its end, after which a host answers."""
    begins = re.match(_MARKS[0], text)
    if not begins:
        return False
    at = text.find(b"printf '\\n%b %%d %%d\\n'" % begins[1], begins.end())
    return at >= 0 and b"\n" in text[at:]


def shell_says(text: bytes) -> bytes:
    """What a shell of this machine prints that is sent a text, as a host's does."""
    done = subprocess.run(
        ["/bin/sh"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout


class Replies:
    """Replies by script, marks aside. `run` answers a script that was not recorded yet, of which there may be
    `most`: a measurement of simulated hosts must not become one of real shells."""

    def __init__(self, run: Callable[[bytes], bytes], most: int = 4) -> None:
        self._run, self._most = run, most
        self._recorded: dict[bytes, bytes] = {}

    def answer(self, text: bytes) -> bytes:
        """What a host prints that is sent this script. Raises `LookupError` where too many differ."""
        found = [re.search(mark, text) for mark in _MARKS]
        words = [(each[1], kept) for each, kept in zip(found, _KEPT, strict=True) if each]
        asked = text
        for word, kept in words:
            asked = asked.replace(word, kept)
        if asked not in self._recorded:
            if len(self._recorded) >= self._most:
                raise LookupError(f"more than {self._most} scripts that differ")
            reply = self._run(text)
            for word, kept in words:
                reply = reply.replace(word, kept)
            self._recorded[asked] = reply
        reply = self._recorded[asked]
        for word, kept in words:
            reply = reply.replace(kept, word)
        return reply
