"""A second CA in the environment file: its shape, whose roots count, and to which certificates it belongs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.environment.certificate import LETS_ENCRYPT, Fallback
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.settings import Environment
from tests import ROOT

HEAD = "environment: e\nrouter: cn.example.org\nhosts: [{name: cn-1.example.org, primary: true}]\n"
ROOTS = (ROOT / "examples" / "example-ca.pem").read_bytes()
OF_AN_ENTRY = """\
certificate: {server: 'https://a.org/d'}
certificates: [{name: w, names: [w.org], fallback: {server: 'https://a.org/d'}}]
"""
FALLBACK = "  fallback:\n    server: https://b.org/dir\n    roots: ca.pem\n"


def loaded(tmp_path: Path, text: str) -> Environment:
    (tmp_path / "ca.pem").write_bytes(ROOTS)
    file = tmp_path / "e.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return load(str(file))


def test_a_chain_may_lead_to_the_roots_of_either(tmp_path: Path) -> None:
    one = loaded(
        tmp_path, f"certificate:\n  server: https://a.org/dir\n  roots: ca.pem\n{FALLBACK}"
    ).certificate
    assert one.fallback == Fallback(server="https://b.org/dir", roots="ca.pem")
    assert one.anchors == ROOTS
    two = loaded(tmp_path, f"certificate:\n{FALLBACK}").certificate
    assert two.anchors.startswith(two.trusted)
    assert two.anchors.endswith(ROOTS)
    assert loaded(tmp_path, "certificate: {roots: ca.pem}\n").certificate.anchors == ROOTS


def test_an_entry_has_the_one_of_certificate_unless_its_ca_is_another(tmp_path: Path) -> None:
    entries = (
        "certificates:\n  - {name: a, names: [a.org]}\n  - {name: b, names: [b.org], server: 'https://x.org/d'}\n"
        "  - {name: c, names: [c.org], fallback: {server: 'https://c.org/dir'}}\n"
    )
    found = [
        each.settings.fallback for each in loaded(tmp_path, f"certificate:\n{FALLBACK}{entries}").ordered
    ]
    assert [each and each.server for each in found] == ["https://b.org/dir", None, "https://c.org/dir"]
    assert found[0] is not None
    assert found[0].trusted == ROOTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("certificate: {fallback: {email: a@example.org}}\n", '"server" is missing'),
        ("certificate: {fallback: {server: 'http://a.org'}}\n", "is not a URL that begins with https://"),
        (f"certificate: {{fallback: {{server: '{LETS_ENCRYPT}'}}}}\n", "it is the CA of `server` itself"),
        ("certificate: {fallback: {server: 'https://a.org/d', profile: x}}\n", "profile"),
        (
            OF_AN_ENTRY,
            ":5:61: it is the CA of `server` itself: name another one",
        ),
        ("certificate: {fallback: {server: 'https://a.org/d', roots: none.pem}}\n", "none.pem"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        loaded(tmp_path, text)
    assert expected in str(caught.value)
