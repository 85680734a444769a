"""What certificates say, and whether a client would accept them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from reconciler import x509 as certificates
from reconciler.model import CannotSee
from reconciler.questions.tls import CertificatesQuestion
from reconciler.x509 import Unreadable
from tests.support import forged

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Made:
    """A certificate, and the key to sign others with."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=not authority,
        data_encipherment=False, key_agreement=False, key_cert_sign=authority, crl_sign=authority,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def make(
    common: str | None,
    by: Made | None = None,
    sans: tuple[str, ...] = (),
    *,
    authority: bool = False,
    days: tuple[int, int] = (-30, 60),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = BOTH,
    serial: int | None = None,
    keyid: bytes | None = None,
) -> Made:
    """With the extensions, and their criticality, that Pebble and Let's Encrypt put in."""
    mine = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    signer = by.key if by else mine
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(mine.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage(authority=authority), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(mine.public_key()), critical=False)
    )
    if by:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        if keyid is not None:
            identifier = x509.AuthorityKeyIdentifier(keyid, None, None)
        builder = builder.add_extension(identifier, critical=False)
    if sans:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in sans])
        builder = builder.add_extension(alternative, critical=common is None)
    return Made(builder.sign(signer, hashes.SHA256()), mine)


ROOT = make("Pebble Root CA 58574c", authority=True, days=(-1000, 9000))
MIDDLE = make("Pebble Intermediate CA 03d79a", ROOT, authority=True, days=(-1000, 9000))
SANS = ("cn.test.org", "a.test.org")
LEAF = make("cn.test.org", MIDDLE, SANS)
CHAIN = (LEAF.certificate, MIDDLE.certificate)


def pem(*made: Made) -> bytes:
    return b"".join(each.certificate.public_bytes(PEM) for each in made)


ROOTS = pem(ROOT)


def judged(*made: Made, roots: bytes = ROOTS, name: str = "cn.test.org", now: datetime = NOW) -> str | None:
    return certificates.why_not_trusted(certificates.chain(pem(*made)), roots, name, now)


def test_a_small_rsa_key_anywhere_in_the_chain_is_not_trusted() -> None:
    small, enough = (rsa.generate_private_key(65537, bits) for bits in (1024, 2048))
    weak = make("Weak CA", ROOT, authority=True, days=(-1000, 9000), key=small)
    said = "a key in the chain is RSA 1024, and clients accept no RSA key below 2048"
    assert judged(make("cn.test.org", MIDDLE, SANS, key=small), MIDDLE) == said
    assert judged(make("cn.test.org", weak, SANS), weak) == said
    assert judged(make("cn.test.org", MIDDLE, SANS, key=enough), MIDDLE) is None


def damaged(before: bytes, after: bytes) -> bytes:
    """A leaf that ends in 2053, with one thing in it changed."""
    der = make("cn.test.org", MIDDLE, SANS, days=(-30, 10_000)).certificate.public_bytes(DER)
    assert der.count(before) == 1
    return der.replace(before, after)


# --- reading ---


