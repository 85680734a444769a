"""The settings of the certificate that all hosts share."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.environment.patterns import COUNT, HTTPS, MAIL, URL
from reconciler.environment.profiles import days_of
from reconciler.environment.rules import CERTIFICATE_NAME
from reconciler.kinds.certificate.compromised import SERIAL
from reconciler.kinds.paths import ABSOLUTE, LINE, PLAIN
from reconciler.model import option

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
CHALLENGES = ("http-01", "dns-01")
CHALLENGE_AT = ("hosts", "primary")
CURVES = {"ecdsa-p256": "secp256r1", "ecdsa-p384": "secp384r1"}  # as certbot and OpenSSL call them


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """Another CA for the same certificate: an order is placed there once the first has failed and less than
    `overdue` is left of the certificate in use, or there is none. The next renewal goes back to the first."""

    server: str = option("Its ACME directory.", schema=URL)
    email: str | None = option(
        "The contact address of the account there; that of the first by default.", default=None, schema=MAIL
    )
    ca_bundle: str | None = option(
        "On the primary: the CA file by which its ACME server is trusted, if not the system's.",
        default=None,
        schema=PLAIN,
    )
    roots: str | None = option(
        "The roots to which its chains lead, as PEM: a file beside this one; those of the machine that plans"
        " otherwise.",
        default=None,
        schema=LINE,
    )
    trusted: bytes = field(default=b"", repr=False, compare=False)
    """The roots themselves, as PEM."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate that all hosts share. Its names are the router, the hosts, and these."""

    manage: bool = option(
        "Whether the certificate is issued, distributed, used and proven; if not, it is left alone.",
        default=True,
    )
    names: tuple[str, ...] = option(
        "Further names of the certificate; with `dns-01` also `*.example.org`.",
        default=(),
        schema={"items": {"type": "string", **CERTIFICATE_NAME}},
    )
    administrators: str | None = option(
        "Who is notified of a renewal: a mail address.", default=None, schema=MAIL
    )
    email: str | None = option("The contact address of the account at the CA.", default=None, schema=MAIL)
    server: str = option("The CA's ACME directory.", default=LETS_ENCRYPT, schema=URL)
    rehearsal: str | None = option(
        "An ACME directory at which each order is rehearsed first, or `none`;"
        " Let's Encrypt's staging for Let's Encrypt.",
        default=None,
        schema={"pattern": f"^(none|{HTTPS})$", "x-want": "a URL that begins with https://, or none"},
    )
    ca_bundle: str | None = option(
        "On the primary: the CA file by which the ACME server itself is trusted, if not the system's.",
        default=None,
        schema=PLAIN,
    )
    roots: str | None = option(
        "The roots to which the chain must lead, as PEM: a file beside this one; those of the"
        " machine that plans otherwise.",
        default=None,
        schema=LINE,
    )
    challenge: str = option(
        "How the CA sees that the names are ours: by a file that each host serves on port 80, or by a record"
        " in the DNS, which `dns_hook` makes.",
        default=CHALLENGES[0],
        schema={"enum": [*CHALLENGES]},
    )
    challenge_at: str = option(
        "With `http-01`: whether each host gets a copy of each challenge (`hosts`), or the primary alone has"
        " it and the others redirect the CA there (`primary`).",
        default=CHALLENGE_AT[0],
        schema={"enum": [*CHALLENGE_AT]},
    )
    dns_hook: str | None = option(
        "With `dns-01`: the program on the primary that is called with `present` or `cleanup`, the name of a"
        " record, and its text.",
        default=None,
        schema=PLAIN,
    )
    dns_wait: int = option(
        "With `dns-01`: seconds within which the name servers must show such a record.",
        default=120,
        schema={"minimum": 1, "maximum": 3600},
    )
    profile: str | None = option(
        "Which of the CA's profiles it is ordered by, such as Let's Encrypt's `classic`, `tlsserver` and"
        " `shortlived`; the CA's default otherwise. It takes certbot 4.0 on the primary.",
        default=None,
        schema={
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            "x-want": "the name of a profile: letters, digits, `.`, `_` and `-`",
        },
    )
    resolver: str | None = option(
        "The name server that the preflight asks, as the CA would; by default the host's own.",
        default=None,
        schema={"pattern": r"^[0-9A-Fa-f.:]+$", "x-want": "the address of a name server"},
    )
    key_type: str = option(
        "The kind of its key; one with another is replaced.", default="rsa", schema={"enum": ["rsa", *CURVES]}
    )
    key_size: int = option(
        "Bits of an RSA key; one with fewer is replaced.", default=2048, schema={"enum": [2048, 3072, 4096]}
    )
    compromised: tuple[str, ...] = option(
        "Serial numbers of certificates whose key is thought compromised: one with another key is ordered and"
        " rolled out, then they are revoked.",
        default=(),
        schema={"items": {"type": "string", **SERIAL}},
    )
    lifetime: int = option(
        "The lifetime of the CA's certificates in days; `tlsserver` and `shortlived` shorten it. What a"
        " certificate that is there says counts for it.",
        default=90,
        schema={"minimum": 1, "maximum": 398},
    )
    schedule: str = option(
        "When cron on the primary checks whether a renewal is due.",
        default="17 3,15 * * *",
        schema={
            "pattern": r"^[0-9*/,-]+( [0-9A-Za-z*/,-]+){4}$",
            "x-want": "five fields of crontab(5), such as `17 3,15 * * *`",
        },
    )
    jitter: int = option(
        "The longest random delay of a renewal, in seconds.",
        default=1800,
        schema={"minimum": 0, "maximum": 43200},
    )
    overdue: int = option(
        "Percent of the lifetime that are left when a renewal that cron should have made is"
        " ordered by apply.",
        default=25,
        schema={"minimum": 1, "maximum": 90},
    )
    orders_a_week: int = option(
        "How many certificates for these names may be ordered within 7 days.", default=5, schema=COUNT
    )
    failures_an_hour: int = option(
        "How many orders may fail within an hour before no more are placed.", default=5, schema=COUNT
    )
    keep: int = option("How many releases each host keeps.", default=5, schema={"minimum": 2, "maximum": 100})
    ping: str | None = option(
        "A path on port 443 that answers 200 if the host is healthy; verify asks for it.",
        default=None,
        schema=ABSOLUTE,
    )
    max_unavailable: int | str = option(
        "How many hosts switch at the same time; a percentage is one of all hosts, rounded down, and at least"
        " 1.",
        default=1,
        schema={
            **COUNT,
            "pattern": "^([1-9][0-9]?|100)%$",
            "x-want": "a number, or a percentage such as `10%`",
        },
    )
    canary: int = option(
        "How many hosts switch before all others: if one of them that can be reached is not proven then, no"
        " other switches, unless its certificate in use is `overdue`.",
        default=0,
        schema={"minimum": 0, "maximum": 1000},
    )
    max_failed: int = option(
        "How many hosts may fail to switch, and be no worse for it, before a rollout stops, unless another"
        " has proven the certificate, or the one in use is `overdue`.",
        default=1,
        schema={"minimum": 0, "maximum": 1000},
    )
    wait_for_hosts: int = option(
        "Hours after a certificate begins for which no host switches to it while another is lost or"
        " cannot be mended; never once the one in use is `overdue`.",
        default=0,
        schema={"minimum": 0, "maximum": 720},
    )
    settle: int = option(
        "Seconds after the reloads of a host until it is proven again.",
        default=0,
        schema={"minimum": 0, "maximum": 600},
    )
    deadline: int = option(
        "Seconds within which a service must serve what it has loaded.",
        default=60,
        schema={"minimum": 5, "maximum": 600},
    )
    trusted: bytes = field(default=b"", repr=False, compare=False)
    """The roots themselves, as PEM."""
    fallback: Fallback | None = None
    """A second CA, where one is declared."""

    @property
    def anchors(self) -> bytes:
        """The roots to one of which a chain must lead: those of the CA, and of its fallback."""
        other = self.fallback.trusted if self.fallback else self.trusted
        return self.trusted if other == self.trusted else self.trusted + b"\n" + other

    def at_once(self, hosts: int) -> int:
        """How many of so many hosts may switch at the same time.

        A percentage is rounded as Kubernetes does: `maxUnavailable` down, and to 1 where that leaves none and
        nothing would ever move (RollingUpdateDeployment of apps/v1; ResolveFenceposts in
        pkg/controller/deployment/util)."""
        if isinstance(self.max_unavailable, int):
            return self.max_unavailable
        return max(1, hosts * int(self.max_unavailable.removesuffix("%")) // 100)

    @property
    def key(self) -> str:
        """The kind of its key, of `questions.tls.KEYS`."""
        return "ECDSA" if self.key_type in CURVES else "RSA"

    @property
    def days(self) -> int:
        """For how many days its certificates live, by what is declared."""
        return days_of(self.profile, self.lifetime)

    @property
    def on_port_80(self) -> bool:
        """Whether the CA asks the hosts themselves for a challenge."""
        return self.challenge == CHALLENGES[0]

    @property
    def redirects(self) -> bool:
        """Whether hosts redirect the CA to the primary."""
        return self.on_port_80 and self.challenge_at == CHALLENGE_AT[1]
