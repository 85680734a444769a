"""Installing what `reconcile cron` prints: the diff is shown, and somebody agrees to it."""

from __future__ import annotations

import difflib
import shutil
import subprocess
from pathlib import Path

from reconciler.cli import files
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.workplace import Workplace
from reconciler.output.unattended import OURS, Job, lock, marker
from reconciler.printable import printable

SECONDS = 60


def install_entry(job: Job, entry: str, workplace: Workplace, *, yes: bool) -> bool:
    """Writes the entry into the crontab of this account; False where it is there already. Raises
    `CommandError`, also where an entry under our heading is not ours."""
    listed = _run(["crontab", "-l"], check=False)
    if listed.returncode and "no crontab for" not in listed.stderr.lower():
        raise CommandError(Code.LOCAL, f"crontab -l: {listed.stderr.strip()}")
    old = listed.stdout if listed.returncode == 0 else ""
    new = with_entry(old, entry, job)
    if not _agreed({"crontab": (old, new)}, workplace, yes=yes):
        return False
    _run(["crontab", "-"], given=new)
    return True


def with_entry(crontab: str, entry: str, job: Job) -> str:
    """A crontab with the entry in place of the environment's former one, or at its end. Raises
    `CommandError`."""
    lines = crontab.splitlines(keepends=True)
    begun = [number for number, line in enumerate(lines) if line.startswith(marker(job.environment))]
    if not begun:
        end = "\n" if lines and not lines[-1].endswith("\n") else ""
        return f"{crontab}{end}{entry}"
    at = begun[0]
    former = lines[at + 1] if at + 1 < len(lines) else ""
    if len(begun) > 1 or Path(lock(job)).name not in former:
        raise CommandError(
            Code.USAGE,
            f"crontab, line {at + 1}: begins as an entry of `reconcile cron` does, but is none; nothing was"
            " changed; take it out with `crontab -e`",
        )
    return "".join([*lines[:at], entry, *lines[at + 2 :]])


def install_units(made: dict[str, str], workplace: Workplace, *, yes: bool) -> bool:
    """Writes the units and starts the timer; False where they are there already. Raises `CommandError`, also
    where a file of that name is not ours."""
    changes: dict[str, tuple[str, str]] = {}
    for name, text in made.items():
        path = workplace.units / name
        try:
            old = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        except OSError as error:
            raise CommandError(Code.LOCAL, f"{path}: cannot be read ({error.strerror})") from None
        if old and OURS not in old:
            why = "was not written by `reconcile cron`, and is not overwritten; move it away first"
            raise CommandError(Code.USAGE, f"{path}: {why}")
        changes[str(path)] = old, text
    written = _agreed(changes, workplace, yes=yes)
    if written:
        for name, text in made.items():
            files.write(workplace.units / name, text)
        _run(["systemctl", "daemon-reload"])
    # Also where nothing was written: somebody may have stopped it, or the last try ended here.
    _run(["systemctl", "enable", "--now", next(name for name in made if name.endswith(".timer"))])
    return written


def _agreed(changes: dict[str, tuple[str, str]], workplace: Workplace, *, yes: bool) -> bool:
    """Shows the changes and asks; False where there are none. Raises `CommandError` where it may not be."""
    shown = [
        line.rstrip("\n")
        for path, (old, new) in changes.items()
        for line in difflib.unified_diff(old.splitlines(), new.splitlines(), path, path, lineterm="", n=1)
    ]
    if not shown:
        return False
    files.print_lines(map(printable, shown))
    if yes:
        return True
    if not workplace.is_terminal():
        raise CommandError(
            Code.NOT_APPROVED, "not installed: there is no terminal to ask on; read it, then use --yes"
        )
    if workplace.ask("Install this? Only 'yes' will be accepted: ") != "yes":
        raise CommandError(Code.NOT_APPROVED, "not installed; nothing was changed")
    return True


def _run(words: list[str], given: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
    program = shutil.which(words[0])
    if program is None:
        raise CommandError(Code.LOCAL, f"{words[0]}: is not installed here, or not in PATH")
    try:
        done = subprocess.run(
            [program, *words[1:]], input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise CommandError(Code.LOCAL, f"{' '.join(words)}: has not ended in {SECONDS} seconds") from None
    if check and done.returncode:
        raise CommandError(Code.LOCAL, f"{' '.join(words)}: {printable(done.stderr.strip())}")
    return done
