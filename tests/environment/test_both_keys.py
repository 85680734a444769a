"""Two certificates on one port: what is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment, load

HEAD = """environment: e
router: cn.example.org
hosts:
  - {name: cn-1.example.org, primary: true}
"""
SAME = "    names: [cn.example.org, CN-1.example.org]\n"
OTHER = f"certificates:\n  - name: other\n{SAME}    key_type: ecdsa-p256\n"
NGINX = (
    "consumers:\n  - {unit: nginx, port: 8444}\n  - {unit: nginx.service, port: 8444, certificate: other}\n"
)
APACHE = "services: {apache_also: other}\n"


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "e.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(InvalidEnvironment) as error:
        load(str(file))
    return str(error.value)


def test_one_with_each_kind_of_key_and_the_same_names_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(HEAD + OTHER + NGINX + APACHE, encoding="utf-8")
    env = load(str(file))
    assert [env.key_asked(each) for each in env.consumers] == ["RSA", "ECDSA"]
    alone = HEAD + OTHER + NGINX.replace("port: 8444}", "port: 8443}")
    file.write_text(alone, encoding="utf-8")
    env = load(str(file))
    assert [env.key_asked(each) for each in env.consumers] == ["", ""]


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("slapd", "it has one `TLSCertificateFile`"),
        ("vsftpd", "it has one `rsa_cert_file`, and none for ECDSA"),
        ("mariadb", "it has one `ssl_cert`"),
        ("mysql", "it has one `ssl_cert`"),
    ],
)
def test_a_service_that_cannot_have_two_is_refused_with_the_reason(
    tmp_path: Path, unit: str, why: str
) -> None:
    said = refused(tmp_path, OTHER + NGINX.replace("nginx", unit))
    assert f"e.yaml:11:5: {unit} on 8444 is here already, in line 10: {unit} cannot serve two" in said
    assert why in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            OTHER + NGINX.replace(", certificate: other", ""),
            "is for another certificate, with the other kind",
        ),
        (OTHER.replace("ecdsa-p256", "rsa") + NGINX, "and other both have RSA keys"),
        (
            f"certificate: {{key_type: ecdsa-p256}}\n{OTHER.replace('    key_type: ecdsa-p256', '')}{NGINX}",
            "the environment's own certificate and other both have ECDSA keys, and a service chooses",
        ),
        (OTHER.replace("CN-1", "www") + NGINX, "other lacks cn-1.example.org: clients that take its kind"),
        (
            OTHER.replace("CN-1", "www.example.org, CN-1") + NGINX,
            "the environment's own certificate lacks www.example.org: clients that take its kind of key",
        ),
        (
            "certificates:\n  - {name: other, file: /x.pem}\n" + NGINX,
            "other is brought, and nothing says which kind of key it has",
        ),
        (OTHER + NGINX.replace("port: 8444, ", "port: 8444, protocol: smtp, "), "the same `protocol`"),
        (
            OTHER + NGINX + "  - {unit: nginx, port: 8444, certificate: third}\n",
            "a port has two certificates at most",
        ),
        (APACHE, "there is no certificate other in `certificates` (known: none)"),
        (OTHER.replace("CN-1", "www") + APACHE, "other lacks cn-1.example.org"),
        (OTHER + "    absent: true\n" + APACHE, "other is declared absent: leave this out"),
        (
            OTHER + "services: {apache: false, apache_also: other}\n",
            "Apache does not serve the environment's own certificate",
        ),
    ],
)
def test_what_is_no_pair_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, text)
