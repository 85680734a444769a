"""Questions about certificates and handshakes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model import CannotSee
from reconciler.questions.tls import CertificatesQuestion, HandshakeQuestion, HandshakeResult


def test_handshakes_that_fail_are_explained_in_words() -> None:
    asked = [
        HandshakeQuestion(443, "tls", "a"),
        HandshakeQuestion(5432, "postgresql", None),
        HandshakeQuestion(1, "tls", None),
    ]
    said = b"0 1 140:error:0A00007B:SSL routines::bad signature:x\x002 124 \0"
    wrong, silent, hung = HandshakeQuestion.parse(said, asked)
    assert "its key does not belong to its certificate" in wrong.reason
    assert isinstance(silent, CannotSee)
    assert (hung, silent) == (
        CannotSee("`openssl s_client` could not be run, or was ended (status 124)"),
        CannotSee("`openssl s_client` to port 5432 did not end within 10 s"),
    )
    missing = CannotSee("awk is missing, no handshake can be made; install it there")
    assert HandshakeQuestion.parse(b"m awk\0", asked) == [missing] * 3
    assert replace(wrong, reason="") == HandshakeResult("")


def at(*answers: bytes) -> HandshakeResult | CannotSee:
    """What a host is said to present that was asked at several addresses."""
    (said,) = HandshakeQuestion.parse(b"".join(answers), [HandshakeQuestion(443, "tls", "a", "cn-2")])
    assert isinstance(said, (HandshakeResult, CannotSee))
    return said


def test_a_host_presents_what_it_presents_at_each_of_its_addresses() -> None:
    first, second = b"0@2/192.0.2.1 0 A\0", b"0@2/[2001:db8::1] 0 A\0"
    refused = b"0@2/[2001:db8::1] 1 connect:errno=111\0"
    assert at(first, second) == HandshakeResult("A")
    assert at(refused, first) == HandshakeResult("", "at [2001:db8::1]: nothing listens")
    other = at(first, second.replace(b"A", b"B"))
    assert other == HandshakeResult("", "at [2001:db8::1]: another certificate than at 192.0.2.1")


def test_an_address_whose_handshake_has_not_ended_tells_nothing_of_the_host() -> None:
    never = CannotSee("`openssl s_client` to port 443 did not end within 10 s")
    assert at(b"0@2/192.0.2.1 0 A\0") == never
    assert at() == never


PEM = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (f"said before\n{PEM}{KEY}* said $(false) between\n{PEM}after\n", PEM + PEM),
        (KEY, ""),
        ("", ""),
        (PEM.replace("\n", "\r\n"), PEM.replace("\n", "\r\n")),
        (f"{PEM}-----BEGIN CERTIFICATE-----\nQ", f"{PEM}-----BEGIN CERTIFICATE-----\nQ"),
        (f"-----BEGIN CERTIFICATE-----\nQ\n{KEY}{PEM}", f"-----BEGIN CERTIFICATE-----\nQ\n{PEM}"),
    ],
)
def test_nothing_but_certificates_is_printed_of_a_file(tmp_path: Path, text: str, printed: str) -> None:
    (tmp_path / "file.pem").write_bytes(text.encode())
    question = CertificatesQuestion(str(tmp_path / "file.pem"))
    script = CertificatesQuestion.script([question])
    done = subprocess.run(
        ["sh"], input=f"mine() {{ :; }}\n{script}".encode(), capture_output=True, check=True
    )
    assert done.stderr == b""
    assert CertificatesQuestion.parse(done.stdout, [question]) == [printed.strip()]
