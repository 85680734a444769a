"""Which hosts `history --host` names, and what of the journal is about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from reconciler.cli import naming
from reconciler.cli.exit import Code, CommandError
from reconciler.cli.options import say
from reconciler.cli.workplace import Workplace
from reconciler.journal.elsewhere import RunElsewhere
from reconciler.journal.entries import hosts_by_run
from reconciler.journal.journal import JournalEntry

if TYPE_CHECKING:
    from reconciler.environment.settings import Environment


def named_hosts(
    texts: Sequence[str],
    entries: Sequence[JournalEntry],
    others: Iterable[RunElsewhere],
    env: str | None,
    workplace: Workplace,
) -> set[str]:
    """The hosts that the expressions of --host name: of all that entries, runs of others and the environment
    files of both tell of. Groups are those of the files as they are now; which of them cannot be read is said
    where it matters. Raises `CommandError`."""
    others = list(others)
    known = {host for hosts in hosts_by_run(entries).values() for host in hosts}
    known |= {host for each in others for host in each.hosts}
    known |= {each.body["host"] for each in entries if each.body.get("host")}
    groups: dict[str, set[str]] = {}
    unknown: list[str] = []
    files = {each.environment: "" for each in others} | {each.environment: "" for each in entries}
    begun = (each for each in entries if each.what == "begin")
    files |= {each.environment: each.body["file"] for each in begun if "file" in each.body}
    for name, file in sorted(files.items()):
        environment = _environment(name, (env, file, name), workplace)
        if environment is None:
            unknown.append(name)
            continue
        known |= {host.name for host in environment.all_hosts}
        for group, hosts in environment.groups.items():
            groups.setdefault(group, set()).update(hosts)
    without = (
        f"the groups of {', '.join(unknown)} are not known: no environment file of that name was found;"
        " name it with --env FILE"
    )
    try:
        found = naming.hosts(texts, sorted(known), groups)
    except naming.Unmatched as error:
        raise CommandError(Code.USAGE, *error.lines, *([without] if unknown else [])) from None
    if unknown and any(text.removeprefix("!") in groups for text in texts):
        say(without)
    return found


def _environment(name: str, candidates: Iterable[str | None], workplace: Workplace) -> Environment | None:
    """The environment of this name: what --env says, the file that its newest run here was of, or
    environments/NAME.yaml; None where none of them is it."""
    from reconciler.environment.load import InvalidEnvironment

    for env in filter(None, candidates):
        try:
            environment = workplace.load(env)
        except InvalidEnvironment:
            continue
        if environment.name == name:
            return environment
    return None


def about(entries: Sequence[JournalEntry], hosts: Collection[str]) -> list[JournalEntry]:
    """The runs that have begun an action on one of these hosts, and what was found there between them."""
    runs = {run for run, on in hosts_by_run(entries).items() if on.intersection(hosts)}
    return [each for each in entries if (each.run in runs if each.run else each.body.get("host") in hosts)]