def test_a_chain_is_read_in_its_order_from_text_and_from_the_wire() -> None:
    text = "a remark\n" + pem(LEAF, MIDDLE).decode() + "\nanother\n"
    assert certificates.chain(text) == CHAIN
    assert certificates.chain(pem(MIDDLE, LEAF)) == CHAIN[::-1]
    assert certificates.chain_der(each.public_bytes(DER) for each in CHAIN) == CHAIN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "there is no certificate in it"),
        (b"-----BEGIN PRIVATE KEY-----", "there is no certificate in it"),
        ("sch\u00f6n \udcff", "there is no certificate in it"),
        (pem(LEAF)[:-30], "it is cut off in the middle of a certificate"),
        (pem(LEAF)[:200] + pem(MIDDLE), "it is cut off in the middle of a certificate"),
        (pem(LEAF).replace(b"MII", b"MIJ", 1), "a certificate in it is malformed"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "a certificate in it is malformed"),
        (pem(LEAF) + b"-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----", "a certificate in it is malformed"),
        (pem(*[LEAF] * 11), "it holds 11 certificates, more than 10"),
        (pem(LEAF) + b" " * 100_000, "it is longer than 100 kB"),
    ],
)  # fmt: skip
def test_what_holds_no_chain_says_why(text: bytes | str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        certificates.chain(text)
    assert str(caught.value) == reason


def test_ten_certificates_are_a_chain() -> None:
    assert len(certificates.chain(pem(*[LEAF] * 10))) == 10


@pytest.mark.parametrize(
    ("ders", "reason"),
    [
        ([], "there is no certificate in it"),
        ([b""], "a certificate in it is malformed"),
        ([LEAF.certificate.public_bytes(DER)[:-1]], "a certificate in it is malformed"),
        ([damaged(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")], "a certificate in it is malformed"),
        ([damaged(b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x0e")], "a certificate in it is malformed"),
        ([damaged(b"\x82\x0aa.test.org", b"\xa3\x0aa.test.org")], "a certificate in it is malformed"),
        ([damaged(b"\x03\x0c\x0bcn.test.org", b"\x03\x03\x0bcn.test.org")], "a certificate in it is malformed"),
        ([damaged(b"\x18\x0f2053", b"\x18\x0f0000")], "a certificate in it is malformed"),
        ([b"x" * 100_001], "it is longer than 100 kB"),
    ],
    ids=["none", "empty", "cut", "version 6", "an extension twice", "an odd name", "an odd subject", "year 0", "long"],
)  # fmt: skip
def test_what_came_over_the_wire_may_be_no_chain(ders: list[bytes], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        certificates.chain_der(ders)
    assert str(caught.value) == reason


def test_what_is_only_odd_is_read_without_a_word() -> None:
    """Pytest makes errors of warnings. A country of eleven letters; no serial number."""
    country = damaged(b"\x03\x0c\x0bcn.test.org", b"\x06\x0c\x0bcn.test.org")
    one = make("x", serial=1).certificate.public_bytes(DER)
    nought = one.replace(b"\xa0\x03\x02\x01\x02\x02\x01\x01", b"\xa0\x03\x02\x01\x02\x02\x01\x00")
    first, second = certificates.chain_der([country, nought])
    assert certificates.names(first) == tuple(sorted(SANS))
    assert certificates.serial_hex(second) == "00"


def facts(chain: certificates.Chain) -> tuple[object, ...]:
    """Everything that can be asked about a chain."""
    leaf = chain[0]
    asked: list[Callable[[x509.Certificate], object]] = [
        certificates.names, certificates.key_type, certificates.public_key_pem, certificates.window,
        certificates.serial_hex, certificates.issuer, certificates.ari_id,
    ]  # fmt: skip
    return (
        certificates.identity(chain),
        certificates.left(leaf, NOW),
        certificates.why_not_trusted(chain, ROOTS, "cn.test.org", NOW),
        *(ask(leaf) for ask in asked),
    )


@given(st.binary() | st.text(), st.booleans())
def test_garbage_is_unreadable_and_nothing_else(noise: bytes | str, framed: bool) -> None:
    data = noise.encode("utf-8", "replace") if isinstance(noise, str) else noise
    if framed:
        data = b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(Unreadable):
        certificates.chain(data)
    if isinstance(noise, str):
        with pytest.raises(Unreadable):
            certificates.chain(noise)


@given(st.data())
def test_a_damaged_certificate_is_unreadable_or_answers_everything(data: st.DataObject) -> None:
    der = bytearray(LEAF.certificate.public_bytes(DER))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = certificates.chain_der([bytes(der)])
    except Unreadable:
        return
    assert len(facts(read)) == 10


# --- what they say ---


def test_the_identity_is_that_of_the_leaf_with_its_chain() -> None:
    sum_of_leaf = certificates.identity((LEAF.certificate,))
    assert sum_of_leaf == LEAF.certificate.fingerprint(hashes.SHA256()).hex()[:32]
    assert len({sum_of_leaf, certificates.identity(CHAIN), certificates.identity(CHAIN[::-1])}) == 3


def test_names_are_those_clients_look_at() -> None:
    many = tuple(f"{letter}.org" for letter in "hgFedcba")
    assert certificates.names(make("b", sans=(*many, "A.ORG")).certificate) == tuple(
        f"{letter}.org" for letter in "abcdefgh"
    )
    assert certificates.names(make("only.the.common.name").certificate) == ()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ec.generate_private_key(ec.SECP256R1()), "ECDSA secp256r1"),
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA secp384r1"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_keys_are_as_openssl_prints_them(key: rsa.RSAPrivateKey, expected: str, tmp_path: Path) -> None:
    leaf = make("x", ROOT, key=key).certificate
    assert certificates.key_type(leaf) == expected
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(PEM))
    (tmp_path / "key.pem").write_bytes(private)
    of_leaf = run("openssl", "x509", "-in", str(tmp_path / "leaf.pem"), "-pubkey", "-noout")
    of_key = run("openssl", "pkey", "-in", str(tmp_path / "key.pem"), "-pubout")
    assert certificates.public_key_pem(leaf) == of_leaf == of_key


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_the_serial_number_is_as_openssl_prints_it(tmp_path: Path) -> None:
    for serial in (1, 0xABC, 0x87654321, 2**120 + 1):
        leaf = make("x", ROOT, serial=serial).certificate
        (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(PEM))
        printed = run("openssl", "x509", "-in", str(tmp_path / "leaf.pem"), "-serial", "-noout")
        assert f"serial={certificates.serial_hex(leaf).upper()}\n" == printed


def test_the_issuer_is_named() -> None:
    assert certificates.issuer(LEAF.certificate) == "CN=Pebble Intermediate CA 03d79a"


def test_how_much_is_left() -> None:
    leaf = make("x", days=(-30, 60)).certificate
    assert certificates.window(leaf) == (NOW - 30 * DAY, NOW + 60 * DAY)
    assert certificates.left(leaf, NOW) == pytest.approx(2 / 3)
    assert certificates.left(leaf, NOW + 60 * DAY) == 0
    assert certificates.left(leaf, NOW + 150 * DAY) == pytest.approx(-1)
    assert certificates.left(leaf, NOW - 90 * DAY) == 1
    assert certificates.left(make("x", days=(0, 0)).certificate, NOW + DAY) < 0


def test_the_id_for_renewal_information_is_that_of_the_rfc() -> None:
    """The example of RFC 9773, section 4.1."""
    keyid = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    leaf = make("x", ROOT, serial=0x87654321, keyid=keyid).certificate
    assert certificates.ari_id(leaf) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    leaf = make("x", ROOT, serial=0x7654321, keyid=keyid).certificate
    assert certificates.ari_id(leaf) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.B2VDIQ"
    negative = leaf.public_bytes(DER).replace(b"\x07\x65\x43\x21", b"\x87\x65\x43\x21")
    (odd,) = certificates.chain_der([negative])
    assert certificates.ari_id(odd) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ"
    assert certificates.ari_id(make("x", ROOT, keyid=b"").certificate) is None
    assert certificates.ari_id(ROOT.certificate) is None


# --- whether a client accepts them ---


def test_a_chain_to_a_known_root_is_accepted() -> None:
    assert judged(LEAF, MIDDLE) is None
    assert judged(LEAF, MIDDLE, name="A.Test.Org") is None
    assert judged(LEAF, MIDDLE, ROOT) is None


def test_the_newer_profiles_of_lets_encrypt_are_accepted() -> None:
    """No common name, so a critical SAN, and no client authentication
    (https://letsencrypt.org/docs/profiles/, "tlsserver")."""
    server = (ExtendedKeyUsageOID.SERVER_AUTH,)
    middle = make("YE1", ROOT, authority=True, purposes=server)
    assert judged(make(None, middle, SANS, purposes=server), middle) is None


def test_a_wildcard_is_for_one_label() -> None:
    wild = make("x", MIDDLE, ("*.test.org",))
    assert judged(wild, MIDDLE) is None
    assert judged(wild, MIDDLE, name="a.b.test.org") == "it does not carry a.b.test.org"
    assert judged(wild, MIDDLE, name="test.org") == "it does not carry test.org"
    assert judged(wild, MIDDLE, name="h\u00e4.test.org") == "h\u00e4.test.org is not a DNS name"
    assert judged(wild) == "the chain sent does not lead to a known root"


def test_only_what_was_sent_leads_to_a_root() -> None:
    no_root = "the chain sent does not lead to a known root"
    assert judged(LEAF) == no_root
    other = make("Pebble Root CA 58574c", authority=True)
    assert judged(LEAF, MIDDLE, roots=pem(other)) == f"{no_root} (signature does not match)"
    stranger = make("Pebble Intermediate CA 03d79a", other, authority=True)
    assert judged(LEAF, stranger) == f"{no_root} (signature does not match)"
    assert judged(LEAF, MIDDLE, roots=b"") == "there is no root to check it against (certificate: roots)"


def test_a_chain_that_expired_is_named() -> None:
    old = make("Old\nIntermediate", ROOT, authority=True, days=(-900, -1))
    leaf = make("x", old, SANS)
    assert judged(leaf, old) == (
        "the chain sent does not lead to a known root: CN=Old\\nIntermediate in it expired on 2026-05-31"
    )


def test_time_is_that_of_the_argument() -> None:
    _, end = certificates.window(LEAF.certificate)
    tokyo = timezone(timedelta(hours=9))
    assert judged(LEAF, MIDDLE, now=end.astimezone(tokyo)) is None
    assert judged(LEAF, MIDDLE, now=end.astimezone(tokyo) + DAY / 86400) == "it expired on 2026-07-31"
    assert judged(LEAF, MIDDLE, now=NOW - 31 * DAY) == "it is valid only from 2026-05-02"
    assert judged(LEAF, MIDDLE, name="other.org", now=end + DAY) == "it expired on 2026-07-31"


def test_names_that_it_does_not_carry() -> None:
    for name in ("other.org", "test.org", "b.cn.test.org", "h\u00e4.org", "a b", ""):
        assert judged(LEAF, MIDDLE, name=name) == f"it does not carry {name}"
    assert judged(make("cn.test.org", MIDDLE), MIDDLE) == "it does not carry cn.test.org"


def test_a_leaf_that_is_not_for_servers_is_not_accepted() -> None:
    client = make("x", MIDDLE, SANS, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    assert judged(client, MIDDLE) == "the chain sent does not lead to a known root (required EKU not found)"


def test_the_roots_of_the_system_can_be_read_one_odd_root_or_not() -> None:
    """Roots of GoDaddy's and others have the serial number 0, a warning today."""
    bundle = b"# a remark\n-----BEGIN CERTIFICATE-----\nodd\n-----END CERTIFICATE-----\n" + ROOTS
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    assert judged(LEAF, MIDDLE, roots=bundle + (system.read_bytes() if system.exists() else b"")) is None


def test_what_lies_below_a_closed_folder_is_hidden_and_not_absent(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    asked = [
        CertificatesQuestion(f"{tmp_path}/closed/live/x/cert.pem"),
        CertificatesQuestion("/etc/no/such/cert.pem"),
    ]
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"]
    ended = subprocess.run(
        [*command, f"mine() {{ :; }}\n{CertificatesQuestion.script(asked)}"],
        capture_output=True,
        check=True,
        timeout=20,
    )
    hidden, absent = CertificatesQuestion.parse(ended.stdout, asked)
    assert isinstance(hidden, CannotSee)
    assert absent is None


def test_what_a_certificate_is_for_and_to_which_root_its_chain_leads() -> None:
    root = forged.Issuer(forged.signed("Root Y", key := forged.rsa_key(), None, is_ca=True), key)
    leaf = forged.signed("r", forged.rsa_key(), root, names=("r",))
    assert certificates.usages(leaf) == ("serverAuth",)
    assert certificates.usages(root.certificate) == ()
    assert certificates.anchor((leaf,)) == "Root Y"
    pem = forged.pem(root.certificate).encode()
    end = certificates.window(root.certificate)[1]
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert certificates.described(broken + pem) == [("Root Y", end)]
    assert certificates.described(b"") == []


def bare(common: str, by: Made | None = None, *, ca: bool | None = None, days: int = 60) -> Made:
    """As openssl(1) makes them by hand: no key identifier, no key usage, no name but the common one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 30 * DAY)
        .not_valid_after(NOW + days * DAY)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=False)
    return Made(builder.sign(by.key if by else key, hashes.SHA256()), key)


def test_a_ca_of_ones_own_need_not_keep_the_rules_of_browsers() -> None:
    root = bare("root", ca=True)
    between, no_ca, over = (
        bare("between", root, ca=True),
        bare("no CA", root),
        bare("over", root, ca=True, days=-1),
    )
    leaf = bare("urn:node:A", between)

    def why_not(trusted: Made, *sent: Made) -> str | None:
        chain = certificates.chain(pem(*sent))
        return certificates.why_not_from(chain, pem(trusted), NOW)

    assert why_not(root, leaf, between) is None
    assert why_not(root, leaf, between, root) is None
    assert why_not(between, leaf) is None
    assert why_not(root, leaf) == "it does not lead to one of the roots"
    not_ca = bare("y", root, ca=False)
    assert "basicConstraints.cA must be asserted" in str(why_not(root, bare("x", not_ca), not_ca))
    assert str(why_not(root, bare("x", no_ca), no_ca)).startswith("it does not lead to one of the roots (")
    assert str(why_not(root, bare("x", over), over)).endswith("CN=over in it expired on 2026-05-31")
    assert why_not(root, bare("x", between, days=-1), between) == "it expired on 2026-05-31"
    alone = bare("alone")
    assert why_not(alone, alone) is None
    empty = certificates.why_not_from(certificates.chain(pem(leaf)), b"", NOW)
    assert empty == "there is no root to check it against (`roots`)"
