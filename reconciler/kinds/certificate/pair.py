"""What makes a certificate and its key good: facts by name, shared by the kinds about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler import x509
from reconciler.model import CannotSee, Question, Value, quote
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.questions.tls import CertificatesQuestion

NAMES = ("cert", "chain", "fullchain", "privkey")
"""certbot's four files, without .pem."""

GROUP = "ssl-cert"
"""Who may read keys besides root: Debian's group for it."""

_NO_KEY = re.compile(
    r"could not (read|find) .*key|unable to load key|no such file or directory", re.IGNORECASE
)
"""What `openssl pkey` says of a file without a key: OpenSSL 3 (apps/lib/apps.c), 1.1.1, and of no file."""

_NOT_READ = re.compile(
    r"permission denied|input/output error|cannot allocate|stale file handle", re.IGNORECASE
)


@dataclass(frozen=True)
class Trust:
    """What a certificate has to stand up to: its names, the first of them the router's, and
    the roots (PEM) that its chain must lead to."""

    names: tuple[str, ...]
    roots: bytes


def questions(folder: str) -> Mapping[str, Question]:
    """What to ask about the pair in a folder. Only the key's public half is ever printed."""
    return {
        "fullchain": CertificatesQuestion(f"{folder}/fullchain.pem"),
        "public": CommandQuestion(f"openssl pkey -pubout -in {quote(f'{folder}/privkey.pem')}"),
    }


def facts(answers: Mapping[str, Any], trust: Trust, now: datetime) -> dict[str, Value] | CannotSee:
    """The pair by named facts; `release` is the identity of the leaf with its chain.

    Everything is as desired where `names`, `key`, `pair` and `chain` are those of `wanted`.
    """
    text = answers["fullchain"]
    if isinstance(text, CannotSee):
        return text
    if text is None:
        return {"release": "none"}
    try:
        chain = x509.chain(text)
    except x509.Unreadable as error:
        return {"release": f"unreadable: {error}"}
    leaf = chain[0]
    pair = _pair(answers["public"], x509.public_key_pem(leaf))
    if isinstance(pair, CannotSee):
        return pair
    why_not = x509.why_not_trusted(chain, trust.roots, trust.names[0], now)
    return {
        "release": x509.identity(chain),
        "names": " ".join(x509.names(leaf)),
        "key": x509.key_type(leaf).split(" ", maxsplit=1)[0],
        "pair": pair,
        "chain": why_not or "trusted",
        "expires": x509.window(leaf)[1].isoformat(timespec="minutes"),
    }


def _pair(said: CommandResult | CannotSee, public: str) -> str | CannotSee:
    """Whether the key belongs to the certificate. That there is no usable key must be proven
    by what openssl says of the file: a certificate would be ordered in its place."""
    if isinstance(said, CannotSee):
        return said
    if said.status == 0:
        same = said.output.split() == public.split()
        return "matches" if same else "the key belongs to another certificate"
    if said.status == 1 and _NO_KEY.search(said.output) and not _NOT_READ.search(said.output):
        return "there is no usable key"
    return CannotSee(f"the private key could not be checked: {_why(said)}")


def _why(said: CommandResult) -> str:
    """Why a command could not find out; 124, 126 and 127 are those of timeout(1) and sh."""
    if said.status == 124:
        return "openssl did not answer in time"
    if said.status in (126, 127):
        return "openssl is missing; install the package openssl"
    return said.output.partition("\n")[0] or f"openssl exited with {said.status} and said nothing"


def wanted(trust: Trust) -> dict[str, Value]:
    """The facts of a good pair. RSA: the portal signs its tokens with this key."""
    return {
        "names": " ".join(sorted({name.lower() for name in trust.names})),
        "key": "RSA",
        "pair": "matches",
        "chain": "trusted",
    }


def names_text(seen: Value, want: Value) -> str:
    """`+ name` and `- name`, one a line."""
    old, new = set(str(seen or "").split()), set(str(want or "").split())
    return "\n".join(
        [*(f"- {name}" for name in sorted(old - new)), *(f"+ {name}" for name in sorted(new - old))]
    )


def is_good(state: Mapping[str, Value], trust: Trust) -> bool:
    """Whether the facts are all as desired."""
    return all(state.get(name) == value for name, value in wanted(trust).items())


def readable_by(users: Iterable[str], path: str) -> Mapping[str, Question]:
    """Whether these accounts can read a file: asked as each of them."""
    return {
        f"readable by {user}": CommandQuestion(f"runuser -u {quote(user)} -- test -r {quote(path)}")
        for user in users
    }
