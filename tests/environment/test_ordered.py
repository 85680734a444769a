"""Entries of `certificates` that are ordered: what they take over, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment, load
from tests import ROOT

HEAD = """environment: e
router: cn.example.org
hosts:
  - {name: cn-1.example.org, primary: true}
  - {name: cn-2.example.org}
"""


def loaded(tmp_path: Path, text: str, certificate: str = "") -> object:
    file = tmp_path / "e.yaml"
    own = f"certificate:\n{certificate}" if certificate else ""
    file.write_text(f"{HEAD}{own}certificates:\n{text}", encoding="utf-8")
    return load(str(file))


def entry(more: str = "", name: str = "web", names: str = "web.example.org") -> str:
    return f"  - name: {name}\n    names: [{names}]\n{more}"


def test_what_it_does_not_say_is_as_in_certificate(tmp_path: Path) -> None:
    own = "  email: a@example.org\n  key_size: 4096\n  lifetime: 45\n  ping: /ping\n  server: https://a.org/dir\n"
    (found,) = loaded(tmp_path, entry("    deadline: 30\n"), own).ordered
    said = found.settings
    assert (said.email, said.key_size, said.lifetime, said.deadline) == ("a@example.org", 4096, 45, 30)
    assert (said.server, said.ping, said.names) == ("https://a.org/dir", None, ())


def test_with_another_ca_nothing_of_the_first_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text((ROOT / "examples" / "example-ca.pem").read_text(encoding="utf-8"))
    own = "  server: https://a.org/dir\n  ca_bundle: /a.pem\n  roots: ca.pem\n  key_size: 3072\n"
    more = "    server: https://b.org/dir\n    key_type: ecdsa-p256\n"
    same, other = (loaded(tmp_path, entry(each), own).ordered[0].settings for each in ("", more))
    assert (same.ca_bundle, same.roots, same.key_size) == ("/a.pem", "ca.pem", 3072)
    assert same.trusted == (ROOT / "examples" / "example-ca.pem").read_bytes()
    assert (other.ca_bundle, other.roots, other.key_type) == (None, None, "ecdsa-p256")


@pytest.mark.parametrize(
    ("text", "own", "expected"),
    [
        ("  - name: web\n", "", '"names" is missing'),
        (entry("    purpose: client\n"), "", "it has no `file`, so it is ordered here, and purpose is for one"),
        (entry("    key: /x.pem\n"), "", "name the `file` that it is in"),
        (entry(name="a.b"), "", 'name: "a.b" is not a name of letters, digits, `-` and `_`'),
        (entry(name="cn.example.org"), "", "is the environment's own certificate: take another name"),
        (entry() * 2, "", "web is here twice"),
        (entry(), "  manage: false\n", "and `certificate: manage` is false"),
        (entry(names='"*.example.org"'), "", "is a wildcard: CAs issue those by `challenge: dns-01` only"),
        (entry("    challenge: dns-01\n"), "", "nothing says how a record gets into the DNS"),
        (entry("    dns_wait: 9\n"), "", "it is for `challenge: dns-01`, which is not declared here"),
        (
            entry("    challenge: http-01\n"),
            "  challenge: dns-01\n  dns_hook: /x\n",
            "let both be http-01, or this one dns-01",
        ),
        (entry("    key_size: 4096\n"), "  key_type: ecdsa-p256\n", "and `key_type` is ecdsa-p256"),
        (entry("    lifetime: 6\n"), "  schedule: '17 3 * * *'\n", "too slow: certificates live 6 days"),
        (
            entry("    absent: true\nconsumers:\n  - {unit: x, port: 1, certificate: web}\n"),
            "",
            "a consumer serves web: let it serve another one first",
        ),
        (entry("    hosts: [nobody]\n"), "", "there is no host or group nobody"),
        (
            entry("    hosts: [primary]\nconsumers:\n  - {unit: x, port: 1, certificate: web}\n"),
            "",
            "the certificate web is not on cn-2.example.org",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str, own: str, expected: str) -> None:
    with pytest.raises(InvalidEnvironment) as error:
        loaded(tmp_path, text, own)
    assert any(expected in each.message for each in error.value.problems), error.value


def test_nothing_is_ordered_without_the_blueprint(tmp_path: Path) -> None:
    with pytest.raises(InvalidEnvironment, match="and `blueprint` is false: have it brought"):
        loaded(tmp_path, f"{entry()}blueprint: false\n")
