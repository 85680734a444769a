"""Certificates whose key is declared compromised: how they are written, whose they are, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.blueprint import resources
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.settings import Environment
from reconciler.model import Ref

HEAD = """environment: e
router: cn.example.org
hosts:
  - {name: cn-1.example.org, primary: true}
  - {name: cn-2.example.org}
"""
WEB = "certificates:\n  - name: web\n    names: [web.example.org]\n"


def loaded(tmp_path: Path, text: str) -> Environment:
    file = tmp_path / "e.yaml"
    file.write_text(f"{HEAD}{text}", encoding="utf-8")
    return load(str(file))


def declared(numbers: str) -> str:
    return f"certificate:\n  compromised: [{numbers}]\n"


def test_each_certificate_has_its_own_and_nothing_is_revoked_but_on_the_primary(tmp_path: Path) -> None:
    env = loaded(tmp_path, declared("03:ab") + WEB + '    compromised: ["12345E6", ff]\n')
    (web,) = env.ordered
    assert (env.certificate.compromised, web.settings.compromised) == (("03:ab",), ("12345E6", "ff"))
    made = {each.ref: each for each in resources(env)}
    found = {ref.name: each for ref, each in made.items() if ref.kind == "revocation"}
    assert {(each.host, name, each.record, each.script) for name, each in found.items()} == {
        (
            "cn-1.example.org",
            name,
            f"/var/lib/reconciler/revoked{of}",
            f"/etc/letsencrypt/renewal/{script}.sh",
        )
        for name, of, script in (
            ("03AB", "", "certificate"),
            ("012345E6", "-web", "certificate-web"),
            ("FF", "-web", "certificate-web"),
        )
    }
    assert found["FF"].serving == tuple(Ref(host.name, "serving", "web") for host in env.hosts)
    assert Ref("cn-1.example.org", "certificate", "web") in found["FF"].needs
    for name, numbers in (("cn.example.org", ("03AB",)), ("web", ("012345E6", "FF"))):
        assert made[Ref("cn-1.example.org", "certificate", name)].compromised.serials == numbers


def test_an_entry_takes_none_over(tmp_path: Path) -> None:
    (web,) = loaded(tmp_path, declared("03:ab") + WEB).ordered
    assert web.settings.compromised == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            declared("03-ab"),
            'compromised: "03-ab" is not a serial number as `openssl x509 -noout -serial` prints',
        ),
        (declared("serial=03AB"), "without `serial=`"),
        (declared("12345"), 'YAML reads 12345 as a number; write it in quotes: "12345"'),
        (declared("03ab, 3:AB"), "3:AB is here already, in line 7"),
        (declared("3AB") + WEB + "    compromised: [03ab]\n", "03ab is here already, in line 7"),
        (declared("ab") + "  manage: false\n", "`manage` is false, so nothing revokes it: revoke it by hand"),
        (
            WEB + "    absent: true\n    compromised: [ab]\n",
            "the certificate is declared absent, so nothing revokes",
        ),
        ("blueprint: false\n" + declared("ab"), "`blueprint` is false, so nothing revokes it"),
        ("certificates:\n  - {name: b, file: /b.pem, compromised: [ab]}\n", 'unknown key "compromised"'),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InvalidEnvironment) as raised:
        loaded(tmp_path, text)
    assert expected in "\n".join(map(str, raised.value.problems))
