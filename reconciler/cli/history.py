"""`reconcile history`: what does the journal of this machine say?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated

import typer

from reconciler.cli import files, formats
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.flags import Hosts, Json, NoColor
from reconciler.cli.options import Options, say
from reconciler.cli.selection import open_environment
from reconciler.cli.touched import about, named_hosts
from reconciler.cli.workplace import Workplace
from reconciler.journal.elsewhere import RunElsewhere
from reconciler.journal.journal import Journal, JournalEntry, NoJournal
from reconciler.journal.path import paths
from reconciler.journal.place import folder
from reconciler.journal.team import TeamJournal
from reconciler.output import text
from reconciler.output.documents.results import history_document
from reconciler.output.elsewhere import detail_lines, listed, remark_lines
from reconciler.printable import printable

UNITS = MappingProxyType({
    "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1),
})  # fmt: skip


def history(
    context: typer.Context,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run, with all its actions.")] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="ENV", help="Only of this environment: a name as listed, or a file."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Not older: 2026-11-25, a time with its zone, 12h or 7d."
        ),
    ] = None,
    newest: Annotated[
        int | None,
        typer.Option(
            "-n", "--newest", metavar="N", min=1, help="Only the newest N runs, and what came between."
        ),
    ] = None,
    host: Hosts = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Check that nothing in the journal was changed, and that each run went as it should.",
        ),
    ] = False,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Returns 0, or 2 where --verify finds a change, or a run that is no path of the model. Raises
    `CommandError`."""
    workplace: Workplace = context.obj
    options = Options(json=json, no_color=no_color)
    if (since or newest or host) and (verify or run is not None):
        why = "choose among runs; leave out RUN and --verify"
        raise CommandError(Code.USAGE, f"--since, --newest, --host: {why}")
    chosen = _Chosen(env, moment(since, workplace.clock()) if since else None, newest, host)
    with open_journal(workplace) as journal:
        try:
            if verify:
                return _verify(journal, as_json=json)
            return _show(journal, run, chosen, options, workplace)
        except NoJournal as error:
            raise CommandError(Code.LOCAL, str(error)) from None
        except (LookupError, TypeError, AttributeError) as error:
            why = f"an entry of it lacks what its kind has ({error!r})"
            hint = "`reconcile history --verify` lists what was changed"
            raise CommandError(Code.LOCAL, f"the journal {journal.path} is damaged: {why}; {hint}") from None


@dataclass(frozen=True)
class _Chosen:
    """Which runs are asked for: of which environment, since when, how many, and on which hosts."""

    env: str | None
    after: datetime | None
    newest: int | None
    host: list[str] | None


def _show(journal: Journal, run: str | None, chosen: _Chosen, options: Options, workplace: Workplace) -> int:
    """Prints one run, or those of all that were chosen."""
    name = _name(chosen.env, journal, workplace) if chosen.env else None
    if run is not None and not is_number(run):
        return _print_elsewhere(journal, elsewhere(journal, run, name), options)
    entries = journal.entries(None if run is None else int(run), name)
    if run is not None:
        if not entries:
            raise CommandError(Code.USAGE, f"there is no run {run} in {journal.path}")
        return _print_one(journal, entries, options, workplace)
    others, hosts = TeamJournal(journal).runs(name), None
    if chosen.host:
        if entries or others:
            hosts = named_hosts(chosen.host, entries, others, chosen.env, workplace)
            entries, others = about(entries, hosts), [each for each in others if hosts & set(each.hosts)]
        if not entries and not others:
            say(f"no run in {journal.path} has acted on {' '.join(chosen.host)}")
    others = _began_since(others, chosen.after)
    shown, told = _newest(_since(entries, chosen.after), others, chosen.newest)
    remarks = TeamJournal(journal).remarks(name, hosts)
    return _print(journal, shown, told, remarks, options, workplace)


def moment(text: str, now: datetime) -> datetime:
    """The time that --since names; a date and a time without a zone are UTC, as those of the journal are.
    Raises `CommandError`."""
    try:
        if ago := re.fullmatch(r"(\d+)([mhdw])", text):
            return now - int(ago[1]) * UNITS[ago[2]]
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            Code.USAGE,
            f"--since {text}: is no time; expected a date (2026-11-25), a time (2026-11-25T13:00+01:00), or"
            " how long ago (30m, 12h, 7d, 2w)",
        ) from None


def _name(env: str, journal: Journal, workplace: Workplace) -> str:
    """The environment's name: as the journal has it, or of the file that ENV names. Raises `CommandError`."""
    known = {each.environment for each in journal.entries()}
    known |= {each.environment for each in TeamJournal(journal).runs()}
    return env if env in known else open_environment(env, workplace).name


