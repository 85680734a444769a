"""Questions about certificates and handshakes."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import CannotSee
from reconciler.questions.tls import HandshakeQuestion, HandshakeResult


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
