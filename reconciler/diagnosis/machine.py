"""What is asked of the machine that runs reconcile: its programs, its files, its resolver, and the CA as it
is seen from there. Nothing is changed, and nothing is waited for longer than it may take."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

# What is slow to load is loaded where it is needed.
# ruff: noqa: PLC0415

SECONDS = 10
"""Seconds that a program of this machine, its resolver or the CA may take."""

SIZE = 64 * 1024
"""Bytes of an ACME directory that are read; Let's Encrypt's has about 1000."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ProgramResult:
    """How a program ended, and what it said."""

    status: int
    output: str


@dataclass(frozen=True)
class Unresolved:
    """In place of a name's addresses. `certain`: there are none; else that could not be found out."""

    reason: str
    certain: bool


@dataclass(frozen=True)
class AcmeAnswer:
    """What an ACME server answers: whether that is a directory (RFC 8555, section 7.1.1), and the time by
    its clock."""

    is_directory: bool
    date: datetime | None


@dataclass(frozen=True)
class NoAcmeAnswer:
    """Why there is none. `untrusted`: its certificate is by no CA that this machine trusts."""

    reason: str
    untrusted: bool = False


Addresses = Sequence[str] | Unresolved
AcmeResult = AcmeAnswer | NoAcmeAnswer


@dataclass(frozen=True)
class MachineFile:
    """A file of this machine: its permission bits and text, or why it cannot be read."""

    path: str
    mode: int = 0
    text: str = ""
    fault: str = ""
    missing: bool = False


def output_of(words: Sequence[str]) -> ProgramResult | None:
    """How a program ends; None where it is not there. 124 where it does not end in time."""
    if shutil.which(words[0]) is None:
        return None
    try:
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ProgramResult(124, f"it did not end within {SECONDS} s")
    except OSError as error:
        return ProgramResult(126, str(error.strerror))
    return ProgramResult(ended.returncode, f"{ended.stdout}{ended.stderr}".strip())


def resolve(name: str) -> Addresses:
    """The addresses of a name, as this machine's programs get them."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        names = ("EAI_NONAME", "EAI_NODATA")
        return Unresolved(str(error.strerror), error.errno in {getattr(socket, each, None) for each in names})
    except UnicodeError:
        return Unresolved("it is no name that the DNS can have", certain=True)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def fetch_directory(url: str) -> AcmeResult:
    """GETs an ACME directory, which counts against no rate limit (letsencrypt.org/docs/rate-limits)."""
    import urllib.error
    import urllib.request
    from email.utils import parsedate_to_datetime
    from http.client import HTTPException

    request = urllib.request.Request(url, headers={"User-Agent": "reconcile"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            body, date = answer.read(SIZE), answer.headers["Date"]
    except urllib.error.HTTPError as error:
        return NoAcmeAnswer(f"it answers {error.code} {error.reason}")
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return NoAcmeAnswer(str(reason), isinstance(reason, ssl.SSLCertVerificationError))
    try:
        when = parsedate_to_datetime(date) if date else None
    except ValueError:
        when = None
    return AcmeAnswer(is_directory(body.decode("utf-8", "replace")), when if when and when.tzinfo else None)


def is_directory(text: str) -> bool:
    """Whether a text is the directory of an ACME server, and not what a proxy or a portal answers."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("newOrder"), str)


def _python() -> tuple[int, int, int]:
    return sys.version_info[:3]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine that runs reconcile; a test hands in another."""

    python: Callable[[], tuple[int, int, int]] = _python
    output_of: Callable[[Sequence[str]], ProgramResult | None] = output_of
    resolve: Callable[[str], Addresses] = resolve
    fetch_directory: Callable[[str], AcmeResult] = fetch_directory


def read_file(path: str) -> MachineFile:
    """A text file with its permissions."""
    try:
        mode = Path(path).stat().st_mode & 0o777
        # Of a pipe or a device nothing would come, or no end of it.
        text = Path(path).read_bytes().decode("utf-8", "replace") if Path(path).is_file() else ""
    except OSError as error:
        return MachineFile(path, fault=str(error.strerror), missing=isinstance(error, FileNotFoundError))
    return MachineFile(path, mode, text, "" if Path(path).is_file() else "it is not a regular file")


def unset_variables(urls: Sequence[str]) -> list[str]:
    """Which of the variables are not set that `env:NAME` names."""
    names = [url.removeprefix("env:") for url in urls if url.startswith("env:")]
    return [name for name in names if not os.environ.get(name)]


def bounded(
    calls: Mapping[_Key, Callable[[], _Value]], seconds: float, late: _Value
) -> Mapping[_Key, _Value]:
    """What each call returns, all side by side; `late` where that takes longer than `seconds`.

    A resolver cannot be told to hurry. A call that is late is left to itself, and ends with the process.
    """
    results: dict[_Key, _Value] = {}

    def keep(key: _Key, call: Callable[[], _Value]) -> None:
        results[key] = call()

    threads = [threading.Thread(target=keep, args=pair, daemon=True) for pair in calls.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {key: results.get(key, late) for key in calls}
