"""Approvals by SSH key, made and judged by the real ssh-keygen and ssh-agent."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.approval import signatures
from reconciler.approval.signatures import NoSignature

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DOCUMENT = {
    "digest": "sha256:1",
    "environment": "lab",
    "file_digest": "f",
    "expires": (NOW + timedelta(hours=24)).isoformat(),
}


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """Ada and Bob may approve; Eve has a key."""
    lines = []
    for name in ("ada", "bob", "eve"):
        public = key(tmp_path, name).with_suffix(".pub").read_text()
        if name != "eve":
            lines.append(f"{name}@example.org {public}")
    path = tmp_path / "allowed_signers"
    path.write_text("".join(lines))
    return path


def approve(folder: Path, name: str, hours: int = 24, **more: str) -> None:
    text = signatures.statement({**DOCUMENT, **more}, NOW + timedelta(hours=hours), NOW)
    signatures.add(folder / "p.json.approvals", signatures.sign(text, folder / name))


def judged(allowed: Path, at: datetime = NOW) -> list[tuple[str, str]]:
    found = signatures.read(signatures.beside(allowed.with_name("p.json")))
    return [(each.approver, each.reason) for each in signatures.judge(found, DOCUMENT, allowed, at)]


def test_good_approvals_say_whose_they_are(allowed: Path) -> None:
    assert judged(allowed) == []
    approve(allowed.parent, "ada")
    approve(allowed.parent, "bob")
    assert judged(allowed) == [("ada@example.org", ""), ("bob@example.org", "")]


def test_approvals_that_do_not_count_say_why(allowed: Path) -> None:
    approve(allowed.parent, "eve")
    approve(allowed.parent, "ada", digest="sha256:2")
    approve(allowed.parent, "ada", environment="prod")
    approve(allowed.parent, "ada", file_digest="g")
    approve(allowed.parent, "bob", hours=1)
    reasons = [reason for _, reason in judged(allowed, NOW + timedelta(hours=2))]
    assert reasons == [
        f"it is signed by an unknown key, none of those in {allowed} [unknown-signer]",
        "the approval of ada@example.org is for another plan (sha256:2)",
        "the approval of ada@example.org is for another plan (prod)",
        "the approval of ada@example.org is for another plan (g)",
        "the approval of bob@example.org expired at 2026-11-23T13:00:00+00:00",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace("sha256:1", "sha256:9"),
        lambda line: line.replace("2026-11-24", "2027-11-24"),
        lambda line: re.sub(r"SIGNATURE-----\\n.{20}", lambda m: m[0][:-1] + "x", line, count=1),
        lambda _: "nonsense",
        lambda _: json.dumps({"statement": "[]", "signature": 3}),
        lambda line: line.replace("reconcile", "x")[:-40],
    ],
)
def test_an_approval_that_was_tampered_with_is_nobodys(allowed: Path, change) -> None:
    approve(allowed.parent, "ada")
    file = allowed.with_name("p.json.approvals")
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before
    assert judged(allowed) == [
        ("", f"it is signed by an unknown key, none of those in {allowed} [unknown-signer]")
    ]


def test_a_signature_for_anything_else_is_none(allowed: Path) -> None:
    text = signatures.statement(DOCUMENT, NOW + timedelta(hours=1), NOW)
    sign = ["ssh-keygen", "-Y", "sign", "-f", str(allowed.with_name("ada")), "-n", "git"]
    made = subprocess.run(sign, input=text, text=True, capture_output=True, check=True).stdout
    signatures.add(allowed.with_name("p.json.approvals"), signatures.Approval(text, made))
    assert judged(allowed)[0][0] == ""


@pytest.fixture
def agent() -> Iterator[None]:
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    os.environ |= found
    yield
    subprocess.run(["ssh-agent", "-k"], check=True, capture_output=True)
    for name in found:
        os.environ.pop(name)


@pytest.mark.usefixtures("agent")
def test_a_key_in_the_agent_signs_where_only_its_public_half_is(allowed: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(allowed.with_name("ada"))], check=True, capture_output=True)
    allowed.with_name("ada").unlink()
    approve(allowed.parent, "ada.pub")
    assert judged(allowed) == [("ada@example.org", "")]


def test_why_nothing_was_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSignature, match="did not sign"):
        signatures.sign("x", tmp_path / "none")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoSignature, match="name one with --key"):
        signatures.default_key()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoSignature, match="install openssh-client"):
        signatures.sign("x", tmp_path / "none")
