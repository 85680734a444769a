"""Certificates: what they say, and whether a client would accept them. Pure.

The one door to `cryptography`, which is slow to load: it is, when there is a certificate to
read. `now` is an argument.
"""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import verification

    Chain = tuple[x509.Certificate, ...]

MOST = 10
"""Certificates a chain may have; longer ones are no chains but accidents."""
SMALLEST = 2048
"""Bits of an RSA key that clients accept (CA/Browser Forum, Baseline Requirements, section 6.1.5)."""
LIMIT = 100_000
"""Bytes of PEM, or of DER, that are looked at."""

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_BLOCK = re.compile(_BEGIN + rb".*?-----END CERTIFICATE-----", re.DOTALL)


class Unreadable(ValueError):
    """There is no chain of certificates; the message is one line and says why."""


def _malformed() -> tuple[type[Exception], ...]:
    """What `cryptography` raises for certificates it cannot read."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    return (
        ValueError,
        TypeError,  # an odd type of string in a name
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    )


def chain(pem: bytes | str) -> Chain:
    """Every certificate of a PEM text, in its order. Raises `Unreadable`."""
    from cryptography import x509

    data = pem.encode("utf-8", "replace") if isinstance(pem, str) else pem
    if len(data) > LIMIT:
        raise Unreadable(f"it is longer than {LIMIT // 1000} kB")
    blocks: list[bytes] = _BLOCK.findall(data)
    if len(blocks) != data.count(_BEGIN):
        raise Unreadable("it is cut off in the middle of a certificate")
    return _whole(blocks, x509.load_pem_x509_certificate)


def chain_der(ders: Iterable[bytes]) -> Chain:
    """A chain as it came over the wire. Raises `Unreadable`."""
    from cryptography import x509

    data = list(ders)
    if sum(map(len, data)) > LIMIT:
        raise Unreadable(f"it is longer than {LIMIT // 1000} kB")
    return _whole(data, x509.load_der_x509_certificate)


def _whole(parts: list[bytes], load: Callable[[bytes], x509.Certificate]) -> Chain:
    if not parts:
        raise Unreadable("there is no certificate in it")
    if len(parts) > MOST:
        raise Unreadable(f"it holds {len(parts)} certificates, more than {MOST}")
    try:
        return tuple(_parsed(part, load) for part in parts)
    except _malformed() as error:
        raise Unreadable("a certificate in it is malformed") from error


def _parsed(part: bytes, load: Callable[[bytes], x509.Certificate]) -> x509.Certificate:
    """Parsing is lazy: what is broken inside has to show here, not at some later question.

    `cryptography` 50 warns of what is odd, but can be read: a serial number of 0 (some roots
    of Debian's have it), a country of more than two letters.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        each = load(part)
        _ = (each.extensions, each.public_key(), each.subject, each.issuer)
        _ = (each.not_valid_before_utc, each.not_valid_after_utc)
        return each


def identity(certificates: Chain) -> str:
    """32 hexadecimal digits that stand for the leaf together with its chain: a release's id."""
    from cryptography.hazmat.primitives import serialization

    digest = hashlib.sha256()
    for each in certificates:
        digest.update(each.public_bytes(serialization.Encoding.DER))
    return digest.hexdigest()[:32]


def names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The DNS names it carries, in lower case and sorted; never the common name, which
    clients do not look at (RFC 9525, section 2)."""
    from cryptography import x509

    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(sorted({name.lower() for name in found.value.get_values_for_type(x509.DNSName)}))


def key_type(leaf: x509.Certificate) -> str:
    """`RSA 2048`, `ECDSA secp256r1`, or the name of another kind of key, such as `Ed25519`."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey")


def public_key_pem(leaf: x509.Certificate) -> str:
    """Its public key, as `openssl pkey -pubout` prints the one of a private key."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return leaf.public_key().public_bytes(serialization.Encoding.PEM, form).decode("ascii")


def public_key_sum(leaf: x509.Certificate) -> str:
    """The SHA-256 of its public key (SubjectPublicKeyInfo, as DER), as 64 hexadecimal digits."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(leaf.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()


def base64_der(certificate: x509.Certificate) -> str:
    """The whole certificate on one line."""
    from base64 import b64encode

    from cryptography.hazmat.primitives.serialization import Encoding

    return b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")


def window(leaf: x509.Certificate) -> tuple[datetime, datetime]:
    """From when until when it is valid, in UTC."""
    return leaf.not_valid_before_utc, leaf.not_valid_after_utc


def left(leaf: x509.Certificate, now: datetime) -> float:
    """The fraction of its lifetime that is left: 1 when new, below 0 when expired."""
    begin, end = window(leaf)
    return min(1.0, (end - now) / max(end - begin, datetime.resolution))


def serial_hex(leaf: x509.Certificate) -> str:
    """Its serial number in hexadecimal, two digits a byte, as crt.sh shows it."""
    digits = f"{_serial(leaf):x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _serial(leaf: x509.Certificate) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return leaf.serial_number


def issuer(leaf: x509.Certificate) -> str:
    """Who signed it (RFC 4514)."""
    return leaf.issuer.rfc4514_string()


def anchor(certificates: Chain) -> str:
    """The common name of the root to which a chain leads: of who has signed its last certificate."""
    return _common_name(certificates[-1].issuer)


