"""Whether this machine has what the program calls, and whether its clock is right. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.diagnosis.checks import (
    FILE,
    MACHINE,
    OK,
    PROBLEM,
    WARNING,
    YOU,
    HealthCheck,
    unclear,
)
from reconciler.diagnosis.machine import AcmeAnswer, AcmeResult, ProgramResult
from reconciler.environment.settings import Environment
from reconciler.journal.commit import Authors
from reconciler.kinds.effective.clock import LIMIT
from reconciler.model import quote

PYTHON = (3, 11)
"""The oldest Python that the program runs with, as in pyproject.toml."""

OPENSSH = (8, 2)
"""The oldest ssh-keygen with `-Y find-principals` (OpenSSH 8.2, release notes)."""


def python(version: tuple[int, int, int]) -> HealthCheck:
    """The Python that runs the program."""
    is_new = version >= PYTHON
    return HealthCheck(
        group=MACHINE,
        subject="Python",
        verdict=OK if is_new else PROBLEM,
        found=".".join(map(str, version)),
        expected=f"{'.'.join(map(str, PYTHON))} or newer",
        owner=YOU,
        command="" if is_new else "apt-get install python3",
    )


def ssh_keygen(version: ProgramResult | None, environment: Environment | None) -> HealthCheck:
    """`version` is how `ssh -V` ends. Approvals are made and checked with ssh-keygen."""
    needed = environment is not None and environment.policy.approvers > 0
    found = re.search(r"OpenSSH_([0-9]+)\.([0-9]+)\S*", version.output) if version else None
    if found and (int(found[1]), int(found[2])) >= OPENSSH:
        return HealthCheck(group=MACHINE, subject="ssh-keygen", found=found[0].replace("_", " "))
    said = found[0] if found else version.output if version else "it is not here"
    return HealthCheck(
        group=MACHINE,
        subject="ssh-keygen",
        verdict=PROBLEM if needed else WARNING,
        found=said,
        expected="OpenSSH 8.2 or newer: plans are approved with it",
        owner=YOU,
        command="apt-get install openssh-client",
    )


def git(version: ProgramResult | None, environment: Environment | None) -> HealthCheck:
    """`version` is how `git --version` ends. Who changed a file, and from which commit it is, says git."""
    if version and version.status == 0:
        return HealthCheck(group=MACHINE, subject="git", found=version.output.removeprefix("git version "))
    needed = environment is not None and _must_know_authors(environment)
    return HealthCheck(
        group=MACHINE,
        subject="git",
        verdict=PROBLEM if needed else WARNING,
        found=version.output if version else "it is not here",
        expected="git: it says from which commit a plan is, and who may not approve it",
        owner=YOU,
        command="apt-get install git",
    )


def _must_know_authors(environment: Environment) -> bool:
    return environment.policy.approvers > 0 and not environment.policy.author_may_approve


def authors(environment: Environment, found: Authors, *, in_git: bool) -> Iterable[HealthCheck]:
    """Whether it is known who changed the file, where approvals depend on it. `in_git`: its folder has
    commits."""
    if not _must_know_authors(environment):
        return
    if not found.unknown:
        who = ", ".join(sorted(found.addresses))
        yield HealthCheck(group=FILE, subject="its authors", found=f"{who} may not approve")
        return
    yield HealthCheck(
        group=FILE,
        subject="its authors",
        verdict=PROBLEM,
        found=found.unknown,
        expected="all of it committed: while its authors are not known, no approval counts",
        owner=YOU,
        command=_commit(environment.file, found.unknown, in_git=in_git),
    )


def _commit(file: str, unknown: str, *, in_git: bool) -> str:
    """The command that lets the authors be known; `unknown` is why they are not."""
    folder, _, name = file.rpartition("/")
    git = f"git -C {quote(folder or '.')}"
    if "shallow" in unknown:
        return f"{git} fetch --unshallow"
    changed = unknown.removesuffix(" has uncommitted changes")
    if changed not in (unknown, file):
        name = changed if changed.startswith("/") else changed.removeprefix(f"{folder}/")
    init = "" if in_git else f"{git} init && "
    return f"{init}{git} add {quote(name)} && {git} commit -m 'Describe the change' -- {quote(name)}"


def notices(
    environment: Environment, *, sendmail: bool, apprise: bool, unset: Sequence[str]
) -> Iterable[HealthCheck]:
    """Whether notices can leave this machine: with its mail program, Apprise, and the variables that the
    file names with `env:`. Nothing is sent."""
    settings = environment.notices
    faults = {}
    if settings.mail and not settings.smtp and not sendmail:
        faults["sendmail"] = ("sendmail is not here", "apt-get install msmtp-mta")
    if settings.apprise and not apprise:
        install = "pip install 'reconcile-certificates[notify]'"
        faults["Apprise"] = ("it is not installed beside reconcile", install)
    for name in unset:
        faults[name] = ("the variable is not set here; cron's may be", f"export {name}=URL")
    for subject, (found, command) in faults.items():
        yield HealthCheck(
            group=MACHINE,
            subject=subject,
            verdict=WARNING,
            found=found,
            expected="what `notices:` needs, or nobody hears of drift",
            owner=YOU,
            command=command,
        )
    if not faults and (settings.mail or settings.apprise or settings.webhooks or settings.heartbeat):
        yield HealthCheck(group=MACHINE, subject="notices", found="what they are sent with is here")


def clock(
    directories: Mapping[str, AcmeResult], agreeing: Sequence[str], differing: Sequence[str], now: datetime
) -> HealthCheck:
    """This machine's clock against the CA's, or else the hosts': approvals expire by it, and hosts' clocks
    are judged by it. `agreeing` and `differing` are the hosts that have told their time."""
    check = HealthCheck(group=MACHINE, subject="clock", found="agrees with the CA's")
    dates = [each.date for each in directories.values() if isinstance(each, AcmeAnswer) and each.date]
    off = (now - dates[0]).total_seconds() if dates else 0.0
    if dates and abs(off) <= LIMIT:
        return check
    if not dates and agreeing:
        return replace(check, found=f"agrees with that of {', '.join(agreeing[:3])}")
    if not dates and not differing:
        return unclear(MACHINE, "clock", "neither a host nor the CA has told its time")
    found = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the CA's"
    return replace(
        check,
        verdict=PROBLEM,
        found=found
        if dates
        else f"differs from that of {', '.join(differing[:3])}, and no CA tells its time",
        expected=f"at most {LIMIT} s off",
        owner=YOU,
        command="timedatectl set-ntp true",
    )


def file_problems(
    problems: Iterable[tuple[str, int, str]], missing: Collection[str]
) -> Iterable[HealthCheck]:
    """What is wrong with an environment file: where (file, line), and why. Those files are `missing`."""
    for file, line, why in problems:
        edit = f"${{EDITOR:-vi}} +{line} {quote(file)}"
        yield HealthCheck(
            group=FILE,
            subject=f"{file}:{line}",
            verdict=PROBLEM,
            found=why,
            expected="a valid environment file",
            owner=YOU,
            command="ls environments" if file in missing else edit,
        )


def without_a_file(groups: Iterable[str]) -> Iterable[HealthCheck]:
    """What cannot be checked without a valid file."""
    return [unclear(group, "all of it", "the file is not valid") for group in groups]
