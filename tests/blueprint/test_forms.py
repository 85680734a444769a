"""The forms of a pair beside certbot's files, as the script `release` makes them; run here."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler import x509
from reconciler.blueprint import resources, templates
from reconciler.environment.services import FORMS, Consumer
from reconciler.kinds.certificate.form import CertificateFile
from reconciler.kinds.file import File
from reconciler.kinds.service import Service
from reconciler.model import Ref
from tests.blueprint.test_consumers import EXAMPLE, ONE, TWO
from tests.kinds.certificate.pairs import fullchain
from tests.support.forged import key_pem, rsa_key

pytestmark = pytest.mark.one_python

ALL = tuple(file for files in FORMS.values() for file in files)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root's group: needs root")


class Store:
    """A folder of releases, and the script with the forms that are declared."""

    def __init__(self, folder: Path, forms: tuple[str, ...] = ALL) -> None:
        self.store, self.source, self.forms = folder / "store", folder / "live", forms
        self.source.mkdir()
        self.renew()

    def renew(self) -> None:
        """Certbot has another pair."""
        made = rsa_key()
        self.chain, key = fullchain(made), key_pem(made)
        leaf, mark, issuer = self.chain.partition("-----END CERTIFICATE-----\n")
        texts = {"cert": leaf + mark, "chain": issuer, "fullchain": self.chain, "privkey": key}
        for name, text in texts.items():
            (self.source / f"{name}.pem").write_text(text)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        settings = {"store": str(self.store), "group": "root", "keys": "", "forms": " ".join(self.forms)}
        script = templates.script("release.sh", "e", {**settings, "complaint": "", "rsa": "", "ecdsa": ""})
        return subprocess.run(
            ["sh", "-s", "--", *words], input=script, text=True, capture_output=True, timeout=60, check=False
        )

    def stage(self, release: str) -> None:
        done = self.run("stage", release * 32, str(self.source))
        assert done.returncode == 0, done.stderr

    def use(self, link: str = "staged") -> Path:
        done = self.run("use", link)
        assert (done.returncode, done.stderr) == (0, "")
        return self.current

    @property
    def current(self) -> Path:
        return (self.store / "current").resolve()

    def wrong(self) -> list[str]:
        """Which forms of the release in use are not of its pair."""
        return [name for name in ALL if self.run("form", name).returncode]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def certificates_in(store: Path, kind: str) -> str:
    """What Java says of a keystore; without a password on its command line."""
    done = subprocess.run(
        ["keytool", "-list", "-v", "-keystore", store, "-storetype", kind, "-storepass:env", "P"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "P": "changeit", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_root
def test_a_release_is_staged_with_every_form_that_is_declared(store: Store) -> None:
    store.stage("a")
    folder = store.use()
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        [*ALL, "cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"]
    )
    assert {(folder / name).stat().st_mode & 0o777 for name in ALL} == {0o640}
    key = (folder / "privkey.pem").read_text()
    assert (folder / "bundle.pem").read_text() == key + store.chain
    assert (folder / "cert.der").read_bytes() == x509.chain(store.chain)[0].public_bytes(Encoding.DER)
    assert store.wrong() == []
    (folder / "privkey.pem").unlink()
    assert store.run("form", "bundle.pem").returncode == 1, "there is nothing that only root could see"


@needs_root
@pytest.mark.skipif(not shutil.which("keytool"), reason="no Java here")
@pytest.mark.parametrize("kind", ["PKCS12", "JKS"])
def test_java_opens_the_keystore_whatever_type_it_is_told(store: Store, kind: str) -> None:
    store.stage("a")
    said = certificates_in(store.use() / "keystore.p12", kind)
    assert "Entry type: PrivateKeyEntry" in said
    assert f"Certificate chain length: {len(x509.chain(store.chain))}" in said


@needs_root
@pytest.mark.parametrize("name", ALL)
def test_one_that_is_missing_cut_or_of_another_pair_is_told_and_mended(store: Store, name: str) -> None:
    store.stage("a")
    old = (store.use() / name).read_bytes()
    store.renew()
    store.stage("b")
    file = store.use() / name
    before = {each.name: each.read_bytes() for each in file.parent.iterdir()}
    for damage in (None, b"", old, old[: len(old) // 2]):
        if damage is None:
            file.unlink()
        else:
            file.write_bytes(damage)
        assert store.wrong() == [name]
        assert store.run("forms").returncode == 0
        assert store.wrong() == []
    after = {each.name: each.read_bytes() for each in file.parent.iterdir()}
    assert {each for each in after if after[each] != before.get(each)} <= {"keystore.p12"}
    file.chmod(0o644)
    assert store.run("forms").returncode == 0
    assert file.stat().st_mode & 0o777 == 0o640


@needs_root
def test_a_form_that_is_declared_later_is_made_in_what_links_lead_to_and_comes_back_with_it(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path, ())
    store.stage("a")
    first = store.use()
    assert store.run("proven", "5").returncode == 0
    store.renew()
    store.stage("b")
    second = store.use()
    assert not {each.name for each in (*first.iterdir(), *second.iterdir())} & set(ALL)
    store.forms = ("bundle.pem",)
    assert store.run("form", "bundle.pem").returncode == 1
    assert store.use("proven") == first, "a rescue brings the form, too"
    assert (first / "bundle.pem").exists()
    assert not (second / "bundle.pem").exists()
    store.forms = ALL
    assert store.run("forms").returncode == 0
    assert set(ALL) <= {each.name for each in first.iterdir()} & {each.name for each in second.iterdir()}


@needs_root
def test_what_cannot_be_made_is_not_staged_and_leaves_nothing(store: Store) -> None:
    store.forms = ("unheard-of.jks",)
    done = store.run("stage", "a" * 32, str(store.source))
    assert done.returncode == 1
    assert "unheard-of.jks could not be made of the pair there" in done.stderr
    assert not (store.store / "staged").exists()


def test_a_host_has_the_forms_of_its_own_consumers_and_they_wait_for_them() -> None:
    haproxy = Consumer(unit="haproxy", port=8445, form="pem")
    java = Consumer(unit="java", port=8446, form="der", hosts=("replicas",))
    env = replace(EXAMPLE, consumers=(haproxy, java), resources=())
    made = resources(env)
    files = [(each.host, each.file) for each in made if isinstance(each, CertificateFile)]
    one, two = ONE.name, TWO.name
    assert files == [(one, "bundle.pem"), (two, "bundle.pem"), (two, "cert.der"), (two, "privkey.der")]
    scripts = {
        each.host: each.content or ""
        for each in made
        if isinstance(each, File) and each.ref.name.endswith("/bin/release")
    }
    assert "\nforms=bundle.pem\n" in scripts[one]
    assert "\nforms='bundle.pem cert.der privkey.der'\n" in scripts[two]
    (unit,) = [each for each in made if isinstance(each, Service) and (each.host, each.unit) == (two, "java")]
    path = "/var/lib/reconciler/certificate/current/"
    assert {Ref(two, "certificate_file", f"{path}{name}") for name in FORMS["der"]} <= set(unit.needs)


def test_no_password_is_in_an_argument_list() -> None:
    script = (Path(templates.__file__).parent / "release.sh").read_text()
    assert [line for line in script.splitlines() if "changeit" in line] == ["changeit", "changeit"]
