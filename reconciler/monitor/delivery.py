"""Notices on their way: mail, webhooks, and whatever Apprise reaches.

A notice goes into the journal's outbox first and leaves it when its channel has taken it.
What could not be sent is told, tried again by the next run, and never a run's failure.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.environment.rules import Notices as Settings
from reconciler.environment.settings import Environment
from reconciler.journal.journal import Journal, NoJournal
from reconciler.monitor import notices
from reconciler.monitor.notices import Notice

if TYPE_CHECKING:
    from email.message import EmailMessage

# What is slow to load is loaded where it is needed: most commands send nothing.
# ruff: noqa: PLC0415

SECONDS = 20
"""Seconds that a channel may take."""

KEPT = timedelta(days=7)
"""How long a notice that cannot be sent is tried."""

SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")
"""Where the mail program of a host lies: the first that exists (FHS 3.0, sections 4.7 and 4.10)."""


class NotSent(Exception):
    """A channel did not take a notice; the message says why."""


def channels(settings: Settings) -> list[str]:
    """Where notices go: `mail`, `webhook URL`, `apprise URL`. A URL stands as in the YAML, so that
    no secret is kept or told."""
    mail = ["mail"] if settings.mail else []
    return [
        *mail,
        *(f"webhook {url}" for url in settings.webhooks),
        *(f"apprise {url}" for url in settings.apprise),
    ]


def post(journal: Journal, environment: Environment, notice: Notice) -> None:
    """Puts a notice into the outbox, once for each channel. Raises `NoJournal`."""
    for channel in channels(environment.notices):
        journal.post(environment.name, channel, notices.to_json(notice))


def flush(
    journal: Journal,
    environment: Environment,
    say: Callable[[str], None],
    sendmail: Sequence[str] = SENDMAIL,
) -> None:
    """Tries to send what is in the outbox for this environment; `say` gets the failures.

    `sendmail` are the paths of the mail program, of which the first that exists is used.
    """
    try:
        waiting = [row for row in journal.outbox() if row[1] == environment.name]
        dead: set[str] = set()
        for number, _, channel, text, made, _ in waiting:
            try:
                notice = notices.from_json(text)
            except (ValueError, LookupError, TypeError, RecursionError):
                say(f"notice {number} in the journal is damaged; it is dropped")
                journal.tried(number, sent=True)
                continue
            if channel not in channels(environment.notices):
                journal.tried(number, sent=True)
            elif channel not in dead and not _try_to_send(environment, channel, notice, say, sendmail):
                # One complaint for a channel is enough, and one wait.
                dead.add(channel)
            elif channel not in dead:
                journal.tried(number, sent=True)
                continue
            if channel in dead:
                _keep_or_drop(journal, number, made, notice, say)
    except NoJournal as error:
        say(str(error))


def _try_to_send(
    environment: Environment,
    channel: str,
    notice: Notice,
    say: Callable[[str], None],
    sendmail: Sequence[str],
) -> bool:
    try:
        send(environment.notices, channel, notice, sendmail)
    except NotSent as error:
        say(f"the notice {notice.subject!r} could not be sent by {_without_secrets(channel)}: {error}")
        say("it is kept, and the next run tries again")
        return False
    return True


def _keep_or_drop(
    journal: Journal, number: int, made: str, notice: Notice, say: Callable[[str], None]
) -> None:
    is_too_old = journal.clock() - datetime.fromisoformat(made) > KEPT
    if is_too_old:
        say(f"the notice {notice.subject!r} could not be sent for {KEPT.days} days; it is dropped")
    journal.tried(number, sent=is_too_old)


def _without_secrets(channel: str) -> str:
    """A channel without what may be a secret: the path of a URL is one, more often than not."""
    kind, _, url = channel.partition(" ")
    scheme, found, rest = url.partition("://")
    return f"{kind} {scheme}://{rest.partition('/')[0].rpartition('@')[2]}" if found else channel


def send(settings: Settings, channel: str, notice: Notice, sendmail: Sequence[str] = SENDMAIL) -> None:
    """Sends a notice by one channel, now. Raises `NotSent`."""
    kind, _, url = channel.partition(" ")
    if kind == "mail":
        _mail(settings, notice, sendmail)
    elif kind == "webhook":
        fetch(_resolved(url), notices.to_json(notice).encode())
    else:
        _apprise(_resolved(url), notice, notices.render(notice, settings.template))


def ping_heartbeat(settings: Settings, say: Callable[[str], None]) -> None:
    """Fetches the heartbeat's URL, if there is one; `say` gets the failure."""
    if settings.heartbeat is None:
        return
    try:
        fetch(_resolved(settings.heartbeat))
    except NotSent as error:
        say(f"the heartbeat could not be sent: {error}")


def _resolved(url: str) -> str:
    if not url.startswith("env:"):
        return url
    found = os.environ.get(url.removeprefix("env:"))
    if not found:
        raise NotSent(f"the environment variable {url.removeprefix('env:')} is not set")
    return found


def fetch(url: str, body: bytes | None = None) -> None:
    """GETs a URL, or POSTs JSON to it. Raises `NotSent`."""
    import urllib.error
    import urllib.request

    # The scheme is one of the schema's, or the administrator's own environment says so.
    headers = {"Content-Type": "application/json", "User-Agent": "reconcile"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        raise NotSent(f"the server answered {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise NotSent(str(getattr(error, "reason", None) or error)) from None


def message(settings: Settings, notice: Notice) -> EmailMessage:
    """The mail for a notice; a plan goes along as an attachment."""
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"] = " ".join(notice.subject.split())
    mail["From"] = settings.sender or f"{getpass.getuser()}@{socket.getfqdn()}"
    mail["To"] = ", ".join(settings.mail)
    mail["X-Reconcile-Id"] = notice.id
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence notice answers it
    mail.set_content(notices.render(notice, settings.template))
    if notice.plan is not None:
        plan = json.dumps(notice.plan, indent=2).encode()
        mail.add_attachment(plan, maintype="application", subtype="json", filename=f"{notice.id}.json")
    return mail


def _mail(settings: Settings, notice: Notice, sendmail: Sequence[str]) -> None:
    import smtplib

    mail = message(settings, notice)
    try:
        if settings.smtp:
            host, _, port = settings.smtp.partition(":")
            with smtplib.SMTP(host, int(port or 25), timeout=SECONDS) as server:
                server.send_message(mail)
        else:
            command = _first_that_exists(sendmail)
            subprocess.run(
                [command, "-t", "-i"], input=mail.as_bytes(), check=True, capture_output=True, timeout=SECONDS
            )
    except smtplib.SMTPException as error:
        raise NotSent(f"{settings.smtp}: {error}") from None
    except subprocess.SubprocessError as error:
        raise NotSent(str(error)) from None
    except OSError as error:
        raise NotSent(f"{settings.smtp or 'sendmail'}: {error.strerror or error}") from None


def _first_that_exists(programs: Sequence[str]) -> str:
    for path in programs:
        if Path(path).exists():
            return path
    raise NotSent("there is no sendmail on this machine; install one, or set `smtp:` under `notices:`")


def _apprise(url: str, notice: Notice, text: str) -> None:
    try:
        from apprise import Apprise
    except ImportError as error:
        raise NotSent(
            f"Apprise cannot be loaded ({error}); install it beside reconcile: "
            "pip install 'reconcile-certificates[notify]', or pipx inject reconcile-certificates apprise"
        ) from None

    service = Apprise()
    if service.add(url) and service.notify(title=notice.subject, body=text):
        return
    raise NotSent("Apprise could not deliver it; check the URL with `apprise -vv`")
