"""A real server with an RSA and an ECDSA certificate shows each client the one that it takes: however it is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler import x509
from reconciler.blueprint import templates
from reconciler.questions.tls import COMPLAINT, KEYS, HandshakeQuestion
from reconciler.tls.endpoint import Endpoint, NoHandshake
from reconciler.tls.handshake import probe_tls
from tests.tls.test_handshake import HERE, s_server

pytestmark = pytest.mark.one_python

KINDS = {"RSA": ["rsa:2048"], "ECDSA": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}
RSA_ALONE = ("-cert", "RSA.pem", "-key", "RSA.key")
BOTH = (*RSA_ALONE, "-dcert", "ECDSA.pem", "-dkey", "ECDSA.key")
VERSIONS = ("-tls1_2", "-tls1_3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with each kind of key, and a store of each that release.sh reads."""
    made = tmp_path_factory.mktemp("kinds")
    for name, words in KINDS.items():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *words, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem",
             "-subj", f"/CN={name}"],
            cwd=made, check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        (made / name / "current").mkdir(parents=True)
        (made / name / "current" / "fullchain.pem").write_text((made / f"{name}.pem").read_text())
    return made


def told(folder: Path, name: str) -> str:
    return x509.identity(x509.chain((folder / f"{name}.pem").read_text()))


def shown(port: int, key: str) -> str:
    """From outside, by the controlling machine."""
    answer = probe_tls(Endpoint("web", HERE, "x", port, "tls", None, key), 5)
    return x509.identity(x509.chain_der(answer.chain))


def asked(port: int, key: str) -> str:
    """From a host, by its shell."""
    question = HandshakeQuestion(port, "tls", None, key=key)
    done = subprocess.run(["sh"], input=HandshakeQuestion.script([question]).encode(), capture_output=True)
    (result,) = HandshakeQuestion.parse(done.stdout, [question])
    return result.reason or x509.identity(x509.chain(result.certificates))


def prove(folder: Path, name: str, port: int, key: str) -> subprocess.CompletedProcess[str]:
    """By the script that switches a host."""
    settings = {"store": f"{folder}/{name}", "group": "root", "keys": "", "forms": "", "complaint": COMPLAINT}
    kinds = {"rsa": KEYS["RSA"], "ecdsa": KEYS["ECDSA"]}
    script = templates.script("release.sh", "e", {**settings, **kinds})
    words = ["prove", "0", str(port), f"tls+{key}", ""]
    return subprocess.run(
        ["sh", "-s", "--", *words], input=script, text=True, capture_output=True, timeout=60
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_each_kind_is_shown_to_who_takes_that_alone(folder: Path, version: str) -> None:
    with s_server(folder, *BOTH, version) as port:
        for key, other in (("RSA", "ECDSA"), ("ECDSA", "RSA")):
            assert shown(port, key) == asked(port, key) == told(folder, key)
            assert prove(folder, key, port, key).returncode == 0
            assert "it still serves another certificate" in prove(folder, other, port, key).stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_where_one_is_missing_who_takes_that_alone_is_refused(folder: Path, version: str) -> None:
    with s_server(folder, *RSA_ALONE, version) as port:
        assert shown(port, "RSA") == asked(port, "RSA") == told(folder, "RSA")
        with pytest.raises(NoHandshake, match="it refused the handshake: handshake failure"):
            shown(port, "ECDSA")
        assert "handshake failure" in asked(port, "ECDSA")
        assert "port" in (refused := prove(folder, "ECDSA", port, "ECDSA").stderr)
        assert "no handshake:" in refused
