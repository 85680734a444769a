"""Approvals: a statement about a plan, signed with an SSH key. The door to ssh-keygen.

`ssh-keygen -Y sign` and `-Y verify` (OpenSSH 8.2 and newer); keys in an agent work where only
the public half is at hand. PROTOCOL.sshsig of OpenSSH has the format.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.approval.signed import SKEW
from reconciler.messages import Message

NAMESPACE = "reconcile-approval"
"""What ssh-keygen mixes into a signature, so that one made for anything else is none."""

RUNS = "reconcile-run"
"""The same for what is signed of a run, which is no approval of anything."""

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"

KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


class NoSignature(Exception):
    """No signature could be made; the message says why and what to do."""


@dataclass(frozen=True)
class Approval:
    """A line of a plan's file of approvals: a JSON text, and the signature over it (PEM, PROTOCOL.sshsig)."""

    statement: str
    signature: str

    @property
    def says(self) -> Mapping[str, Any]:
        """What it states; empty where that is not to be read."""
        try:
            said = json.loads(self.statement)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}


@dataclass(frozen=True)
class JudgedApproval:
    """An approval that counts: `approver` signed it and `reason` is empty. Or one that does not,
    and why; `approver` and `key`, the fingerprint of the key, are empty where nobody knows the key."""

    approval: Approval
    approver: str = ""
    key: str = ""
    reason: str = ""


def beside(plan: Path) -> Path:
    """The file with the approvals of a saved plan, beside it: one approval a line."""
    return plan.with_name(f"{plan.name}.approvals")


def statement(document: Mapping[str, Any], expires: datetime, approved: datetime) -> str:
    """What an approver signs: a JSON text with the digest of a plan document, and until when the
    approval counts. Both times are aware."""
    said = {
        "approves": document["digest"],
        "environment": document["environment"],
        "file_digest": document["file_digest"],
        "approved": approved.isoformat(timespec="seconds"),
        "expires": expires.isoformat(timespec="seconds"),
    }
    return json.dumps(said, sort_keys=True)


def default_key() -> Path:
    """The first of the keys that ssh-keygen(1) names by default. Raises `NoSignature`."""
    folder = Path.home() / ".ssh"
    for name in KEYS:
        for path in (folder / name, folder / f"{name}.pub"):
            if path.exists():
                return path
    raise NoSignature(f"there is no key in {folder} ({', '.join(KEYS)}); name one with --key")


def sign(text: str, key: Path, namespace: str = NAMESPACE, *, asks: bool = True) -> Approval:
    """Signs with a private key, or with the agent's where `key` is a public one; `asks`: a passphrase may be
    asked for. Raises `NoSignature`."""
    ended = _keygen("sign", "-f", str(key), "-n", namespace, text=text, asks=asks)
    if ended.returncode != 0 or "BEGIN SSH SIGNATURE" not in ended.stdout:
        raise NoSignature(f"{key}: ssh-keygen did not sign: {_last_line(ended.stderr)}")
    return Approval(text, ended.stdout)


def compact(approval: Approval) -> str:
    """The signature without its armour (PROTOCOL.sshsig): base64, in one line."""
    return "".join(approval.signature.replace(_BEGIN, "").replace(_END, "").split())


def expanded(statement: str, signature: str) -> Approval:
    """What `compact` has made short, over this statement."""
    return Approval(statement, "\n".join([_BEGIN, *textwrap.wrap(signature, 70), _END, ""]))


def add(file: Path, approval: Approval) -> None:
    """Appends an approval to a file, made where there is none. Raises `OSError`."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"statement": approval.statement, "signature": approval.signature}) + "\n")


def read(file: Path) -> list[Approval]:
    """The approvals in a file; none where there is no file. A line that is no
    approval becomes one without a signature, so that it is named. Raises `OSError`."""
    if not file.exists():
        return []
    return [
        _approval(line) for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line
    ]


def _approval(line: str) -> Approval:
    try:
        found = json.loads(line)
        return Approval(str(found["statement"]), str(found["signature"]))
    except (ValueError, KeyError, TypeError):
        return Approval(line, "")


def judge(
    approvals: Iterable[Approval], document: Mapping[str, Any], allowed: Path, now: datetime
) -> list[JudgedApproval]:
    """For each approval, who signed it by the file `allowed`, and why it does not count if it
    does not. `document` is the plan's, `now` is aware. Raises `NoSignature`."""
    return [_judge(each, document, allowed, now) for each in approvals]


