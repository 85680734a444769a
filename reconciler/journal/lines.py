"""The lines that a run leaves on the hosts that it touched: one when it begins there, one when it ends. Pure.

A line is `DIGEST SIGNATURE JSON`: the SHA-256 of the JSON text; a signature over that digest, or `-`; and an
object with, among others, the digest of the line `before` it on that host. Whoever is root there can write
anything, so nothing in a line is more than a claim (docs/threat-model.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.journal.chain import canonical, parsed
from reconciler.questions.runs import RunsAnswer

LONGEST = 64 * 1024
"""Bytes of a line."""

TOLD = 100
"""Actions that the line of a run names for its host."""

SETTLED = 500
"""Resources of which a line says what they were seen to be."""

UNSIGNED = "-"
RUN = re.compile(r"x[0-9a-f]{12}")
"""What a run is called elsewhere; here it has a number."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"-|[A-Za-z0-9+/=]{1,8000}")
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "begin": {
        "who": str,
        "number": int,
        "command": str,
        "commit": str,
        "dirty": bool,
        "file": str,
        "plan": str,
        "approvers": list,
        "actions": list,
        "more": int,
    },
    "end": {"code": int, "settled": dict},
}


@dataclass(frozen=True)
class RunLine:
    """One line. `body` is what it says, `digest` of it; `signature` is base64 of a signature, or `-`."""

    digest: str
    signature: str
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """As it is on the host."""
        return f"{self.digest} {self.signature} {canonical(self.body)}"

    @property
    def run(self) -> str:
        """Of which run it is."""
        return str(self.body["run"])


@dataclass(frozen=True)
class HostRecord:
    """What a host has told: lines that are new here, the digest of the newest, and what is wrong."""

    lines: tuple[RunLine, ...]
    head: str
    remarks: tuple[str, ...] = ()


def digest_of(body: Mapping[str, Any]) -> str:
    """What a line is known by, and what is signed of it."""
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def short(text: str) -> str:
    """The name of a resource, or what is desired of it, in 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def line_from(text: str) -> RunLine:
    """Reads a line. Raises `ValueError` where it is none, or was changed."""
    words = text.split(" ", 2)
    if len(text) > LONGEST or len(words) != 3 or not _SIGNATURE.fullmatch(words[1]):
        raise ValueError("it is no line of a run")
    try:
        body = parsed(words[2])
    except TypeError:
        raise ValueError("it is no line of a run") from None
    if not _is_whole(body):
        raise ValueError("it lacks what a line of a run has")
    if digest_of(body) != words[0]:
        raise ValueError("it was changed")
    return RunLine(words[0], words[1], body)


def _is_whole(body: Mapping[str, Any]) -> bool:
    fields = _FIELDS.get(body["what"]) if isinstance(body.get("what"), str) else None
    texts = [body.get(name) for name in ("run", "environment", "host", "before", "at")]
    if fields is None or body.get("version") != 1 or not all(isinstance(each, str) for each in texts):
        return False
    if any(type(body.get(name)) is not kind for name, kind in fields.items()):
        return False
    inner = [*body.get("approvers", ()), *body.get("actions", ())]
    inner += [each for pair in body.get("settled", {}).items() for each in pair]
    try:
        when = datetime.fromisoformat(body["at"])
    except ValueError:
        return False
    return (
        when.tzinfo is not None
        and all(isinstance(each, str) for each in inner)
        and len(inner) <= 2 * SETTLED
        and RUN.fullmatch(body["run"]) is not None
        and (body["before"] == "" or _DIGEST.fullmatch(body["before"]) is not None)
    )


def record_from(answer: RunsAnswer, environment: str, host: str, known: str) -> HostRecord:
    """What a host's answer says of the runs of an environment; `known` is the digest of the newest line of
    it that is known, or ""."""
    if answer.state == "odd":
        return HostRecord((), known, ("what is there can be written by others than root, or is no file",))
    if answer.state == "none":
        return HostRecord((), "", ("it was removed",) if known else ())
    head = known if answer.state == "after" else ""
    remarks: list[str] = []
    if known and answer.state == "all":
        remarks.append("lines that were known are not there any more")
    lines: list[RunLine] = []
    damaged = broken = 0
    for text in answer.text.decode("ascii", "replace").split("\n"):
        if not text.strip():
            continue
        line = _line_of(environment, text)
        if line is None:
            damaged += 1
            continue
        # Where it begins is where the older half was dropped, if nothing of it was known before.
        broken += line.body["before"] != head and bool(head)
        head = line.digest
        if line.body["host"] == host:  # otherwise it was told when the host had another name
            lines.append(line)
    if damaged:
        remarks.append(f"{damaged} of its lines are damaged, or of no run of {environment}")
    if broken:
        remarks.append(
            f"{broken} of its lines do not follow the one before: lines are missing, or were changed"
        )
    return HostRecord(tuple(lines), head or known, tuple(remarks))


def _line_of(environment: str, text: str) -> RunLine | None:
    with suppress(ValueError):
        line = line_from(text)
        return line if line.body["environment"] == environment else None
    return None


def common_body(environment: str, run: str, host: str, before: str, at: datetime) -> dict[str, Any]:
    """What every line has; `at` is aware."""
    return {
        "version": 1,
        "run": run,
        "environment": environment,
        "host": host,
        "before": before,
        "at": at.isoformat(timespec="seconds"),
    }


def settled_part(wants: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Which resources were as desired, in a short form: the ref, and the digest of what is desired."""
    return {short(ref): want[:16] for ref, want in list(wants)[:SETTLED]}
