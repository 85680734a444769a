"""What comes back from a host: a reply, or why there is none. Nouns only.

HostError          a host did not do its part
├─ NoAnswer        nobody answered, or the answer stopped
│  └─ Unresponsive … within the time limit
├─ Refused         an answer, and it is no
└─ Locked          another run holds the host
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Hear = Callable[[bytes], None]
"""Is given what a host prints, part by part, as it comes."""


@dataclass(frozen=True)
class Reply:
    """What a script printed, and whether it ran as root. `sudo` is sudo's complaint."""

    output: bytes
    root: bool
    sudo: str = ""
    timed_out: bool = False


class HostError(Exception):
    """A host did not do its part. `reason` says what happened and what to do about it;
    `output` is what it had answered by then."""

    def __init__(self, host: str, reason: str, output: bytes = b"") -> None:
        self.host, self.reason, self.output = host, reason, output
        super().__init__(f"{host}: {reason}")


class NoAnswer(HostError):
    """Nobody answered, or the answer stopped."""


class Unresponsive(NoAnswer):
    """No answer within the time limit. Not tried again: that would only take as long again."""


class Refused(HostError):
    """An answer, and it is no: host key, account, privilege. Trying again will not help."""


class Locked(HostError):
    """Another run holds the host's lock; `reason` says who, from where and since when."""
