"""What an environment file declares about its keeping: who approves what, who is notified of what,
and which drift is known; and how often a certificate's lifetime wants cron to try. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.kinds.paths import LINE
from reconciler.model import option

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = {
    "pattern": rf"^(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*$",
    "x-want": "a host name (letters, digits and `-`, labels joined by dots)",
}

CERTIFICATE_NAME = {
    "pattern": rf"^(?=.{{1,253}}$)(\*\.)?{_LABEL}(\.{_LABEL})*$",
    "x-want": "a host name, or `*.` and the domain of a wildcard",
}

CLASSES = ("renewal", "reload")


def safe_gap(lifetime: int) -> int:
    """The most hours between two tries of cron to renew certificates that live so many days.

    Certbot renews in the last third of the lifetime (certbot docs, "renewal"): it takes four tries at least.
    """
    return lifetime * 24 // (3 * 4)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which changes need whose approval, when they may be made, and how many at once."""

    approvers: int = option(
        "How many different people must sign a plan; 0: whoever may run apply may apply.",
        default=0,
        schema={"minimum": 0, "maximum": 20},
    )
    allowed_signers: str | None = option(
        "Who may approve: a file beside this one, in the form of ssh-keygen's ALLOWED SIGNERS.",
        default=None,
        schema=LINE,
    )
    author_may_approve: bool = option(
        "Whether an approval counts of somebody who changed this file, or one that it names, in its last"
        " commit. Where that is not known, none counts.",
        default=False,
    )
    expires: int = option(
        "Hours for which a saved plan and its approvals are valid.",
        default=72,
        schema={"minimum": 1, "maximum": 8760},
    )
    without_approval: tuple[str, ...] = option(
        "Changes that need no approval: `renewal` (a renewed certificate is distributed and used),"
        " `reload` (of a service that has not loaded what is on disk), or a kind.",
        default=(),
        schema={"uniqueItems": True},
    )
    windows: tuple[str, ...] = option(
        "When changes may be made, such as `Mon-Fri 08:00-17:00`; by default always.",
        default=(),
        schema={
            "items": {
                "type": "string",
                "pattern": "^((Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))? )?"
                "([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-4]):[0-5][0-9]$",
                "x-want": "days and hours, such as `Mon-Fri 08:00-17:00` or `22:00-24:00`",
            }
        },
    )
    timezone: str = option("The time zone of the windows.", default="UTC", schema=LINE)
    urgent: int = option(
        "Percent of the lifetime; if the certificate has less left, windows do not hold back what renews it.",
        default=20,
        schema={"minimum": 0, "maximum": 100},
    )
    most_changes: int | None = option("The most actions in one run.", default=None, schema={"minimum": 1})
    most_removals: int | None = option("The most removals in one run.", default=None, schema={"minimum": 0})


VERDICTS = ("drifted", "pending", "expiring", "unseen", "forecast")


@dataclass(frozen=True, kw_only=True)
class Notices:
    """Who is notified of drift, of what needs approval, and of what was done without asking."""

    mail: tuple[str, ...] = option(
        "Mail addresses to notify.", default=(), schema={"items": {"type": "string", **LINE}}
    )
    sender: str | None = option("The sender of mails; by default USER@HOST.", default=None, schema=LINE)
    smtp: str | None = option(
        "HOST:PORT of a mail server that takes mail without a password; the machine's own sendmail"
        " otherwise.",
        default=None,
        schema={"pattern": r"^[^\s:]+(:[0-9]+)?$", "x-want": "HOST or HOST:PORT"},
    )
    webhooks: tuple[str, ...] = option(
        "URLs to which each notice is sent as JSON, by POST; `env:NAME` takes the URL from the environment.",
        default=(),
        schema={
            "items": {"type": "string", "pattern": r"^(https?://|env:)\S+$", "x-want": "a URL, or env:NAME"}
        },
    )
    apprise: tuple[str, ...] = option(
        "URLs of Apprise (Slack, Matrix, Teams, PagerDuty and many more); better as `env:NAME`,"
        " for they hold secrets.",
        default=(),
        schema={
            "items": {"type": "string", "pattern": r"^(\S+://|env:)\S+$", "x-want": "a URL, or env:NAME"}
        },
    )
    heartbeat: str | None = option(
        "A URL that is fetched after every look of `drift` and `apply --auto`, so that silence is an alarm.",
        default=None,
        schema={"pattern": r"^(https?://|env:)\S+$", "x-want": "a URL, or env:NAME"},
    )
    template: str | None = option(
        "A file beside this one with the template of a notice; $subject, $text, $environment.",
        default=None,
        schema=LINE,
    )
    alert: tuple[str, ...] = option(
        "The verdicts that cause a notice.",
        default=("drifted", "expiring", "unseen", "forecast"),
        schema={"items": {"type": "string", "enum": list(VERDICTS)}, "uniqueItems": True},
    )
    after: int = option(
        "How many looks in a row must find it before a notice is sent.",
        default=1,
        schema={"minimum": 1, "maximum": 100},
    )
    remind: int = option(
        "Hours after which the notice is repeated while it lasts; 0: never.",
        default=0,
        schema={"minimum": 0, "maximum": 8760},
    )
    expiring: int = option(
        "Percent of the lifetime; a certificate with less left is expiring.",
        default=20,
        schema={"minimum": 1, "maximum": 90},
    )
    forecast: int = option(
        "Days before a dated rule bites (see `reconcile forecast`) from which `drift` warns of it; 0: never.",
        default=90,
        schema={"minimum": 0, "maximum": 3650},
    )


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """Drift that is known and accepted for now: it is shown, but causes no notice and no exit code. A rule of
    `reconcile forecast` is named by the kind `forecast` and its name, and causes no notice then."""

    host: str | None = option("The host; by default all.", default=None, schema=HOST_NAME)
    kind: str = option("The kind of the resource.", schema=LINE)
    name: str | None = option("Its name; by default all of the kind.", default=None, schema=LINE)
    owner: str = option("Who is responsible for it.", schema=LINE)
    reason: str = option("Why it is accepted.", schema=LINE)
    until: str = option(
        "The last day on which it is accepted, as YYYY-MM-DD (UTC).",
        schema={
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "x-want": 'a date in quotes, such as "2027-01-31"',
        },
    )