def _judge(approval: Approval, document: Mapping[str, Any], allowed: Path, now: datetime) -> JudgedApproval:
    signed = signer(approval, allowed)
    if signed is None:
        reason = f"it is signed by an unknown key, none of those in {allowed} {Message.UNKNOWN_SIGNER}"
        return JudgedApproval(approval, reason=reason)
    who, key = signed
    return JudgedApproval(approval, who, key, _why_not(approval.says, who, document, now))


def _why_not(says: Mapping[str, Any], who: str, document: Mapping[str, Any], now: datetime) -> str:
    """Why what somebody has signed is no approval of a plan; "" where it is one."""
    for name, what in (
        ("approves", "digest"),
        ("environment", "environment"),
        ("file_digest", "file_digest"),
    ):
        if says.get(name) != document[what]:
            return f"the approval of {who} is for another plan ({says.get(name)})"
    try:
        approved, expires = (datetime.fromisoformat(str(says.get(name))) for name in ("approved", "expires"))
        if approved > now + SKEW:
            return f"the approval of {who} is of {says['approved']}, which is not yet"
        if expires > datetime.fromisoformat(document["expires"]):
            return f"the approval of {who} is to last longer than the plan"
        over = now >= expires
    except (ValueError, TypeError):
        return f"the approval of {who} has no valid expiry"
    return f"the approval of {who} expired at {says['expires']}" if over else ""


def signer(approval: Approval, allowed: Path, namespace: str = NAMESPACE) -> tuple[str, str] | None:
    """The principal whose signature it is, by the file of allowed signers (ssh-keygen(1), ALLOWED
    SIGNERS), and the fingerprint of the key; None where no key in it made the signature.

    Raises `NoSignature`."""
    with _signature(approval) as file:
        found = _keygen("find-principals", "-s", file, "-f", str(allowed))
        if found.returncode != 0:
            return None
        for who in found.stdout.splitlines():
            if (key := _verified(approval, file, who, allowed, namespace)) is not None:
                return who, key
    return None


def signs_as(approval: Approval, who: str, allowed: Path) -> bool:
    """Whether the file of allowed signers has the key under this name, too. Raises `NoSignature`."""
    with _signature(approval) as file:
        return _verified(approval, file, who, allowed, NAMESPACE) is not None


def _verified(approval: Approval, file: str, who: str, allowed: Path, namespace: str) -> str | None:
    options = ("-f", str(allowed), "-I", who, "-n", namespace, "-s", file)
    ended = _keygen("verify", *options, text=approval.statement)
    # `Good "NAMESPACE" signature for WHO with ED25519 key SHA256:…` (ssh-keygen.c, sig_verify)
    key = re.search(r" key (SHA256:\S+)\s*$", ended.stdout)
    return key[1] if ended.returncode == 0 and key else None


@contextmanager
def _signature(approval: Approval) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".sig") as file:
        file.write(approval.signature)
        file.flush()
        yield file.name


def _keygen(*words: str, text: str = "", asks: bool = True) -> subprocess.CompletedProcess[str]:
    # In a session of its own it has no terminal to ask on, and so fails (ssh(1), SSH_ASKPASS_REQUIRE).
    environ = {} if asks else {"SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", *words],
            input=text,
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
            start_new_session=not asks,
            env={**os.environ, **environ},
        )
    except FileNotFoundError:
        raise NoSignature("ssh-keygen is not on this machine; install openssh-client") from None
    except subprocess.TimeoutExpired:
        raise NoSignature("ssh-keygen did not finish within two minutes") from None


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
