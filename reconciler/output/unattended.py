"""The crontab entry and the systemd units that run a command unattended, as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.kinds.cron import crontab_command
from reconciler.model import quote
from reconciler.printable import printable

OURS = "# Written by `reconcile cron`, which writes it anew; settings of your own belong in a drop-in."
"""The first line of a unit, by which `cron --install` knows it again."""
HARDENED = (
    "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateDevices=yes", "ProtectClock=yes",
    "ProtectControlGroups=yes", "ProtectHostname=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes", "LockPersonality=yes", "RestrictNamespaces=yes", "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes", "SystemCallArchitectures=native",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command to run every so many minutes, after waiting at most so many seconds (`jitter`)."""

    environment: str
    file: str
    command: Sequence[str]
    state: str
    """The folder of the journal."""
    state_is_set: bool
    """Whether it is another one than the account has by default."""
    minutes: int
    jitter: int
    user: str
    sendmail: bool
    """Whether notices go out by the machine's own sendmail."""
    on_failure: str | None = None


def marker(environment: str) -> str:
    """How the entry of an environment begins in a crontab."""
    return f"# reconcile {environment}:"


def lock(job: Job) -> str:
    """The file that keeps a second run from starting while the first one runs."""
    return f"{job.state}/cron-{job.environment}.lock"


def crontab_entry(job: Job) -> str:
    """Two lines of a crontab. What goes wrong is mailed, and it and the output of the last run are kept, for
    mail of cron is lost on many machines."""
    log, errors = (quote(f"{job.state}/cron-{job.environment}.{end}") for end in ("log", "err"))
    setting = f"RECONCILE_STATE={quote(job.state)} " if job.state_is_set else ""
    often = f"*/{job.minutes} * * * *" if job.minutes < 60 else f"0 */{job.minutes // 60} * * *"
    wait = f"sleep $(( $(od -An -N2 -tu2 /dev/urandom) % {job.jitter} )); " if job.jitter else ""
    command = " ".join(map(quote, job.command))
    run = f"{setting}{command} >{log} 2>{errors}; code=$?; cat {errors} >&2; exit $code"
    whole = f"umask 077; mkdir -p {quote(job.state)}; {wait}flock -n {quote(lock(job))} sh -c {quote(run)}"
    about = f"its last run is in {printable(log)} and .err, notices go where `notices:` of"
    return f"{marker(job.environment)} {about} {printable(job.file)} says\n{often} {crontab_command(whole)}\n"


def _word(text: str, dollar: str = "$$") -> str:
    """A word of a unit file (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers"); `dollar`
    is how a `$` is written there: in a command it begins a variable."""
    text = text.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_./%=:@+-]+", text):
        return text
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", dollar)):
        text = text.replace(char, escaped)
    return f'"{text}"'


def units(job: Job) -> dict[str, str]:
    """The service and the timer, by the names of their files.

    Drift (2) and what could not be looked at (3) fail the service, so that `OnFailure=` fires for them. The
    journal's folder is made outside of the sandbox, in which it could not be (systemd.service(5), `+`).
    """
    about = f"reconcile {job.environment}"
    service = [
        OURS, "[Unit]", f"Description={about}", "Wants=network-online.target", "After=network-online.target",
        *([f"OnFailure={job.on_failure}"] if job.on_failure else ()),
        "", "[Service]", "Type=oneshot", f"User={job.user}", "UMask=0077",
        f"Environment={_word(f'RECONCILE_STATE={job.state}', dollar='$')}",
        f"EnvironmentFile=-/etc/reconcile/{job.environment}.env",
        f"ExecStartPre=+runuser -u {job.user} -- mkdir -p {_word(job.state)}",
        f"ExecStart={' '.join(map(_word, job.command))}",
        "PrivateTmp=yes", "ProtectHome=read-only", f"ReadWritePaths={_word(job.state, dollar='$')}",
        *_sandbox(job),
    ]  # fmt: skip
    timer = [
        OURS, "[Unit]", f"Description={about}, every {job.minutes} minutes",
        "", "[Timer]", "OnBootSec=5min", f"OnUnitActiveSec={job.minutes}min",
        f"RandomizedDelaySec={job.jitter}", "", "[Install]", "WantedBy=timers.target",
    ]  # fmt: skip
    name = f"reconcile-{job.environment}"
    return {f"{name}.service": "\n".join(service) + "\n", f"{name}.timer": "\n".join(timer) + "\n"}


def _sandbox(job: Job) -> Sequence[str]:
    """Postfix's sendmail gets its rights to the queue by a setgid program (postdrop(1)), and writes below
    /var: neither is possible in the full sandbox."""
    if job.sendmail:
        return ("# For sendmail, which writes its queue with rights of its own:", "ProtectSystem=full")
    return HARDENED if job.user == "root" else (*HARDENED, "CapabilityBoundingSet=")
