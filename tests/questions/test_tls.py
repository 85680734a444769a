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
    assert hung.reason == "no answer within 10 s"
    assert replace(wrong, reason="") == HandshakeResult("")