def usages(leaf: x509.Certificate) -> tuple[str, ...]:
    """What it may be used for (extended key usage, RFC 5280, section 4.2.1.12): `serverAuth`, `clientAuth`,
    else as dotted numbers."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

    known = {Usage.SERVER_AUTH: "serverAuth", Usage.CLIENT_AUTH: "clientAuth"}
    try:
        found = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(sorted(known.get(each, each.dotted_string) for each in found))


def described(pem: bytes) -> list[tuple[str, datetime]]:
    """The common name and the end of each certificate of a PEM text, without those that cannot be read."""
    return [(_common_name(each.subject), window(each)[1]) for each in _readable(pem)]


def _readable(pem: bytes) -> Iterator[x509.Certificate]:
    """The certificates of a PEM text, without those that cannot be read."""
    from cryptography import x509

    for block in _BLOCK.findall(pem):
        with suppress(*_malformed()):
            yield _parsed(block, x509.load_pem_x509_certificate)


def subject(leaf: x509.Certificate) -> str:
    """The common name of whom it is for; empty where it has none."""
    return _common_name(leaf.subject)


def _common_name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    return " ".join(str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def ari_id(leaf: x509.Certificate) -> str | None:
    """What the CA's renewal information calls it (RFC 9773, section 4.1); None where it does
    not name its issuer's key."""
    from cryptography import x509

    try:
        found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    if not found.value.key_identifier:
        return None
    number = _serial(leaf)
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    parts = (found.value.key_identifier, serial)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii") for part in parts)


def why_not_trusted(certificates: Chain, roots_pem: bytes, name: str, now: datetime) -> str | None:
    """None where a client that trusts the roots would accept the chain for this name, with
    nothing but the certificates that were sent, leaf first; else one line that says why not.

    Judged as browsers do it (`cryptography.x509.verification`: the rules of the CA/Browser
    Forum, which Let's Encrypt and Pebble keep).
    """
    from cryptography import x509
    from cryptography.x509 import verification

    leaf = certificates[0]
    if why_not := _why_not_now(leaf, now):
        return why_not
    if not carries(leaf, name):
        return f"it does not carry {name}"
    if small := [kind for kind in map(key_type, certificates) if is_small(kind, SMALLEST)]:
        return f"a key in the chain is {small[0]}, and clients accept no RSA key below {SMALLEST}"
    roots = _store(roots_pem)
    if roots is None:
        return "there is no root to check it against (certificate: roots)"
    try:
        verifier = verification.PolicyBuilder().store(roots).time(now)
        verifier.build_server_verifier(x509.DNSName(name)).verify(leaf, list(certificates[1:]))
    except ValueError:
        return f"{name} is not a DNS name"
    except verification.VerificationError as error:
        return f"the chain sent does not lead to a known root{_detail(error, certificates[1:], now)}"
    return None


def why_not_from(certificates: Chain, roots_pem: bytes, now: datetime) -> str | None:
    """None where the chain, leaf first, leads to one of the roots; else one line that says why not.

    Judged by RFC 5280 alone: what a CA of an organisation's own makes need not keep the rules of the
    CA/Browser Forum, such as a key identifier and a name in each certificate. Any of `roots_pem` may end the
    chain, an intermediate too.
    """
    from cryptography import x509
    from cryptography.x509 import verification

    if why_not := _why_not_now(certificates[0], now):
        return why_not
    roots = _store(roots_pem)
    if roots is None:
        return "there is no root to check it against (`roots`)"
    policy = verification.ExtensionPolicy
    anything = policy.permit_all()
    issuers = policy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
    )
    try:
        builder = verification.PolicyBuilder().store(roots).time(now)
        verifier = builder.extension_policies(ca_policy=issuers, ee_policy=anything).build_client_verifier()
        verifier.verify(certificates[0], list(certificates[1:]))
    except verification.VerificationError as error:
        return f"it does not lead to one of the roots{_detail(error, certificates[1:], now)}"
    return None


def _why_not_now(leaf: x509.Certificate, now: datetime) -> str | None:
    begin, end = window(leaf)
    if now > end:
        return f"it expired on {end:%Y-%m-%d}"
    return f"it is valid only from {begin:%Y-%m-%d}" if now < begin else None


def is_small(kind: str, least: int) -> bool:
    """Whether a key, as `key_type` has it, is an RSA key of fewer than `least` bits."""
    name, _, bits = kind.partition(" ")
    return name == "RSA" and int(bits) < least


def carries(leaf: x509.Certificate, name: str) -> bool:
    """Whether it is for this name, itself or by a wildcard for the first label."""
    _, _, domain = name.lower().partition(".")
    return bool({name.lower(), f"*.{domain}"} & set(names(leaf)))


def _detail(error: Exception, rest: Chain, now: datetime) -> str:
    """What is known beyond that: nothing where the chain just ends."""
    expired = [each for each in rest if now > window(each)[1]]
    if expired:
        end = window(expired[0])[1]
        said = f": {expired[0].subject.rfc4514_string()} in it expired on {end:%Y-%m-%d}"
    elif "no interior errors" in str(error):
        said = ""
    else:
        said = f" ({str(error).partition(' (encountered')[0].rpartition('failed: ')[2]})"
    return said.replace("candidates exhausted: ", "").encode("unicode_escape").decode("ascii")


@lru_cache(maxsize=4)
def _store(pem: bytes) -> verification.Store | None:
    """The roots that can be read: one odd root does not take the others with it."""
    from cryptography.x509 import verification

    found = list(_readable(pem))
    return verification.Store(found) if found else None
