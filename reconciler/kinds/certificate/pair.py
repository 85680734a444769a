"""What makes a certificate and its key good: facts by name, shared by the kinds about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler import x509
from reconciler.model import CannotSee, Question, Value, quote
from reconciler.questions.reading import NOT_READ, ReadingQuestion
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.questions.tls import CertificatesQuestion

NAMES = ("cert", "chain", "fullchain", "privkey")
"""certbot's four files, without .pem."""

MATCHES = "matches"
"""The key belongs to the certificate."""

GROUP = "ssl-cert"
"""Who may read keys besides root: Debian's group for it."""

_NO_KEY = re.compile(
    r"could not (read|find) .*key|unable to load key|no such file or directory", re.IGNORECASE
)
"""What `openssl pkey` says of a file without a key: OpenSSL 3 (apps/lib/apps.c), 1.1.1, and of no file."""


@dataclass(frozen=True)
class Trust:
    """What a certificate is checked against: its names, the router's first, the roots (PEM) to which its
    chain must lead, its `key`, as `key_name` has it, and the bits that an RSA key has at least."""

    names: tuple[str, ...]
    roots: bytes
    key_size: int = 2048
    key: str = "RSA"


def questions(folder: str) -> Mapping[str, Question]:
    """What to ask about the pair in `folder`; only the public half of the key is ever printed."""
    return questions_of(f"{folder}/fullchain.pem", f"{folder}/privkey.pem")


def questions_of(chain: str, key: str) -> Mapping[str, Question]:
    """The same about a pair in two files, or in one that holds both."""
    return {
        "fullchain": CertificatesQuestion(chain),
        "public": public_half(key),
    }


def public_half(key: str) -> ReadingQuestion:
    """What to ask of a private key: only its public half is ever printed."""
    return ReadingQuestion(key, f"openssl pkey -pubout -in {quote(key)}")


def facts(answers: Mapping[str, Any], trust: Trust, now: datetime) -> dict[str, Value] | CannotSee:
    """The pair as named facts, from the answers to `questions`.

    `release` is the identity of the leaf with its chain, or "none", or why it is unreadable; the others
    are there only if it is readable. The pair is good if `names`, `key`, `pair` and `chain` are those of
    `wanted`. `CannotSee` if the account may not look, or openssl gave no verdict on the key.
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
    pair = belonging(answers["public"], x509.public_key_pem(leaf))
    if isinstance(pair, CannotSee):
        return pair
    why_not = x509.why_not_trusted(chain, trust.roots, trust.names[0].replace("*", "any", 1), now)
    return {
        "release": x509.identity(chain),
        "names": " ".join(x509.names(leaf)),
        "key": key_name(x509.key_type(leaf), trust.key_size),
        "pair": pair,
        "chain": why_not or "trusted",
        **dict(zip(("begins", "expires"), _window(leaf), strict=True)),
    }


def _window(leaf: Any) -> tuple[str, ...]:
    return tuple(each.isoformat(timespec="minutes") for each in x509.window(leaf))


def key_name(kind: str, least: int) -> str:
    """A key as a fact, from `x509.key_type`: `RSA` where it has enough bits; else the kind with its size."""
    if x509.is_small(kind, least):
        return f"{kind}, smaller than {least}"
    return "RSA" if kind.startswith("RSA ") else kind


def unloadable(answers: Mapping[str, Any]) -> str | None | CannotSee:
    """Why no service can load the pair, from the answers to `questions`; None where it can.

    Who issued it, for which names and until when does not matter: services load it all the same.
    """
    text = answers["fullchain"]
    if isinstance(text, CannotSee):
        return text
    if text is None:
        return "there is no fullchain.pem"
    try:
        chain = x509.chain(text)
    except x509.Unreadable as error:
        return f"fullchain.pem is unreadable: {error}"
    pair = belonging(answers["public"], x509.public_key_pem(chain[0]))
    return None if pair == "matches" else pair


def belonging(result: CommandResult | CannotSee, public: str) -> str | CannotSee:
    """Whether the key belongs to the certificate. That there is no usable key must be proven
    by what openssl says of the file: a certificate would be ordered in its place."""
    if isinstance(result, CannotSee):
        return result
    if result.status == 0:
        same = result.output.split() == public.split()
        return MATCHES if same else "the key belongs to another certificate"
    if result.status == 1 and _NO_KEY.search(result.output) and not NOT_READ.search(result.output):
        return "there is no usable key"
    return CannotSee(f"the private key could not be checked: {_why_not(result)}")


def _why_not(result: CommandResult) -> str:
    """Why openssl gave no verdict; 124, 126 and 127 are the statuses of timeout(1) and sh."""
    if result.status == 124:
        return "openssl did not answer in time"
    if result.status in (126, 127):
        return "openssl is missing; install the package openssl"
    return result.output.partition("\n")[0] or f"openssl exited with {result.status} and no message"


def wanted(trust: Trust) -> dict[str, Value]:
    """The facts of a good pair."""
    return {
        "names": " ".join(sorted({name.lower() for name in trust.names})),
        "key": trust.key,
        "pair": MATCHES,
        "chain": "trusted",
    }


def names_text(seen: Value, want: Value) -> str:
    """The names that differ, one a line: `- name` for one too many, `+ name` for a missing one."""
    old, new = set(str(seen or "").split()), set(str(want or "").split())
    return "\n".join(
        [*(f"- {name}" for name in sorted(old - new)), *(f"+ {name}" for name in sorted(new - old))]
    )


def is_good(state: Mapping[str, Value], trust: Trust) -> bool:
    """Whether the facts are those of a good pair."""
    return all(state.get(name) == value for name, value in wanted(trust).items())


NOT = "no"


def readable_by(users: Iterable[str], path: str) -> Mapping[str, Question]:
    """Whether each of these accounts can read the file at `path`, tried as that account."""
    return {
        f"readable by {user}": CommandQuestion(
            f"runuser -u {quote(user)} -- sh -c 'test -r \"$1\" || echo {NOT}' sh {quote(path)}"
        )
        for user in users
    }


def is_readable(result: CommandResult | CannotSee) -> bool | CannotSee:
    """Whether it can, from the answer to `readable_by`; runuser(1) says what it cannot do."""
    if isinstance(result, CannotSee):
        return result
    if result.needs_root:
        return CannotSee("only root can try whether a service could read the key")
    if result.status != 0 and "does not exist" not in result.output:
        why = result.output or f"`runuser` ended with {result.status} and no message"
        return CannotSee(f"whether a service could read the key could not be tried: {why}")
    return result.status == 0 and result.output != NOT
