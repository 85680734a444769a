"""A certificate that somebody brings: settings, and nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.environment.patterns import COUNT
from reconciler.kinds.paths import ABSOLUTE, LINE, NAME
from reconciler.model import option

SERVER, CLIENT = "server", "client"


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A certificate that somebody brings, such as one of an organisation's own CA: it is looked at on its
    hosts, and proven on the ports of the `consumers` that name it. It is never ordered, nor is it or its key
    ever written."""

    name: str = option(
        "What it is called here.",
        schema={
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
            "x-want": "a name of letters, digits and `._-`",
        },
    )
    file: str = option(
        "On the hosts: the certificate with its chain, as PEM, its own first.", schema=ABSOLUTE
    )
    key: str | None = option(
        "On the hosts: its private key, as PEM; by default in `file` too. Only its public half is read.",
        default=None,
        schema=ABSOLUTE,
    )
    roots: str | None = option(
        "The CA's certificates to one of which the chain must lead, as PEM: a file beside this one; those of"
        " the machine that plans otherwise.",
        default=None,
        schema=LINE,
    )
    purpose: str = option(
        "Whom it is for: a `server`, or a `client`, which logs in with it.",
        default=SERVER,
        schema={"enum": [SERVER, CLIENT]},
    )
    names: tuple[str, ...] = option(
        "Names that it must carry, beside others: of a server as DNS names, of a client as one or as the"
        " common name.",
        default=(),
        schema={"items": {"type": "string", **LINE}, "uniqueItems": True},
    )
    owner: str | None = option("The owner of the key; by default as it is.", default=None, schema=NAME)
    group: str | None = option("The group of the key; by default as it is.", default=None, schema=NAME)
    mode: str | None = option(
        "The mode of the key; by default as it is, without rights of others.",
        default=None,
        schema={
            "pattern": "^0[0-7]{2}0$",
            "x-want": 'four octal digits in quotes that give others no rights, such as "0640"',
        },
    )
    users: tuple[str, ...] = option(
        "Accounts that must be able to read the key, beside those of its `consumers`.",
        default=(),
        schema={"items": {"type": "string", **NAME}, "uniqueItems": True},
    )
    warn: int = option("Days before its end from which `drift` reports it.", default=30, schema=COUNT)
    hosts: tuple[str, ...] | None = option(
        "The hosts it is on: names, groups, `primary`, `replicas`; all by default.",
        default=None,
        schema={"minItems": 1, "items": {"type": "string"}},
    )
    trusted: bytes = field(default=b"", repr=False, compare=False)
    """The roots themselves, as PEM."""

    @property
    def key_file(self) -> str:
        """Where its key is."""
        return self.key or self.file