def _since(entries: list[JournalEntry], after: datetime | None) -> list[JournalEntry]:
    """The runs that have begun since, with all that they did, and what was found since."""
    if after is None:
        return entries
    late = {each.number for each in entries if datetime.fromisoformat(each.at) >= after}
    runs = {each.run for each in entries if each.what == "begin" and each.number in late}
    return [each for each in entries if (each.run in runs if each.run else each.number in late)]


def _began_since(runs: list[RunElsewhere], after: datetime | None) -> list[RunElsewhere]:
    return [each for each in runs if after is None or each.began >= after]


def _newest(
    entries: list[JournalEntry], others: list[RunElsewhere], count: int | None
) -> tuple[list[JournalEntry], list[RunElsewhere]]:
    """Of the runs of this machine and of others, the newest, and what came between."""
    begun = {each.run: datetime.fromisoformat(each.at) for each in entries if each.what == "begin"}
    times = sorted([*begun.values(), *(each.began for each in others)])
    if count is None or len(times) <= count:
        return entries, others
    first = times[-count]
    left = [each for each in others if each.began >= first]
    room = count - len(left)
    runs = set(sorted(begun, key=lambda run: (begun[run], run))[-room:]) if room > 0 else set()
    since = min((each.number for each in entries if each.run in runs), default=None)

    def is_shown(entry: JournalEntry) -> bool:
        if entry.run:
            return entry.run in runs
        if since is None:
            return datetime.fromisoformat(entry.at) > first
        return entry.number > since

    return list(filter(is_shown, entries)), left


def is_number(run: str) -> bool:
    """Whether RUN is the number of a run of this machine; those of others are called otherwise."""
    return run.isdecimal() and len(run) < 19  # what SQLite can compare


def elsewhere(journal: Journal, run: str, environment: str | None = None) -> RunElsewhere:
    """The run of another machine that is called so. Raises `CommandError`, `NoJournal`."""
    for each in TeamJournal(journal).runs(environment):
        if each.run == run:
            return each
    raise CommandError(Code.USAGE, f"there is no run {run} in {journal.path}; see `reconcile history`")


def _print(
    journal: Journal,
    entries: list[JournalEntry],
    others: list[RunElsewhere],
    remarks: list[str],
    options: Options,
    workplace: Workplace,
) -> Code:
    style = formats.style(options, workplace)
    if options.json:
        files.print_json(history_document(str(journal.path), entries, elsewhere=others, records=remarks))
    else:
        told = [(each.began, listed(each, style)) for each in others]
        files.print_lines([*text.run_lines(entries, style, told), *remark_lines(remarks, style)])
    return Code.OK


def _print_one(journal: Journal, entries: list[JournalEntry], options: Options, workplace: Workplace) -> Code:
    if options.json:
        files.print_json(history_document(str(journal.path), entries))
    else:
        files.print_lines(list(text.entry_lines(entries, formats.style(options, workplace))))
    return Code.OK


def _print_elsewhere(journal: Journal, run: RunElsewhere, options: Options) -> Code:
    if options.json:
        files.print_json(history_document(str(journal.path), (), elsewhere=[run]))
    else:
        files.print_lines(detail_lines(run))
    return Code.OK


def open_journal(workplace: Workplace) -> Journal:
    """The journal, to read. Raises `CommandError` where there is none, or it cannot be read."""
    try:
        journal = workplace.journal_to_read()
    except NoJournal as error:
        raise CommandError(Code.LOCAL, str(error)) from None
    if journal is None:
        why = "the first `apply` or `drift` creates it"
        raise CommandError(Code.LOCAL, f"there is no journal in {folder()} yet: {why}")
    return journal


def _verify(journal: Journal, *, as_json: bool) -> Code:
    problems = journal.verify()
    # What was changed is no witness of what a run did.
    verdicts = [] if problems else paths(journal.entries())
    if as_json:
        files.print_json(history_document(str(journal.path), (), problems, verdicts))
    elif problems:
        files.print_lines(printable(each) for each in problems)
        print(f"{journal.path}: {len(problems)} problems; it was changed after it was written.")
    else:
        number, newest = journal.head()
        print(f"{journal.path}: {number} entries, unchanged. The newest has the hash {newest[:16]}.")
        files.print_lines(text.verdict_lines(verdicts))
    return Code.CHANGES if problems or any(each.result == "deviation" for each in verdicts) else Code.OK
