"""What makes a certificate and its key good: facts by name, shared by the kinds about them."""

from __future__ import annotations

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

    Everything is as wanted where `names`, `key`, `pair` and `chain` are those of `wanted`.
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
    why_not = x509.why_not_trusted(chain, trust.roots, trust.names[0], now)
    return {
        "release": x509.identity(chain),
        "names": " ".join(x509.names(leaf)),
        "key": x509.key_type(leaf).split(" ", maxsplit=1)[0],
        "pair": _pair(answers["public"], x509.public_key_pem(leaf)),
        "chain": why_not or "trusted",
        "expires": x509.window(leaf)[1].isoformat(timespec="minutes"),
    }


def _pair(said: CommandResult | CannotSee, public: str) -> str:
    if isinstance(said, CannotSee):
        return "not known"
    if said.status != 0:
        hidden = "denied" in said.output
        return "the key cannot be read" if hidden else "there is no usable key"
    return "matches" if said.output.split() == public.split() else "the key belongs to another certificate"


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
    """Whether the facts are all as wanted."""
    return all(state.get(name) == value for name, value in wanted(trust).items())


def readable_by(users: Iterable[str], path: str) -> Mapping[str, Question]:
    """Whether these accounts can read a file: asked as each of them."""
    return {
        f"readable by {user}": CommandQuestion(f"runuser -u {quote(user)} -- test -r {quote(path)}")
        for user in users
    }
